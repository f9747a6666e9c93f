import Topology

import struct Topology.Stream

/// Where a stream of a topology is met: whence packets must be sent for its first hop to take them, and where they
/// come out. In a lab each place has its namespace.
public struct StreamEnds: Sendable {
  /// A socket address, in the namespace of a node or on this machine.
  public struct Place: Hashable, Sendable {
    /// The node's name, or ``LabNames/outside``.
    public var node: String
    /// nil: this machine, or a lab on loopback addresses.
    public var namespace: String?
    public var endpoint: Endpoint
  }

  public let topology: Topology
  public let stream: Stream
  /// Hop by hop, from the entry.
  public let relays: [Relay]
  private let namespaces: [String: String]

  /// - Parameter lab: Whose namespaces the places are in; nil where the nodes run on machines of their own.
  /// - Throws: ``TrafficError/unknownStream(_:topology:known:)``.
  public init(_ name: String, of topology: Topology, lab: String? = nil) throws {
    guard let stream = topology.streams.first(where: { $0.name == name }) else {
      throw TrafficError.unknownStream(name, topology: topology.name, known: topology.streams.map(\.name))
    }
    self.topology = topology
    self.stream = stream
    relays = topology.relays().filter { $0.stream == name }
    namespaces = try lab.flatMap { try LabState.load(topology: $0) }?.namespaces ?? [:]
  }

  /// Refuses a stream of connections.
  ///
  /// - Parameter tool: The command that is for datagrams.
  /// - Throws: ``TrafficError/notDatagrams(stream:tool:)``.
  public func requireDatagrams(for tool: String) throws {
    guard stream.transport.isDatagrams else { throw TrafficError.notDatagrams(stream: stream.name, tool: tool) }
  }

  /// The namespace of a node in the lab; nil where it has none.
  public func namespace(of node: String) -> String? { namespaces[node] }

  // MARK: The entry

  /// Where the first hop listens.
  public var ingress: Endpoint { relays[0].ingress }

  /// An address from which the first hop takes packets, and the node that has it: the first hop's own where that is
  /// allowed, else another node's, else one of the outside.
  ///
  /// - Parameter node: The node to send from, where the caller chose one.
  /// - Throws: ``TrafficError/noSourceAddress(stream:node:sources:)``.
  public func source(at node: String? = nil) throws -> (node: String, namespace: String?, address: IPAddress) {
    let allowed = relays[0].sources
    var candidates = [stream.from.node] + topology.nodes.map(\.name)
    if !LabOutside(topology).isEmpty { candidates.append(LabNames.outside) }
    for candidate in node.map({ [$0] }) ?? candidates {
      let address = addresses(of: candidate).first { address in allowed.contains { $0.contains(address) } }
      if let address { return (candidate, namespaces[candidate], address) }
    }
    throw TrafficError.noSourceAddress(
      stream: stream.name, node: node ?? "no node", sources: allowed.map(\.description))
  }

  private func addresses(of node: String) -> [IPAddress] {
    if node == LabNames.outside { return LabOutside(topology).peers.flatMap(\.addresses) }
    let ofNode = topology.node(node)?.addresses ?? []
    return ofNode + topology.links.compactMap { $0.addresses[node] }
  }

  // MARK: The sinks

  /// Every place where packets come out, in the order of the file.
  public var sinks: [Place] {
    let delivered = relays.flatMap { relay in relay.sinks.map { (relay.node, $0) } }
    return stream.to.compactMap { sink in
      for (node, copy) in delivered {
        switch (sink, copy.kind) {
        case (.node(let port), .local) where port.node == node:
          return Place(node: node, namespace: namespaces[node], endpoint: copy.destination)
        case (.host(let endpoint), .host) where endpoint == copy.destination:
          return Place(node: LabNames.outside, namespace: namespaces[LabNames.outside], endpoint: endpoint)
        default: continue
        }
      }
      return nil
    }
  }

  /// The only sink, or the one at a node.
  ///
  /// - Throws: ``TrafficError/severalSinks(stream:nodes:)``, ``TrafficError/unknownNode(_:stream:known:)``.
  public func sink(at node: String? = nil) throws -> Place {
    let sinks = self.sinks
    if let node {
      guard let sink = sinks.first(where: { $0.node == node || "\($0.endpoint)" == node }) else {
        throw TrafficError.unknownNode(node, stream: stream.name, known: sinks.map(\.node))
      }
      return sink
    }
    guard sinks.count == 1, let only = sinks.first else {
      throw TrafficError.severalSinks(
        stream: stream.name, nodes: sinks.map { $0.node == LabNames.outside ? "\($0.endpoint)" : $0.node })
    }
    return only
  }
}
