import Topology

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

  public var description: String {
    switch self {
    case .address(let endpoint): endpoint.description
    case .descriptor(let descriptor): "fd:\(descriptor)"
    }
  }
}
