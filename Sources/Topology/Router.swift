/// Routes the streams of a topology: paths, families, addresses and ports, in the order of the file.
///
/// Routing is pure and deterministic: one topology always gives the same relays, on whichever node it is asked.
struct Router {
  /// The relays of all streams that could be routed.
  private(set) var relays: [Relay] = []
  /// Why the others could not.
  private(set) var findings: [Finding] = []

  private let topology: Topology
  private var paths: PathFinder
  /// Ports that something listens on, for each node.
  private var taken: [Set<ListeningPort>]
  /// Ports that hops of a stream keep, by stream and node.
  private var kept: [String: [Int: UInt16]] = [:]
  /// Where earlier searches for a free port ended: ports never become free again, so later ones go on there.
  private var searched: [Search: Int] = [:]

  private struct Search: Hashable {
    var node: Int
    var start: UInt16
    var transport: StreamProtocol
  }

  /// - Parameter ports: Where hops behind the first listen if they can, by stream and node.
  init(_ topology: Topology, keeping ports: [String: [String: UInt16]] = [:]) {
    self.topology = topology
    paths = PathFinder(topology)
    let probed = topology.probedNodes
    taken = topology.nodes.map { probed.contains($0.name) ? [ListeningPort(number: topology.probePort)] : [] }
    for stream in topology.streams {
      var fixed = [stream.from]
      for case .node(let port) in stream.to { fixed.append(port) }
      for port in fixed {
        if let node = paths.index[port.node] { taken[node].formUnion(stream.transport.ports(from: port.port)) }
      }
    }
    for stream in topology.streams {
      for (name, port) in (ports[stream.name] ?? [:]).sorted(by: { $0.key < $1.key }) {
        guard let node = paths.index[name], port % 2 == stream.from.port % 2 else { continue }
        let ports = stream.transport.ports(from: port)
        guard taken[node].isDisjoint(with: ports) else { continue }
        taken[node].formUnion(ports)
        kept[stream.name, default: [:]][node] = port
      }
    }
  }

  /// Routes the streams of these indices, which must name only nodes that exist.
  mutating func route(streams: [Int]) {
    for index in streams {
      let count = findings.count
      let tree = paths.tree(of: topology.streams[index], index, &findings)
      guard findings.count == count else { continue }
      let chains = chains(of: index, tree)
      guard let family = family(of: index, tree) else { continue }
      let new = relays(of: index, tree, family, chains)
      if findings.count == count { relays += new }
    }
  }

  private mutating func found(_ place: Place, _ message: String, _ remedy: String) {
    findings.append(Finding(place: place, message: message, remedy: remedy))
  }

  // MARK: Addresses

  /// The address of a node on a link, or its first of the family.
  private func address(_ node: Int, on link: Int?, _ family: IPAddress.Family) -> IPAddress? {
    let node = topology.nodes[node]
    if let link { return topology.links[link].address(of: node, family) }
    return node.addresses.first { $0.family == family }
  }

  /// The family that a stream runs over; nil, and reported, where hops or sinks do not have it.
  private mutating func family(of index: Int, _ tree: [Hop]) -> IPAddress.Family? {
    let stream = topology.streams[index]
    // A node without any valid address has been reported as such.
    guard !tree.contains(where: { topology.nodes[$0.node].addresses.isEmpty }) else { return nil }
    func lacking(_ family: IPAddress.Family) -> String? {
      tree.first { hop in
        address(hop.node, on: hop.link, family) == nil
          || hop.next.contains { address(hop.node, on: tree[$0].link, family) == nil }
      }.map { topology.nodes[$0.node].name }
    }
    let family: IPAddress.Family
    if let chosen = stream.family {
      if let node = lacking(chosen) {
        found(
          .family(stream: index),
          "stream \(Words.quote(stream.name)) is \(chosen), but node \(Words.quote(node)) has no \(chosen) address",
          "give the node one, or choose another family or path")
        return nil
      }
      family = chosen
    } else if let first = lacking(.ipv4) {
      if let second = lacking(.ipv6) {
        found(
          .stream(index),
          "stream \(Words.quote(stream.name)) has no address family on all its hops: node \(Words.quote(first)) "
            + "has no ipv4 address, node \(Words.quote(second)) no ipv6 address",
          "give every hop an address of one family")
        return nil
      }
      family = .ipv6
    } else {
      family = .ipv4
    }
    let count = findings.count
    for (which, sink) in stream.to.enumerated() {
      guard case .host(let endpoint) = sink, endpoint.address.family != family else { continue }
      let other = endpoint.address.family
      found(
        .sink(stream: index, which), "sink \(endpoint) is \(other), but the stream runs over \(family)",
        lacking(other) == nil && stream.family == nil
          ? "write 'family: \(other)', or an \(family) address" : "write an \(family) address")
    }
    return findings.count == count ? family : nil
  }

