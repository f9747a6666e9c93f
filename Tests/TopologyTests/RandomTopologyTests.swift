import TestSupport
import Testing

@testable import Topology

/// What holds for the relays of every topology, tried on random ones.
@Suite struct RandomTopologyTests {
  @Test(arguments: 0..<400)
  func relaysFitTogether(seed: Int) throws {
    var random = SeededRandom(seed: UInt64(seed))
    let topology = Self.topology(&random)
    let relays = topology.relays()
    #expect(Set(topology.nodes.flatMap { topology.relays(on: $0.name) }) == Set(relays))
    var sockets: Set<String> = []
    for stream in topology.streams {
      let own = relays.filter { $0.stream == stream.name }
      guard !own.isEmpty else { continue }
      try check(stream, own, of: topology)
      for relay in own {
        var ports = relay.transport.ports(from: relay.ingress.port)
        for sink in relay.sinks where sink.kind == .local {
          ports += relay.transport.ports(from: sink.destination.port)
        }
        for port in ports {
          #expect(sockets.insert("\(relay.node):\(port)").inserted, "\(relay.stream) at \(relay.node):\(port)")
        }
      }
    }
    // Streams have relays exactly where validation finds nothing wrong.
    let wrong = Set(topology.findings().compactMap { $0.place.stream })
    for (index, stream) in topology.streams.enumerated() where !wrong.contains(index) {
      #expect(relays.contains { $0.stream == stream.name }, "\(stream)")
    }
  }

  @Test func mostRandomTopologiesRouteSomething() {
    let routed = (0..<400).count { seed in
      var random = SeededRandom(seed: UInt64(seed))
      return !Self.topology(&random).relays().isEmpty
    }
    #expect(routed > 300)
  }

  /// One stream: a tree from its entry that reaches each sink once, every hop accepting exactly the hop before.
  private func check(_ stream: Stream, _ relays: [Relay], of topology: Topology) throws {
    #expect(relays.first?.hop == 0)
    #expect(relays.first?.node == stream.from.node)
    #expect(relays.first?.ingress.port == stream.from.port)
    #expect(Set(relays.map(\.node)).count == relays.count)
    #expect(Set(relays.map(\.node)).isSuperset(of: stream.via))
    for relay in relays {
      let chain = stream.extensions.filter { use in
        switch use.at {
        case .first: relay.hop == 0
        case .all: true
        case .nodes(let nodes): nodes.contains(relay.node)
        }
      }
      #expect(relay.extensions == chain.map { RelayExtensionUse(name: $0.name, settings: $0.settings) })
      #expect(relay.extensions.count <= Limits.extensionsPerRelay)
    }
    var families: Set<IPAddress.Family> = []
    for relay in relays {
      families.insert(relay.ingress.address.family)
      for source in relay.sources { families.insert(source.address.family) }
      for sink in relay.sinks {
        families.formUnion([sink.destination.address.family, sink.source.address.family])
      }
    }
    #expect(families.count == 1)
    var reached = 1
    var ends: [String] = []
    for relay in relays {
      for sink in relay.sinks {
        #expect(sink.source.port == relay.ingress.port)
        guard sink.kind == .node else {
          ends.append(sink.name)
          continue
        }
        let next = try #require(relays.first { $0.node == sink.name })
        reached += 1
        #expect(next.hop == relay.hop + 1)
        #expect(next.ingress == sink.destination)
        #expect(next.sources == [AddressPrefix(sink.source.address)])
        #expect(topology.links.contains { Set([$0.a, $0.b]) == [relay.node, next.node] })
      }
      #expect(relay.sinks.dropLast().allSatisfy { $0.kind != .local })
    }
    #expect(reached == relays.count)
    #expect(ends.sorted() == stream.to.map(name).sorted())
  }

  private func name(_ sink: Sink) -> String {
    switch sink {
    case .node(let port): "\(port)"
    case .host(let endpoint): "\(endpoint)"
    }
  }

  /// Mostly none: those at one node are off the way of many a stream, which then has no relays.
  private static func extensions(_ random: inout SeededRandom, nodes: Int) -> [ExtensionUse] {
    guard random.once(in: 4) else { return [] }
    return (0..<Int.random(in: 1...5, using: &random)).map { _ in
      let node = "n\(Int.random(in: 0..<nodes, using: &random))"
      return ExtensionUse(
        name: "e\(Int.random(in: 0..<3, using: &random))",
        settings: Bool.random(using: &random) ? ["p": .signed(-1), "q": .bool(true)] : [:],
        at: random.once(in: 6) ? .nodes([node]) : Bool.random(using: &random) ? .first : .all)
    }
  }

  /// Up to eight nodes of mixed families, random links with and without addresses, and six streams.
  static func topology(_ random: inout SeededRandom) -> Topology {
    let count = Int.random(in: 2...8, using: &random)
    let nodes = (0..<count).map { index in
      let both = [IPAddress("10.0.0.\(index + 1)")!, IPAddress("fd00::\(index + 1)")!]
      let addresses = Int.random(in: 0..<6, using: &random) > 0 ? both : [both.randomElement(using: &random)!]
      return Node(name: "n\(index)", addresses: addresses)
    }
    var links: [Link] = []
    for a in 0..<count {
      for b in 0..<a where Int.random(in: 0..<5, using: &random) < 2 || b == a - 1 {
        var link = Link(a: "n\(a)", b: "n\(b)")
        if Bool.random(using: &random) { link.addresses["n\(a)"] = IPAddress("10.\(a + 1).\(b + 1).1")! }
        if Bool.random(using: &random) { link.addresses["n\(b)"] = IPAddress("10.\(a + 1).\(b + 1).2")! }
        links.append(link)
      }
    }
    links.shuffle(using: &random)
    let streams = (0..<6).map { index in
      let sinks = Set(
        (0..<Int.random(in: 1...4, using: &random)).map { _ in Int.random(in: 0..<count, using: &random) })
      var to = sinks.sorted().map { Sink.node(NodePort(node: "n\($0)", port: UInt16(5100 + index * 2))) }
      if Int.random(in: 0..<4, using: &random) == 0 {
        to.append(.host(Endpoint("192.0.2.1:\(6000 + index * 2)")!))
      }
      return Stream(
        name: "s\(index)", transport: Bool.random(using: &random) ? .rtp : .udp,
        from: NodePort(node: "n\(Int.random(in: 0..<count, using: &random))", port: UInt16(5000 + index * 2)),
        via: Int.random(in: 0..<3, using: &random) == 0
          ? ["n\(Int.random(in: 0..<count, using: &random))"] : [],
        to: to, extensions: extensions(&random, nodes: count))
    }
    return Topology(name: "random", nodes: nodes, links: links, streams: streams)
  }
}

extension Place {
  fileprivate var stream: Int? {
    switch self {
    case .stream(let index), .from(let index), .via(let index, _), .sink(let index, _), .sources(let index),
      .family(let index), .extensionUse(let index, _), .extensionNode(let index, _, _):
      index
    case .topology, .node, .address, .link, .linkAddress, .mtu: nil
    }
  }
}
