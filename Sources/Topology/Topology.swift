/// A topology: nodes, the links between them, and the streams that cross them, as one YAML file says it.
///
/// What ``Topology/decode(yaml:file:extensions:)`` and ``Topology/load(path:extensions:)`` return is valid: they
/// return nothing where an error is left.
public struct Topology: Hashable, Sendable {
  /// The version of the file format that this code reads.
  public static let version = 1

  /// The topology's name: 1 to 32 of a-z, 0-9 and -.
  public var name: String
  /// In the order of the file.
  public var nodes: [Node]
  public var links: [Link]
  public var streams: [Stream]
  /// How links are probed that do not say it themselves.
  public var probe: LinkProbing
  /// The UDP port at which nodes answer test packets.
  public var probePort: UInt16

  public init(
    name: String, nodes: [Node], links: [Link], streams: [Stream], probe: LinkProbing = .usual,
    probePort: UInt16 = Limits.usualProbePort
  ) {
    self.name = name
    self.nodes = nodes
    self.links = links
    self.streams = streams
    self.probe = probe
    self.probePort = probePort
  }

  public func node(_ name: String) -> Node? { nodes.first { $0.name == name } }

  /// What is expected of the streams, by name; streams without limits are not in it.
  public var limits: [String: StreamLimits] {
    Dictionary(
      streams.compactMap { stream in stream.limits.map { (stream.name, $0) } },
      uniquingKeysWith: { first, _ in first })
  }
}

/// A machine that runs `streamrouter node`.
public struct Node: Hashable, Sendable {
  /// 1 to 32 of a-z, 0-9 and -.
  public var name: String
  /// The node's addresses; never empty. Hops listen on the first of the stream's family.
  public var addresses: [IPAddress]
  public var engine: EngineChoice
  /// How what relays is scheduled: the threads of engine process; with engine sandbox ksoftirqd, all over the machine.
  public var scheduling: Scheduling
  /// Free text for the user's own use.
  public var labels: [String: String]

  public init(
    name: String, addresses: [IPAddress], engine: EngineChoice = .auto, scheduling: Scheduling = .other,
    labels: [String: String] = [:]
  ) {
    self.name = name
    self.addresses = addresses
    self.engine = engine
    self.scheduling = scheduling
    self.labels = labels
  }
}

/// Where relays run. `auto` is the fastest that the node can run.
public enum EngineChoice: String, Hashable, Sendable, Codable, CaseIterable {
  case auto, sandbox, process
  /// The kernel module's sandbox at user level, experimental: `auto` never takes it.
  case upcall
}

/// A Linux scheduling policy (sched(7)) for threads that relay.
public enum Scheduling: Hashable, Sendable, Codable {
  /// SCHED_OTHER.
  case other
  /// SCHED_RR with a priority from 1 to 99.
  case rr(priority: Int)
  /// SCHED_FIFO with a priority from 1 to 99.
  case fifo(priority: Int)
}

/// Two nodes that may forward to each other.
public struct Link: Hashable, Sendable {
  public var a: String
  public var b: String
  /// The addresses that hops of this link listen on and send from, by node, where the long form names them. Each
  /// belongs to its node, whether or not the node lists it too.
  public var addresses: [String: IPAddress]
  /// Bytes of the largest IP packet, where the long form names it; the lab sets its devices to it.
  public var mtu: Int?
  /// How it is probed; nil: as the topology says.
  public var probe: LinkProbing?

  public init(
    a: String, b: String, addresses: [String: IPAddress] = [:], mtu: Int? = nil, probe: LinkProbing? = nil
  ) {
    self.a = a
    self.b = b
    self.addresses = addresses
    self.mtu = mtu
    self.probe = probe
  }

  /// Where one of its ends is reached over it: the address that the link names, or the node's first of the family.
  func address(of node: Node, _ family: IPAddress.Family) -> IPAddress? {
    if let named = addresses[node.name], named.family == family { return named }
    return node.addresses.first { $0.family == family }
  }
}

/// One flow from a source to one or more sinks.
public struct Stream: Hashable, Sendable {
  /// 1 to 63 of a-z, 0-9 and -.
  public var name: String
  public var transport: StreamProtocol
  /// Where the stream enters: a node and the port it listens on there.
  public var from: NodePort
  /// Nodes that the path must visit, in this order.
  public var via: [String]
  /// Never empty. At most one of them is on any one node: a relay hands a packet up its own stack once.
  public var to: [Sink]
  /// Whom the first hop accepts packets from. Empty in the file: the addresses of the node in `from`.
  public var sources: [AddressPrefix]
  /// nil: IPv4 where every hop has it, else IPv6.
  public var family: IPAddress.Family?
  public var dscp: UInt8?
  /// Hz of the RTP timestamps.
  public var clockRate: UInt32?
  /// What hops run on each packet, in the order in which they run it.
  public var extensions: [ExtensionUse]
  /// What is expected of it at every hop; nil: nothing is. Relays do not depend on it.
  public var limits: StreamLimits?
  /// Protocol tcp: how hops relay it; nil: each in the way of its engine.
  public var mode: TCPMode?

  public init(
    name: String, transport: StreamProtocol, from: NodePort, via: [String] = [], to: [Sink],
    sources: [AddressPrefix] = [], family: IPAddress.Family? = nil, dscp: UInt8? = nil,
    clockRate: UInt32? = nil, extensions: [ExtensionUse] = [], limits: StreamLimits? = nil,
    mode: TCPMode? = nil
  ) {
    self.name = name
    self.transport = transport
    self.from = from
    self.via = via
    self.to = to
    self.sources = sources
    self.family = family
    self.dscp = dscp
    self.clockRate = clockRate
    self.extensions = extensions
    self.limits = limits
    self.mode = mode
  }
}

/// `node:port`.
public struct NodePort: Hashable, Sendable, CustomStringConvertible {
  public var node: String
  public var port: UInt16

  public init(node: String, port: UInt16) {
    self.node = node
    self.port = port
  }

  public var description: String { "\(node):\(port)" }
}

/// Where a stream ends.
public enum Sink: Hashable, Sendable {
  /// A socket on a node: that node is the last hop and delivers up its own stack.
  case node(NodePort)
  /// An address outside the topology. The last node of the path sends there.
  case host(Endpoint)
}