  // MARK: Relays

  private mutating func relays(
    of index: Int, _ tree: [Hop], _ family: IPAddress.Family, _ chains: [[RelayExtensionUse]]
  ) -> [Relay] {
    let stream = topology.streams[index]
    var ingress: [Endpoint] = []
    for hop in tree {
      // family(of:_:) has seen to it that there is an address.
      guard let address = address(hop.node, on: hop.link, family),
        let port = hop.distance == 0 ? stream.from.port : freePort(stream, index, at: hop.node)
      else { return [] }
      ingress.append(Endpoint(address: address, port: port))
    }
    var relays: [Relay] = []
    for (number, hop) in tree.enumerated() {
      let sinks = sinks(of: hop, number, stream, tree, ingress, family)
      let node = topology.nodes[hop.node].name
      if sinks.count > Limits.sinksPerRelay {
        found(
          .stream(index),
          "stream \(Words.quote(stream.name)) has \(sinks.count) sinks at node \(Words.quote(node)); "
            + "\(Limits.sinksPerRelay) are the limit of a relay",
          "spread them over more nodes")
      }
      relays.append(
        Relay(
          stream: stream.name, node: node, hop: hop.distance, transport: stream.transport,
          ingress: ingress[number],
          sources: hop.parent.map { parent in
            [AddressPrefix(address(tree[parent].node, on: hop.link, family) ?? ingress[parent].address)]
          } ?? sources(of: index, family),
          sinks: sinks, dscp: stream.dscp, clockRate: stream.clockRate, extensions: chains[number],
          mode: stream.mode))
    }
    return relays
  }

  /// What each hop of the tree runs on each packet.
  private mutating func chains(of index: Int, _ tree: [Hop]) -> [[RelayExtensionUse]] {
    let stream = topology.streams[index]
    var chains: [[RelayExtensionUse]] = Array(repeating: [], count: tree.count)
    guard !stream.extensions.isEmpty else { return chains }
    let way = tree.map { topology.nodes[$0.node].name }
    let hops = Dictionary(way.enumerated().map { ($0.element, $0.offset) }, uniquingKeysWith: { a, _ in a })
    for (which, use) in stream.extensions.enumerated() {
      var chosen: [Int] = []
      switch use.at {
      case .first: chosen = [0]
      case .all: chosen = Array(tree.indices)
      case .nodes(let nodes):
        for (number, node) in nodes.enumerated() {
          if let hop = hops[node] {
            chosen.append(hop)
            continue
          }
          found(
            .extensionNode(stream: index, which, node: number),
            "node \(Words.quote(node)) is not on the way of stream \(Words.quote(stream.name))",
            "write \(Words.choice(Array(way.prefix(24)))), or lead the stream over it with 'via'")
        }
      }
      // The first to be one too many, wherever that is, stands for all of them.
      if let full = chosen.first(where: { chains[$0].count == Limits.extensionsPerRelay }) {
        found(
          .extensionUse(stream: index, which),
          "more than \(Limits.extensionsPerRelay) extensions of stream \(Words.quote(stream.name)) at node "
            + Words.quote(way[full]),
          "remove some, or run them at other nodes with 'at'")
        break
      }
      for hop in chosen { chains[hop].append(RelayExtensionUse(name: use.name, settings: use.settings)) }
    }
    return chains
  }

  /// Copies to other nodes and hosts in the order of the file, then the local one.
  private func sinks(
    of hop: Hop, _ number: Int, _ stream: Stream, _ tree: [Hop], _ ingress: [Endpoint],
    _ family: IPAddress.Family
  ) -> [RelaySink] {
    let own = ingress[number]
    let onward = hop.next.map { next in
      RelaySink(
        kind: .node, name: topology.nodes[tree[next].node].name, destination: ingress[next],
        source: Endpoint(address: address(hop.node, on: tree[next].link, family) ?? own.address, port: own.port)
      )
    }
    let outside = Endpoint(address: address(hop.node, on: nil, family) ?? own.address, port: own.port)
    var hosts: [RelaySink] = []
    var local: [RelaySink] = []
    for which in hop.sinks {
      switch stream.to[which] {
      case .host(let endpoint):
        hosts.append(RelaySink(kind: .host, name: "\(endpoint)", destination: endpoint, source: outside))
      case .node(let port):
        let destination = Endpoint(address: own.address, port: port.port)
        local.append(RelaySink(kind: .local, name: "\(port)", destination: destination, source: own))
      }
    }
    return onward + hosts + local
  }

