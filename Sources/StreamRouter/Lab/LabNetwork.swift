import Topology

/// The network that a lab makes for a topology: namespaces, veth pairs, addresses and host routes, as values.
/// Pure: what it says is carried out by ``Lab``.
public struct LabNetwork: Hashable, Sendable {
  /// One node's namespace, or the one that stands for everything outside the topology.
  public struct Namespace: Hashable, Sendable {
    /// The node's name, or ``LabNames/outside``.
    public var node: String
    /// As `ip netns` knows it.
    public var name: String
    /// On every device of the namespace; on lo where there is no other.
    public var addresses: [IPAddress]
    public var devices: [Device]
  }

  /// One end of a veth pair.
  public struct Device: Hashable, Sendable {
    public var name: String
    public var peerNode: String
    /// On this device besides the namespace's own.
    public var addresses: [IPAddress]
    public var mtu: Int?
    /// The last byte of the device's link-local address: 1 at one end of a link and 2 at the other.
    public var linkLocal: Int
    /// Destinations on the other end, each with the source address that packets to it carry.
    public var routes: [Route]
  }

  public struct Route: Hashable, Sendable {
    public var destination: IPAddress
    public var source: IPAddress?
  }

  /// In the order of the topology, the outside last.
  public var namespaces: [Namespace]
  /// Whether IPv6 is set up. Without an IPv6 address in the topology a kernel without IPv6 will do.
  public var hasIPv6: Bool

  /// Whether all nodes can live on this machine's loopback device, without namespaces and privileges.
  public static func isLoopback(_ topology: Topology) -> Bool {
    topology.nodes.allSatisfy { $0.addresses.allSatisfy(\.isLoopback) }
  }

  /// Lays the network out.
  ///
  /// - Throws: ``LabError/reservedNode(name:)``, ``LabError/deviceNameTaken(node:device:)``.
  public init(_ topology: Topology) throws(LabError) {
    var spaces: [String: Namespace] = [:]
    for node in topology.nodes {
      spaces[node.name] = Namespace(
        node: node.name, name: LabNames.namespace(topology: topology.name, node: node.name),
        addresses: node.addresses.filter { !$0.isLoopback }, devices: [])
    }
    for link in topology.links {
      Self.connect(link, in: &spaces)
    }
    var order = topology.nodes.map(\.name)
    let outside = LabOutside(topology)
    if !outside.isEmpty {
      guard topology.node(LabNames.outside) == nil else { throw .reservedNode(name: LabNames.outside) }
      spaces[LabNames.outside] = Namespace(
        node: LabNames.outside, name: LabNames.namespace(topology: topology.name, node: LabNames.outside),
        addresses: [], devices: [])
      order.append(LabNames.outside)
      for peer in outside.peers {
        Self.connectOutside(peer, in: &spaces)
      }
    }
    namespaces = order.compactMap { spaces[$0] }
    hasIPv6 = namespaces.contains { space in
      (space.addresses + space.devices.flatMap(\.addresses)).contains { $0.family == .ipv6 }
    }
    for space in namespaces {
      var seen: Set<String> = []
      for device in space.devices where !seen.insert(device.name).inserted {
        throw .deviceNameTaken(node: space.node, device: device.name)
      }
    }
  }

  private static func connect(_ link: Link, in spaces: inout [String: Namespace]) {
    guard let a = spaces[link.a], let b = spaces[link.b] else { return }
    for (near, far, side) in [(a, b, 1), (b, a, 2)] {
      let named = link.addresses[near.node]
      let extra = [named].compactMap { $0 }.filter { !near.addresses.contains($0) && !$0.isLoopback }
      let farNamed = [link.addresses[far.node]].compactMap { $0 }
      let reachable =
        farNamed + far.addresses.filter { !farNamed.contains($0) }
      let own = [named].compactMap { $0 } + near.addresses
      spaces[near.node]?.devices.append(
        Device(
          name: LabNames.device(to: far.node), peerNode: far.node, addresses: extra, mtu: link.mtu,
          linkLocal: side, routes: routes(to: reachable, from: own)))
    }
  }

  private static func connectOutside(_ peer: LabOutside.Peer, in spaces: inout [String: Namespace]) {
    guard let near = spaces[peer.node] else { return }
    spaces[peer.node]?.devices.append(
      Device(
        name: LabNames.device(to: LabNames.outside), peerNode: LabNames.outside, addresses: [], mtu: nil,
        linkLocal: 1, routes: routes(to: peer.addresses + peer.groups, from: near.addresses)))
    spaces[LabNames.outside]?.devices.append(
      Device(
        name: LabNames.device(to: peer.node), peerNode: peer.node, addresses: peer.addresses, mtu: nil,
        linkLocal: 2, routes: routes(to: near.addresses, from: peer.addresses)))
  }

  /// A destination whose family the near end does not speak gets no route.
  private static func routes(to destinations: [IPAddress], from own: [IPAddress]) -> [Route] {
    destinations.compactMap { destination in
      own.first { $0.family == destination.family }.map { Route(destination: destination, source: $0) }
    }
  }
}
