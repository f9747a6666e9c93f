import Testing

@testable import Topology

@Suite struct RoutingTests {
  @Test func threeHopsChainAddressesPortsAndSources() throws {
    let topology = try Topology.example("three-hop.yaml")
    let video = topology.relays().filter { $0.stream == "video" }
    #expect(
      video == [
        Relay(
          stream: "video", node: "camera", hop: 0, transport: .rtp, ingress: at("10.42.0.1:5004"),
          sources: [AddressPrefix("10.42.0.1")!],
          sinks: [
            RelaySink(
              kind: .node, name: "edge", destination: at("10.42.0.2:5004"), source: at("10.42.0.1:5004"))
          ], dscp: 34),
        Relay(
          stream: "video", node: "edge", hop: 1, transport: .rtp, ingress: at("10.42.0.2:5004"),
          sources: [AddressPrefix("10.42.0.1")!],
          sinks: [
            RelaySink(
              kind: .node, name: "studio", destination: at("10.42.0.3:5006"), source: at("10.42.0.2:5004"))
          ], dscp: 34),
        // The sink has port 5004 of this node, so the hop listens on the next pair.
        Relay(
          stream: "video", node: "studio", hop: 2, transport: .rtp, ingress: at("10.42.0.3:5006"),
          sources: [AddressPrefix("10.42.0.2")!],
          sinks: [
            RelaySink(
              kind: .local, name: "studio:5004", destination: at("10.42.0.3:5004"), source: at("10.42.0.3:5006")
            )
          ], dscp: 34),
      ])
    #expect(topology.relays(on: "studio").map(\.stream) == ["video", "audio"])
    #expect(topology.relays(on: "studio")[1].ingress == at("10.42.0.3:5010"))
    #expect(topology.relays(on: "nobody").isEmpty)
  }

  @Test func fanOutCopiesWhereThePathsPart() throws {
    let relays = try Topology.example("fan-out.yaml").relays()
    #expect(relays.map(\.node) == ["camera", "edge", "studio-a", "studio-b"])
    #expect(relays.map(\.hop) == [0, 1, 2, 2])
    #expect(
      relays[1].sinks == [
        RelaySink(
          kind: .node, name: "studio-a", destination: at("10.43.1.3:5000"), source: at("10.43.1.2:5000")),
        RelaySink(
          kind: .node, name: "studio-b", destination: at("10.43.2.3:5000"), source: at("10.43.2.2:5000")),
        RelaySink(
          kind: .host, name: "192.0.2.10:7000", destination: at("192.0.2.10:7000"), source: at("10.43.0.2:5000")
        ),
      ])
    // Each next hop accepts exactly what the links' addresses say it is sent from.
    #expect(relays[2].sources == [AddressPrefix("10.43.1.2")!])
    #expect(relays[3].sources == [AddressPrefix("10.43.2.2")!])
  }

  @Test func aLocalSinkStandsLast() throws {
    let relays = try Topology.of(
      nodes: "abc", links: ["a -- b", "b -- c"],
      streams: "  s: {protocol: udp, from: a:5, via: [b], to: [b:9, 192.0.2.1:7, c:5]}"
    ).relays()
    #expect(relays.map(\.node) == ["a", "b", "c"])
    #expect(relays[1].sinks.map(\.kind) == [.node, .host, .local])
  }

  @Test func hopsThatSomeSinksShareAreSharedBeyondVia() throws {
    //  a -- b -- c -- d
    //            '--- e
    let relays = try Topology.of(
      nodes: "abcde", links: ["a -- b", "b -- c", "c -- d", "c -- e"],
      streams: "  s: {protocol: udp, from: a:5, to: [d:5, e:5, c:9]}"
    ).relays()
    #expect(relays.map(\.node) == ["a", "b", "c", "d", "e"])
    #expect(relays[2].sinks.map(\.name) == ["d", "e", "c:9"])
  }

  @Test func theShortestWayWinsAndLinksInTheFileSettleTies() throws {
    //  a -- b -- d      a -- c -- d      a -- e -- f -- d
    func way(_ links: [String]) throws -> [String] {
      try Topology.of(nodes: "abcdef", links: links, streams: "  s: {protocol: udp, from: a:5, to: d:5}")
        .relays()
        .map(\.node)
    }
    #expect(
      try way(["a -- e", "e -- f", "f -- d", "a -- c", "a -- b", "b -- d", "c -- d"]) == ["a", "c", "d"])
    #expect(
      try way(["a -- e", "e -- f", "f -- d", "b -- a", "a -- c", "c -- d", "b -- d"]) == ["a", "b", "d"])
    #expect(try way(["a -- e", "e -- f", "f -- d", "a -- b"]) == ["a", "e", "f", "d"])
  }

  @Test func viaTakesTheLongWay() throws {
    let relays = try Topology.of(
      nodes: "abcd", links: ["a -- d", "a -- b", "b -- c", "c -- d"],
      streams: "  s: {protocol: udp, from: a:5, via: [b, c], to: d:5}"
    ).relays()
    #expect(relays.map(\.node) == ["a", "b", "c", "d"])
    #expect(relays.map(\.hop) == [0, 1, 2, 3])
  }

  @Test func hostSinksLeaveFromTheLastViaOrTheFirstNode() throws {
    let topology = try Topology.of(
      nodes: "ab", links: ["a -- b"],
      streams: """
          s: {protocol: udp, from: a:5, to: 192.0.2.1:7}
          t: {protocol: udp, from: a:6, via: b, to: 192.0.2.1:7}
        """)
    #expect(topology.relays().map { "\($0.stream) \($0.node)" } == ["s a", "t a", "t b"])
  }

  @Test func portsOfFormerStreamsSinksAndEntriesAreLeftAlone() throws {
    let relays = try Topology.of(
      nodes: "ab", links: ["a -- b"],
      streams: """
          s: {protocol: rtp, from: a:5000, to: b:6000}
          t: {protocol: udp, from: a:5002, to: b:5004}
          u: {protocol: rtp, from: b:5002, to: a:5010}
          v: {protocol: rtp, from: a:5004, to: b:5010}
          w: {protocol: udp, from: a:4999, to: b:5012}
        """
    ).relays()
    let ports = Dictionary(
      uniqueKeysWithValues: relays.filter { $0.hop == 1 }.map { ($0.stream, Int($0.ingress.port)) })
    #expect(
      ports == [
        "s": 5000,
        // 5002 is where u enters, 5004 where t's own sink listens.
        "t": 5006,
        // 5002 and 5004 are where t and v enter at node a.
        "u": 5006,
        // 5004 is t's sink and 5006 t's hop; 5008 is free, and so is 5009.
        "v": 5008,
        "w": 4999,
      ])
  }

  @Test func noTwoListenersOfANodeEverMeet() throws {
    let streams = (0..<60).map { index in
      let from = ["a", "b", "c"][index % 3]
      let to = ["b", "c", "a"][index % 3]
      let transport = index % 2 == 0 ? "rtp" : "udp"
      return "  s\(index): {protocol: \(transport), from: \(from):\(5000 + index / 3 * 2), "
        + "to: \(to):\(5500 + index / 3 * 2)}"
    }
    let relays = try Topology.of(
      nodes: "abc", links: ["a -- b", "b -- c", "c -- a"], streams: streams.joined(separator: "\n")
    ).relays()
    #expect(relays.count == 120)
    var sockets: Set<String> = []
    for relay in relays {
      for port in relay.transport.ports(from: relay.ingress.port) {
        #expect(sockets.insert("\(relay.node):\(port)").inserted, "\(relay.stream) at \(relay.node):\(port)")
      }
      for sink in relay.sinks where sink.kind == .local {
        for port in relay.transport.ports(from: sink.destination.port) {
          #expect(sockets.insert("\(relay.node):\(port)").inserted, "\(relay.stream) at \(relay.node):\(port)")
        }
      }
    }
  }

  @Test func familyIsIPv4WhereAllHopsHaveIt() throws {
    func address(_ stream: String, nodes: String) throws -> String {
      try Topology.decode(
        yaml: "version: 1\nname: x\nnodes: {\(nodes)}\nlinks: [a -- b]\nstreams: {s: {\(stream)}}", file: "f"
      ).relays()[1].ingress.description
    }
    let stream = "protocol: udp, from: a:5, to: b:9"
    let both = "a: {addresses: [10.0.0.1, 'fd00::1']}, b: {addresses: ['fd00::2', 10.0.0.2]}"
    #expect(try address(stream, nodes: both) == "10.0.0.2:5")
    #expect(try address(stream + ", family: ipv6", nodes: both) == "[fd00::2]:5")
    #expect(
      try address(stream, nodes: "a: {addresses: [10.0.0.1, 'fd00::1']}, b: {address: 'fd00::2'}")
        == "[fd00::2]:5")
  }

  @Test func firstHopAcceptsOnlyItsOwnNodeUnlessSourcesSayMore() throws {
    func sources(_ more: String) throws -> [String] {
      try Topology.of(
        nodes: "ab", links: ["a -- b"], streams: "  s: {protocol: udp, from: a:5, to: b:5\(more)}"
      )
      .relays()[0].sources.map(\.description)
    }
    #expect(try sources("") == ["10.0.0.1/32"])
    #expect(try sources(", family: ipv6") == ["fd00::1/128"])
    // Entries of the other family are for the day on which the stream changes over.
    #expect(try sources(", sources: [b, 192.0.2.0/24]") == ["10.0.0.2/32", "192.0.2.0/24"])
    #expect(try sources(", sources: 0.0.0.0/0") == ["0.0.0.0/0"])
  }

  @Test func everyRelayKeepsToItsLimitsAndRunsOnItsOwnNode() throws {
    for (name, yaml) in try Repository.examples() {
      let topology = try Topology.decode(yaml: yaml, file: name)
      #expect(!topology.relays().isEmpty)
      for relay in topology.relays() {
        #expect((1...Limits.sinksPerRelay).contains(relay.sinks.count))
        #expect((1...Limits.sourcesPerRelay).contains(relay.sources.count))
        #expect(topology.node(relay.node)?.addresses.contains(relay.ingress.address) == true)
      }
    }
  }

  @Test func aTopologyMadeByHandIsRoutedAsFarAsItGoes() {
    let stream = Stream(
      name: "s", transport: .udp, from: NodePort(node: "a", port: 5), to: [.node(NodePort(node: "b", port: 5))])
    let topology = Topology(
      name: "x", nodes: [Node(name: "a", addresses: [IPAddress("10.0.0.1")!])], links: [], streams: [stream])
    #expect(topology.relays().isEmpty)
  }

  private func at(_ text: String) -> Endpoint { Endpoint(text)! }
}
