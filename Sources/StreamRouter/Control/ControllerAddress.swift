import GRPCNIOTransportHTTP2Posix
import SystemPackage
import Topology

/// Where a controller listens: `ADDRESS:PORT`, `[ADDRESS]:PORT`, `NAME:PORT`, or `unix:PATH`.
public struct ControllerAddress: Hashable, Sendable, Codable, CustomStringConvertible {
  /// No registered service has it.
  public static let defaultPort = 7117

  private enum Kind: Hashable, Sendable {
    case host(String, port: Int)
    case path(String)
  }

  private let kind: Kind
  public let description: String

  public init?(_ text: String) {
    description = text
    if text.hasPrefix("unix:") {
      let path = String(text.dropFirst(5))
      // sun_path has 108 bytes, the last of them 0.
      guard path.hasPrefix("/"), path.utf8.count < 108 else { return nil }
      kind = .path(path)
      return
    }
    if let endpoint = Endpoint(text) {
      guard endpoint.port > 0 else { return nil }
      kind = .host("\(endpoint.address)", port: Int(endpoint.port))
      return
    }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard let name = parts.first, !name.isEmpty, parts.count <= 2,
      name.utf8.allSatisfy({
        $0 == 0x2d || $0 == 0x2e || (0x30...0x39).contains($0) || (0x61...0x7a).contains($0 | 0x20)
      })
    else { return nil }
    guard let port = parts.count == 2 ? UInt16(parts[1]) : UInt16(Self.defaultPort), port > 0 else {
      return nil
    }
    kind = .host(String(name), port: Int(port))
  }

  public init(path: String) {
    kind = .path(path)
    description = "unix:\(path)"
  }

  /// The same with the port before; nil for a unix socket.
  public var before: ControllerAddress? {
    guard case .host(let host, let port) = kind, port > 1 else { return nil }
    return ControllerAddress(host.contains(":") ? "[\(host)]:\(port - 1)" : "\(host):\(port - 1)")
  }

  /// As others find it: with a machine's name where it stands for all addresses of that machine.
  func text(on machine: String) -> String {
    guard case .host(let host, let port) = kind, ["0.0.0.0", "::"].contains(host) else { return description }
    return "\(machine):\(port)"
  }

  /// Whether others can reach it by this: it stands for one address, and not for all of a machine.
  var isOne: Bool {
    if case .host(let host, _) = kind { !["0.0.0.0", "::"].contains(host) } else { true }
  }

  /// Reads `ADDRESS[,ADDRESS...]`; nil where one is none, or is there twice.
  public static func list(_ text: String) -> [ControllerAddress]? {
    var found: [ControllerAddress] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      guard let address = ControllerAddress(String(part)), !found.contains(address) else { return nil }
      found.append(address)
    }
    return found
  }

  /// The path of a unix socket.
  public var socket: FilePath? { path.map { FilePath($0) } }
  var path: String? { if case .path(let path) = kind { path } else { nil } }

  var target: any ResolvableTarget {
    switch kind {
    case .path(let path): .unixDomainSocket(path: path)
    case .host(let host, let port):
      switch IPAddress(host)?.family {
      case .ipv4: .ipv4(address: host, port: port)
      case .ipv6: .ipv6(address: host, port: port)
      case nil: .dns(host: host, port: port)
      }
    }
  }

  /// What to listen on; nil for a name.
  var socketAddress: GRPCNIOTransportCore.SocketAddress? {
    switch kind {
    case .path(let path): .unixDomainSocket(path: path)
    case .host(let host, let port):
      switch IPAddress(host)?.family {
      case .ipv4: .ipv4(host: host, port: port)
      case .ipv6: .ipv6(host: host, port: port)
      case nil: nil
      }
    }
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let address = ControllerAddress(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "no address")
    }
    self = address
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
