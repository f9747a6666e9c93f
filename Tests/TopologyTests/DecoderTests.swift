import Foundation
import Testing

@testable import Topology

@Suite struct DecoderTests {
  @Test func everyFieldIsRead() throws {
    let topology = try Topology.decode(
      yaml: """
        version: 1
        name: full
        nodes:
          a:
            addresses: [10.0.0.1, "fd00::1"]
            engine: process
            scheduling: {policy: rr, priority: 20}
            labels: {site: hall, rack: 7}
          b: {address: 10.0.0.2, scheduling: fifo}
          c: 10.0.0.3
        links:
          - a -- b
          - between: [b, c]
            addresses: {c: 10.0.1.3}
            mtu: 1400
        streams:
          s:
            protocol: rtp
            from: a:5004
            via: [b]
            to: [c:5004, 192.0.2.7:6000]
            sources: [b, 192.0.2.0/24]
            family: ipv4
            dscp: ef
            clockRate: 48000
            expect: {loss: 0}
          t: {protocol: udp, from: a:7001, to: "[2001:db8::1]:7000", dscp: 10, family: ipv6}
        """, file: "full.yaml")
    #expect(
      topology
        == Topology(
          name: "full",
          nodes: [
            Node(
              name: "a", addresses: [ip("10.0.0.1"), ip("fd00::1")], engine: .process,
              scheduling: .rr(priority: 20),
              labels: ["site": "hall", "rack": "7"]),
            Node(name: "b", addresses: [ip("10.0.0.2")], scheduling: .fifo(priority: 10)),
            Node(name: "c", addresses: [ip("10.0.0.3")]),
          ],
          links: [Link(a: "a", b: "b"), Link(a: "b", b: "c", addresses: ["c": ip("10.0.1.3")], mtu: 1400)],
          streams: [
            Stream(
              name: "s", transport: .rtp, from: NodePort(node: "a", port: 5004), via: ["b"],
              to: [
                .node(NodePort(node: "c", port: 5004)), .host(Endpoint(address: ip("192.0.2.7"), port: 6000)),
              ],
              sources: [AddressPrefix(ip("10.0.0.2")), AddressPrefix("192.0.2.0/24")!], family: .ipv4, dscp: 46,
              clockRate: 48000, limits: StreamLimits([StreamLimit(.loss, atMost: 0)])),
            Stream(
              name: "t", transport: .udp, from: NodePort(node: "a", port: 7001),
              to: [.host(Endpoint(address: ip("2001:db8::1"), port: 7000))], family: .ipv6, dscp: 10),
          ]))
  }

  @Test func streamsMayStandBeforeTheNodesTheyName() throws {
    let topology = try Topology.decode(
      yaml: """
        streams: {s: {protocol: udp, from: a:1, to: a:2, sources: a}}
        nodes: {a: 10.0.0.1}
        name: x
        version: 1
        """, file: "f")
    #expect(topology.streams[0].sources == [AddressPrefix(ip("10.0.0.1"))])
  }

  @Test func aliasesOfValuesAreRead() throws {
    let topology = try Topology.decode(
      yaml: """
        version: 1
        name: x
        nodes:
          a: {address: 10.0.0.1, engine: &e process, labels: &l {site: hall}}
          b: {address: 10.0.0.2, engine: *e, labels: *l}
        """, file: "f")
    #expect(topology.nodes[1].engine == .process)
    #expect(topology.nodes[1].labels == ["site": "hall"])
  }

  @Test func everyNameOfACodePointIsRead() throws {
    for (name, value) in Grammar.dscp {
      let topology = try Topology.of(
        nodes: "a", links: [], streams: "  s: {protocol: udp, from: a:1, to: a:2, dscp: \(name)}")
      #expect(topology.streams[0].dscp == value)
    }
  }

  @Test func tenMistakesGetTenMessages() throws {
    let yaml = try Repository.text(Repository.fixtures.appending(path: "ten-mistakes.yaml"))
    let expected = try Repository.text(Repository.fixtures.appending(path: "ten-mistakes.txt"))
      .split(separator: "\n").map { "f:\($0)" }
    #expect(expected.count == 10)
    #expect(Topology.problems(yaml) == expected)
  }

  @Test func loadReadsAFileAndSaysWhyItCannot() throws {
    let path = Repository.topologies.appending(path: "three-hop.yaml").path(percentEncoded: false)
    #expect(try Topology.load(path: path) == Topology.example("three-hop.yaml"))
    #expect(
      throws: TopologyError.unreadable(file: "no/such.yaml", reason: "No such file or directory")
    ) { try Topology.load(path: "no/such.yaml") }
  }

  @Test func loadPointsAtTheFirstByteThatIsNotUTF8() throws {
    let file = FileManager.default.temporaryDirectory.appending(path: "topology-\(UUID()).yaml")
    try Data(Array("version: 1\nné: ".utf8) + [0xff, 0x0a]).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let error = #expect(throws: TopologyError.self) {
      try Topology.load(path: file.path(percentEncoded: false))
    }
    #expect(error?.problems.map(\.line) == [2])
    #expect(error?.problems.map(\.column) == [5])
  }

  private func ip(_ text: String) -> IPAddress { IPAddress(text)! }
}
