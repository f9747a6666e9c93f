import CStreamRouter
import Foundation

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
    let box = Box<Result<T, any Error>>()
    let thread = Thread {
      box.value = Result {
        let left = sr_namespace_leave()
        guard left == 0 else { throw Failure(text: "leaving the network namespace: errno \(-left)") }
        try ip(setup)
        return try body()
      }
      box.done.signal()
    }
    thread.stackSize = 8 << 20
    thread.start()
    box.done.wait()
    return try box.value!.get()
  }

  /// Carries out commands of ip(8) in the calling thread's namespace. By posix_spawn and waitpid, because
  /// Foundation's Process waits on a run loop that other threads share.
  static func ip(_ batch: String) throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("sr-ip-\(UUID().uuidString)").path
    try batch.write(toFile: file, atomically: false, encoding: .utf8)
    defer { try? FileManager.default.removeItem(atPath: file) }
    var arguments: [UnsafeMutablePointer<CChar>?] =
      (["ip", "-batch", file] as [String]).map { strdup($0) }
    arguments.append(nil)
    defer { arguments.forEach { free($0) } }
    var child = pid_t()
    let spawned = posix_spawnp(&child, "ip", nil, nil, arguments, environ)
    guard spawned == 0 else { throw Failure(text: "starting ip: errno \(spawned)") }
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0 && errno == EINTR {}
    guard status == 0 else { throw Failure(text: "ip -batch failed with status \(status): see above") }
  }

  struct Failure: Error, CustomStringConvertible {
    var text: String
    var description: String { text }
  }

  /// Handed from the thread to its starter, which waits: never touched by both at once.
  private final class Box<T>: @unchecked Sendable {
    var value: T?
    let done = DispatchSemaphore(value: 0)
  }
}
