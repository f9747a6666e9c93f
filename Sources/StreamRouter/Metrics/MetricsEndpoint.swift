import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// Where a node's daemon answers HTTP requests for metrics and health.
public enum MetricsEndpoint: Hashable, Sendable, CustomStringConvertible {
  /// It opens this address.
  case address(Endpoint)
  /// Whoever started it has opened a listening socket and left it open under this number.
  case descriptor(Int32)

  /// The port that examples use. Outside of 9100 to 9999, which Prometheus has given away to exporters, and below the
  /// ports that Linux picks for itself.
  public static let examplePort: UInt16 = 7480

  /// Reads `7480`, which is 127.0.0.1:7480, an address with a port such as `10.0.0.1:7480` or `[::1]:7480`, or `fd:3`
  /// for a socket that is open; nil where it is none of these.
  public init?(_ text: String) {
    if text.hasPrefix("fd:") {
      guard let descriptor = Int32(text.dropFirst(3)), descriptor > 2 else { return nil }
      self = .descriptor(descriptor)
    } else if let endpoint = Endpoint(text.contains(":") ? text : "127.0.0.1:" + text) {
      self = .address(endpoint)
    } else {
      return nil
    }
  }

  /// Why it cannot serve, where that can be told before trying: an inherited descriptor that is no listening socket.
  public var obstacle: String? {
    guard case .descriptor(let descriptor) = self else { return nil }
    var (listens, length) = (Int32(0), socklen_t(MemoryLayout<Int32>.size))
    guard getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0, listens == 1 else {
      return "\(self) is no listening socket; name a port, or have whoever starts the node open one"
    }
    return nil
  }

  /// Keeps an inherited socket from the processes that the daemon starts: a worker must have none but its own.
  func keepFromChildren() {
    if case .descriptor(let descriptor) = self { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
  }

  public var description: String {
    switch self {
    case .address(let endpoint): endpoint.description
    case .descriptor(let descriptor): "fd:\(descriptor)"
    }
  }
}
