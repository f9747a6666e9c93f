import Foundation

@testable import StreamRouter

/// A network namespace of a test's own: a thread leaves the machine's namespace, and what it makes vanishes with it.
enum PrivateNetwork {
  /// Why tests that need one cannot run here; nil where they can.
  static let obstacle: String? = {
    guard geteuid() == 0 else { return "needs root for a network namespace and BPF" }
    guard
      FileManager.default.isExecutableFile(atPath: "/usr/sbin/ip")
        || FileManager.default.isExecutableFile(atPath: "/sbin/ip")
    else { return "needs the command ip (Debian package iproute2)" }
    return nil
  }()
  static var isPossible: Bool { obstacle == nil }

  /// Runs `body` on a thread in a fresh network namespace, in which `setup` was carried out by `ip -batch`.
  static func run<T: Sendable>(setup: String, body: @escaping @Sendable () throws -> T) throws -> T {
    try NetworkNamespace.runInNew {
      try NetworkNamespace.configure(setup)
      return try body()
    }
  }

  struct Failure: Error, CustomStringConvertible {
    var text: String
    var description: String { text }
  }
}
