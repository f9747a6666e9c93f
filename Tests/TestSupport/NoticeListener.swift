#if canImport(Glibc)
  import Glibc
#endif

/// The service manager's end of NOTIFY_SOCKET: a path, or behind `@` a name of Linux's abstract namespace.
public final class NoticeListener: Sendable {
  private let descriptor: Int32
  private let path: String

  public struct Failure: Error { public let errno: Int32 }

  public init(at path: String) throws {
    self.path = path
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    var name = Array(path.utf8)
    if path.hasPrefix("@") { name[0] = 0 }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
    let length = socklen_t(MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + name.count)
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
    }
    guard bound == 0 else { throw Failure(errno: errno) }
  }

  deinit {
    close(descriptor)
    if path.hasPrefix("/") { unlink(path) }
  }

  /// The next datagram; nil where none comes in time.
  public func next(patience: Duration = .seconds(10)) async throws -> String? {
    let end = ContinuousClock.now + patience
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
      if count >= 0 { return String(decoding: buffer.prefix(count), as: UTF8.self) }
      guard ContinuousClock.now < end else { return nil }
      try await Task.sleep(for: .milliseconds(2))
    }
  }
}
