import Logging
import SystemPackage

#if canImport(Glibc)
  import Glibc
#endif

/// What a node tells the service manager that started it, by datagrams to its socket (sd_notify(3)). Where none started
/// it, nothing is told.
public struct ServiceNotice: Sendable {
  /// One line of a notice.
  enum Line: Hashable, Sendable {
    case ready
    case reloading
    case stopping
    case watchdog
    /// One line for people, as `systemctl status` shows it.
    case status(String)

    var text: String {
      switch self {
      case .ready: "READY=1"
      case .reloading: "RELOADING=1\nMONOTONIC_USEC=\(monotonicNs() / 1000)"
      case .stopping: "STOPPING=1"
      case .watchdog: "WATCHDOG=1"
      case .status(let text): "STATUS=" + text.split(separator: "\n").joined(separator: "; ")
      }
    }
  }

  /// A path, or behind `@` a name of Linux's abstract namespace; nil tells nobody.
  let socket: String?
  /// How long the manager waits for a sign of life before it ends the node; nil: it does not ask for any.
  let watchdog: Duration?
  private let log: Logger

  init(socket: String?, watchdog: Duration? = nil, log: Logger) {
    self.socket = socket
    self.watchdog = watchdog
    self.log = log
  }

  /// Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment, so that no child takes them for its
  /// own. For the start of the daemon, while there is one thread that cares for the environment.
  static func takeFromEnvironment(log: Logger) -> ServiceNotice {
    let names = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]
    let values = names.map { name in getenv(name).map { String(cString: $0) } }
    for name in names { unsetenv(name) }
    let isOurs = values[2].map { $0 == "\(getpid())" } ?? true
    let microseconds = values[1].flatMap { Int64($0) }.flatMap { $0 > 0 && isOurs ? $0 : nil }
    return ServiceNotice(socket: values[0], watchdog: microseconds.map { .microseconds($0) }, log: log)
  }

  /// Sends lines in one datagram. That it does not arrive is the manager's trouble: the node goes on.
  func send(_ lines: Line...) {
    guard let socket else { return }
    let problem = Self.send(lines.map(\.text).joined(separator: "\n"), to: socket)
    if problem != 0 {
      log.warning("the service manager at \(socket) cannot be told \(lines): \(Errno(rawValue: problem))")
    }
  }

  private static func send(_ text: String, to socket: String) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    var name = Array(socket.utf8)
    guard let first = name.first, first == UInt8(ascii: "/") || first == UInt8(ascii: "@") else {
      return EINVAL
    }
    guard name.count < MemoryLayout.size(ofValue: address.sun_path) else { return ENAMETOOLONG }
    if first == UInt8(ascii: "@") { name[0] = 0 }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
    // An abstract name ends with its length, not with a zero.
    let length = socklen_t(MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + name.count)

    let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return errno }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    let sent = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        // A manager that does not read must not hold up the node.
        sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT), $0, length)
      }
    }
    return sent == bytes.count ? 0 : errno
  }
}
