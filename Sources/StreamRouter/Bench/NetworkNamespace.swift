import CStreamRouter
import Foundation

/// Work on a thread of its own inside another network namespace. Sockets made there belong to it for good, whichever
/// thread uses them later.
enum NetworkNamespace {
  /// A namespace could not be entered or made.
  struct Failure: Error, CustomStringConvertible {
    var name: String
    var errno: Int32
    var description: String { "network namespace \(name): errno \(errno)" }
  }

  /// Runs `body` inside the namespace that `ip netns` knows by this name, and waits for it.
  static func run<T: Sendable>(in name: String, _ body: @escaping @Sendable () throws -> T) throws -> T {
    try onThread {
      let entered = sr_namespace_enter("/run/netns/" + name)
      guard entered == 0 else { throw Failure(name: name, errno: -entered) }
      return try body()
    }
  }

  /// Runs `body` inside a new namespace, which vanishes with the thread.
  static func runInNew<T: Sendable>(_ body: @escaping @Sendable () throws -> T) throws -> T {
    try onThread {
      let left = sr_namespace_leave()
      guard left == 0 else { throw Failure(name: "(new)", errno: -left) }
      return try body()
    }
  }

  /// Carries out commands of ip(8) in the calling thread's namespace. By posix_spawn and waitpid on this very thread:
  /// a pool's thread would be in another namespace.
  static func configure(_ commands: String) throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("sr-ip-\(UUID().uuidString)").path
    try commands.write(toFile: file, atomically: false, encoding: .utf8)
    defer { try? FileManager.default.removeItem(atPath: file) }
    var arguments: [UnsafeMutablePointer<CChar>?] = (["ip", "-batch", file] as [String]).map { strdup($0) }
    arguments.append(nil)
    defer { arguments.forEach { free($0) } }
    var child = pid_t()
    let spawned = posix_spawnp(&child, "ip", nil, nil, arguments, environ)
    var status: Int32 = 0
    while spawned == 0 && waitpid(child, &status, 0) < 0 && errno == EINTR {}
    guard spawned == 0 && status == 0 else {
      throw Failure(name: "(ip -batch)", errno: spawned == 0 ? EINVAL : spawned)
    }
  }

  private static func onThread<T: Sendable>(_ body: @escaping @Sendable () throws -> T) throws -> T {
    let box = Box<T>()
    let thread = Thread {
      box.result = Result { try body() }
      box.done.signal()
    }
    thread.stackSize = 8 << 20
    thread.start()
    box.done.wait()
    guard let result = box.result else { preconditionFailure("the thread signalled before it was done") }
    return try result.get()
  }

  /// Written by the thread before it signals, read by its starter after: never by both at once.
  private final class Box<T>: @unchecked Sendable {
    var result: Result<T, any Error>?
    let done = DispatchSemaphore(value: 0)
  }
}