  private mutating func sources(of index: Int, _ family: IPAddress.Family) -> [AddressPrefix] {
    let stream = topology.streams[index]
    let all =
      stream.sources.isEmpty
      ? (paths.index[stream.from.node].map { topology.nodes[$0].addresses } ?? []).map { AddressPrefix($0) }
      : stream.sources
    let usable = all.filter { $0.address.family == family }
    if usable.isEmpty {
      found(
        .sources(stream: index),
        "none of the sources of stream \(Words.quote(stream.name)) is \(family), which it runs over",
        "add an \(family) source, or choose another family")
    } else if usable.count > Limits.sourcesPerRelay {
      found(
        .sources(stream: index),
        "stream \(Words.quote(stream.name)) has \(usable.count) \(family) sources; "
          + "\(Limits.sourcesPerRelay) are the limit of a relay",
        "write prefixes that hold several of them")
    }
    return usable
  }

  /// The port that it keeps, or the stream's own, or the next free one in steps of two.
  private mutating func freePort(_ stream: Stream, _ index: Int, at node: Int) -> UInt16? {
    if let port = kept[stream.name]?[node] { return port }
    let search = Search(node: node, start: stream.from.port, transport: stream.transport)
    for port in stride(from: searched[search] ?? Int(stream.from.port), through: Int(UInt16.max), by: 2) {
      let ports = stream.transport.ports(from: UInt16(port))
      if taken[node].isDisjoint(with: ports) {
        taken[node].formUnion(ports)
        searched[search] = port
        return UInt16(port)
      }
    }
    found(
      .from(stream: index),
      "no free port from \(stream.from.port) up at node \(Words.quote(topology.nodes[node].name))",
      "let the stream enter at a lower port")
    return nil
  }
}

extension Topology {
  /// The relays of all nodes: stream by stream in the order of the file, each from its entry to its sinks.
  ///
  /// A topology that was decoded is valid, and every stream has relays. In one made by hand, streams that cannot
  /// be routed have none.
  public func relays() -> [Relay] { routed(keeping: [:]).relays }

  private func routed(keeping ports: [String: [String: UInt16]]) -> Router {
    let nodes = Set(nodes.map(\.name))
    var router = Router(self, keeping: ports)
    router.route(
      streams: streams.indices.filter { index in
        let stream = streams[index]
        var named = [stream.from.node] + stream.via
        for case .node(let port) in stream.to { named.append(port.node) }
        return nodes.isSuperset(of: named)
      })
    return router
  }

  /// The same, where hops behind the first listen at the ports that `ports` gives them, by stream and node, as far as
  /// these are free: so that what is new in a file moves nothing that runs.
  public func relays(keeping ports: [String: [String: UInt16]]) -> [Relay] {
    if ports.isEmpty { return relays() }
    let kept = routed(keeping: ports)
    if kept.findings.isEmpty { return kept.relays }
    // With ports kept there may be too few others.
    let plain = routed(keeping: [:])
    return plain.findings.count < kept.findings.count ? plain.relays : kept.relays
  }

  /// Ports of hops behind the first that differ from what ``relays()`` gives them, by stream and node: with them,
  /// ``relays(keeping:)`` makes the same relays again.
  ///
  /// - Parameter former: What runs.
  public func ports(keeping former: [Relay]) -> [String: [String: UInt16]] {
    func ports(_ relays: [Relay]) -> [String: [String: UInt16]] {
      relays.filter { $0.hop > 0 }.reduce(into: [:]) { $0[$1.stream, default: [:]][$1.node] = $1.ingress.port }
    }
    let wanted = ports(relays(keeping: ports(former)))
    if wanted == ports(relays()) { return [:] }
    // Those that have the port at which their stream enters find it again by themselves.
    let own = Dictionary(streams.map { ($0.name, $0.from.port) }, uniquingKeysWith: { first, _ in first })
    return wanted.reduce(into: [:]) { found, entry in
      let moved = entry.value.filter { $0.value != own[entry.key] }
      if !moved.isEmpty { found[entry.key] = moved }
    }
  }

  /// The relays of one node, in the order of ``relays()``.
  public func relays(on node: String) -> [Relay] {
    relays().filter { $0.node == node }
  }
}
