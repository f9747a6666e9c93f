import Foundation
import Testing
import Topology

import struct Topology.Stream

@testable import StreamRouter

/// The network of a lab as values: what would be made, without making it.
@Suite struct LabNetworkTests {
  private func node(_ name: String, _ addresses: String...) throws -> Node {
    Node(name: name, addresses: try addresses.map { try #require(IPAddress($0)) })
  }

  private func stream(
    from: String, via: [String] = [], to: [Sink], sources: [String] = []
  ) throws -> Stream {
    Stream(
      name: "s", transport: .udp, from: NodePort(node: from, port: 5004), via: via, to: to,
      sources: try sources.map { try #require(AddressPrefix($0)) })
  }

  @Test func aLinkBecomesAPairWithHostRoutesOnBothEnds() throws {
    let topology = Topology(
      name: "t", nodes: [try node("a", "10.0.0.1", "fd00::1"), try node("b", "10.0.0.2", "fd00::2")],
      links: [Link(a: "a", b: "b", mtu: 1400)], streams: [])
    let network = try LabNetwork(topology)
    #expect(
      network.creation == [
        "netns add sr-t-a", "netns add sr-t-b",
        "link add to-b netns sr-t-a type veth peer name to-a netns sr-t-b",
      ])
    #expect(
      network.setup(of: network.namespaces[1]) == [
        "link set lo gso_max_segs 1 up",
        "link set to-a addrgenmode none", "link set to-a mtu 1400", "link set to-a gso_max_segs 1 up",
        "address add fe80::2/64 dev to-a nodad",
        "address add 10.0.0.2/32 dev to-a", "address add fd00::2/128 dev to-a nodad",
        "route add 10.0.0.1/32 dev to-a src 10.0.0.2", "route add fd00::1/128 dev to-a src fd00::2",
      ])
  }

  @Test func withoutIPv6NothingOfItIsTouched() throws {
    let network = try LabNetwork(
      Topology(
        name: "t", nodes: [try node("a", "10.0.0.1"), try node("b", "10.0.0.2")], links: [Link(a: "a", b: "b")],
        streams: []))
    #expect(!network.namespaces.flatMap { network.setup(of: $0) }.contains { $0.contains("nodad") })
  }

  @Test func aNodeWithoutLinksHasItsAddressOnLo() throws {
    let network = try LabNetwork(
      Topology(name: "t", nodes: [try node("a", "10.0.0.1")], links: [], streams: []))
    #expect(
      network.setup(of: network.namespaces[0]) == [
        "link set lo gso_max_segs 1 up", "address add 10.0.0.1/32 dev lo",
      ])
  }

  @Test func addressesNamedByALinkAreItsOwnAndTheRoutesUseThem() throws {
    let topology = Topology(
      name: "t", nodes: [try node("a", "10.0.0.1"), try node("b", "10.0.0.2")],
      links: [
        Link(
          a: "a", b: "b",
          addresses: [
            "a": try #require(IPAddress("10.9.0.1")), "b": try #require(IPAddress("10.9.0.2")),
          ])
      ],
      streams: [])
    let network = try LabNetwork(topology)
    let lines = network.setup(of: network.namespaces[0])
    #expect(lines.contains("address add 10.9.0.1/32 dev to-b"))
    #expect(lines.contains("route add 10.9.0.2/32 dev to-b src 10.9.0.1"))
    #expect(lines.contains("route add 10.0.0.2/32 dev to-b src 10.9.0.1"))
  }

  @Test func sinksAndSourcesBeyondTheTopologyGetANamespaceOfTheirOwn() throws {
    let sink = try #require(Endpoint("192.0.2.7:6000"))
    let topology = Topology(
      name: "t", nodes: [try node("a", "10.0.0.1"), try node("b", "10.0.0.2")], links: [Link(a: "a", b: "b")],
      streams: [
        try stream(from: "a", via: ["b"], to: [.host(sink)], sources: ["10.0.0.0/24", "198.51.100.9"])
      ])
    let network = try LabNetwork(topology)
    let outside = try #require(network.namespaces.last)
    #expect(outside.node == "outside" && outside.name == "sr-t-outside")
    let lines = network.setup(of: outside)
    // 10.0.0.1 and 10.0.0.2 are nodes of the topology: the prefix's first free host is .3.
    #expect(lines.contains("address add 10.0.0.3/32 dev to-a"))
    #expect(lines.contains("address add 198.51.100.9/32 dev to-a"))
    #expect(lines.contains("address add 192.0.2.7/32 dev to-b"))
    #expect(lines.contains("route add 10.0.0.2/32 dev to-b src 192.0.2.7"))
    #expect(
      network.setup(of: network.namespaces[1]).contains("route add 192.0.2.7/32 dev to-outside src 10.0.0.2"))
  }

  @Test func aNodeMayNotTakeTheNameOfTheOutside() throws {
    let topology = Topology(
      name: "t", nodes: [try node("outside", "10.0.0.1")], links: [],
      streams: [try stream(from: "outside", to: [], sources: ["192.0.2.1"])])
    #expect(throws: LabError.reservedNode(name: "outside")) { try LabNetwork(topology) }
  }

  @Test func longNamesAreShortenedAlikeEveryTimeAndStayApart() throws {
    #expect(LabNames.device(to: "studio") == "to-studio")
    #expect(LabNames.device(to: "twelve-chars") == "to-twelve-chars")
    let one = LabNames.device(to: "thirteen-char")
    let other = LabNames.device(to: "thirteen-chas")
    #expect(one != other && one == LabNames.device(to: "thirteen-char"))
    #expect(one.utf8.count == 15 && one.hasPrefix("to-thirt-"))

    let topology = String(repeating: "t", count: 32)
    let long = LabNames.namespace(topology: topology, node: String(repeating: "n", count: 32))
    #expect(long.utf8.count == 60 && long.hasPrefix("sr-\(topology)-nnn"))
    #expect(LabNames.namespace(topology: "a", node: "b") == "sr-a-b")
  }

  @Test func theFingerprintTellsAnotherNetworkAndNothingElse() throws {
    var topology = Topology(
      name: "t", nodes: [try node("a", "10.0.0.1"), try node("b", "10.0.0.2")], links: [Link(a: "a", b: "b")],
      streams: [])
    let first = try LabNetwork(topology).fingerprint
    topology.streams = [
      try stream(from: "a", to: [.node(NodePort(node: "b", port: 5004))])
    ]
    #expect(try LabNetwork(topology).fingerprint == first)
    topology.links[0].mtu = 9000
    #expect(try LabNetwork(topology).fingerprint != first)
  }
}
