/// What one hop does for one stream: the values that the node's engines carry out.
///
/// Made by routing a ``Topology`` (`Topology.relays(on:)`), never by hand except in tests and benchmarks.
public struct Relay: Hashable, Sendable, Codable {
  /// The stream's name in the topology.
  public var stream: String
  /// The node that runs this relay.
  public var node: String
  /// 0 at the node where the stream enters, then counted along the path.
  public var hop: Int
  public var transport: StreamProtocol
  /// Where this hop listens. For protocol rtp it listens on the next higher port for RTCP too
  /// (RFC 3550 section 11).
  public var ingress: Endpoint
  /// Where it listens as well, during a deploy: where it listened before. No relay of a topology has it.
  public var formerIngress: Endpoint?
  /// Whom this hop accepts packets from; never empty.
  public var sources: [AddressPrefix]
  /// Where copies go; never empty.
  public var sinks: [RelaySink]
  /// Differentiated services code point written to each copy (RFC 2474), 0 to 63; nil leaves it as it came.
  public var dscp: UInt8?
  /// Hz of the RTP timestamps; nil: by payload type (RFC 3551), 90,000 for dynamic ones.
  public var clockRate: UInt32?
  /// What this hop runs on each packet, in this order; at most ``Limits/extensionsPerRelay``.
  public var extensions: [RelayExtensionUse]
  /// Protocol tcp: how it is relayed; nil: in the way of the engine that runs it.
  public var mode: TCPMode?

  public init(
    stream: String, node: String, hop: Int, transport: StreamProtocol, ingress: Endpoint,
    sources: [AddressPrefix], sinks: [RelaySink], dscp: UInt8? = nil, clockRate: UInt32? = nil,
    extensions: [RelayExtensionUse] = [], mode: TCPMode? = nil
  ) {
    self.stream = stream
    self.node = node
    self.hop = hop
    self.transport = transport
    self.ingress = ingress
    self.sources = sources
    self.sinks = sinks
    self.dscp = dscp
    self.clockRate = clockRate
    self.extensions = extensions
    self.mode = mode
  }
}

extension Relay {
  /// Reads relays from before there were extensions or modes too.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      stream: try container.decode(String.self, forKey: .stream),
      node: try container.decode(String.self, forKey: .node),
      hop: try container.decode(Int.self, forKey: .hop),
      transport: try container.decode(StreamProtocol.self, forKey: .transport),
      ingress: try container.decode(Endpoint.self, forKey: .ingress),
      sources: try container.decode([AddressPrefix].self, forKey: .sources),
      sinks: try container.decode([RelaySink].self, forKey: .sinks),
      dscp: try container.decodeIfPresent(UInt8.self, forKey: .dscp),
      clockRate: try container.decodeIfPresent(UInt32.self, forKey: .clockRate),
      extensions: try container.decodeIfPresent([RelayExtensionUse].self, forKey: .extensions) ?? [],
      mode: try container.decodeIfPresent(TCPMode.self, forKey: .mode))
    formerIngress = try container.decodeIfPresent(Endpoint.self, forKey: .formerIngress)
  }

  /// A socket of a relay.
  public struct Listener: Hashable, Sendable {
    public var endpoint: Endpoint
    /// Whether it is the one above a port of RTP, for RTCP (RFC 3550 section 11).
    public var isCompanion: Bool
  }

  /// All that it listens on: the ingress and the port above it, then the same of the former one.
  public var listeners: [Listener] {
    ([ingress] + (formerIngress.map { [$0] } ?? [])).flatMap { ingress in
      transport.ports(from: ingress.port).enumerated().map { place, port in
        Listener(endpoint: Endpoint(address: ingress.address, port: port.number), isCompanion: place == 1)
      }
    }
  }
}

/// One egress of a ``Relay``.
public struct RelaySink: Hashable, Sendable, Codable {
  /// What stands at the other end.
  public enum Kind: String, Hashable, Sendable, Codable {
    /// The relay of the next hop.
    case node
    /// An address outside the topology.
    case host
    /// A socket on the relay's own node.
    case local
  }

  public var kind: Kind
  /// The next hop's name for kind node, else the text of the sink.
  public var name: String
  public var destination: Endpoint
  /// The source that packets of this sink carry: an address of the relay's node and the port it listens on.
  /// Engine `sandbox` leaves the source as it came on packets for a local sink.
  public var source: Endpoint

  public init(kind: Kind, name: String, destination: Endpoint, source: Endpoint) {
    self.kind = kind
    self.name = name
    self.destination = destination
    self.source = source
  }
}

/// What a stream carries.
public enum StreamProtocol: String, Hashable, Sendable, Codable, CaseIterable {
  case udp, rtp, tcp

  /// Whether the stream consists of datagrams; of a connection's bytes otherwise.
  public var isDatagrams: Bool { self != .tcp }
}

/// How a hop relays TCP.
public enum TCPMode: String, Hashable, Sendable, Codable, CaseIterable {
  /// Segments pass through, rewritten: the two ends have one connection with each other. Engine `sandbox`.
  case packet
  /// The connection ends at the hop, which opens another one onwards: a control loop for each link. Engine `process`.
  case split
}
