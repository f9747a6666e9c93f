import Foundation
import Testing

@testable import Topology

/// What `probe:` says, and which test packets follow from it.
@Suite struct LinkProbingTests {
  private static func yaml(_ top: String, links: [String] = ["a -- b", "b -- c"], from port: Int = 5000)
    -> String
  {
    Topology.yaml(
      nodes: "abc", links: links, streams: "  s: {protocol: udp, from: 'a:\(port)', to: 'c:\(port)'}")
      + "\n\(top)\n"
  }

  private static func topology(_ top: String, links: [String] = ["a -- b", "b -- c"]) throws -> Topology {
    try Topology.decode(yaml: yaml(top, links: links), file: "f")
  }

  @Test func everyLinkIsProbedFromBothEnds() throws {
    let topology = try Self.topology("")
    let b = try #require(topology.probes(on: "b"))
    #expect(b.port == 8622)
    #expect(b.links.map(\.peer) == ["a", "c"] && b.links.allSatisfy { $0.intervalMs == 200 })
    let a = try #require(topology.probes(on: "a"))
    #expect(a.links.map(\.peer) == ["b"])
    #expect(a.links[0].local == b.links[0].remote && a.links[0].remote == b.links[0].local)
    #expect(topology.probes(on: "nobody") == nil)
  }

  @Test func aLinkMayDiffer() throws {
    let topology = try Self.topology(
      "probe: {interval: 1s, port: 862}", links: ["{between: [a, b], probe: off}", "b -- c"])
    #expect(topology.probes(on: "a") == nil)
    #expect(topology.probes(on: "b")?.links.map(\.intervalMs) == [1000])
    #expect(topology.probes(on: "b")?.port == 862)
    let other = try Self.topology("probe: off", links: ["{between: [a, b], probe: 50ms}", "b -- c"])
    #expect(other.probes(on: "b")?.links == other.probes(on: "b")?.links.filter { $0.peer == "a" })
    #expect(other.probes(on: "a")?.links.map(\.intervalMs) == [50])
    #expect(other.probes(on: "c") == nil)
  }

  @Test func addressesAreThoseOfTheLink() throws {
    let yaml = """
      version: 1
      name: x
      nodes:
        a: {addresses: [10.0.0.1, "fd00::1"]}
        b: {addresses: ["fd00::2", 10.0.0.2]}
        c: "fd00::3"
      links:
        - {between: [a, b], addresses: {a: 10.1.0.1}}
        - b -- c
      """
    let topology = try Topology.decode(yaml: yaml, file: "f")
    let b = try #require(topology.probes(on: "b"))
    #expect(b.links.map { "\($0.local) \($0.remote)" } == ["10.0.0.2 10.1.0.1", "fd00::2 fd00::3"])
  }

  /// Relays know nothing of it: another interval restarts no stream. A port that is answered is not given to a relay.
  @Test func relaysDoNotDependOnIt() throws {
    #expect(try Self.topology("probe: off").relays() == Self.topology("probe: 10ms").relays())
    let moved = try Topology.decode(
      yaml: Self.yaml("probe: {port: 5002}", from: 5000).replacing(
        "  s: {", with: "  r: {protocol: udp, from: 'b:5000', to: 'c:5100'}\n  s: {"), file: "f")
    let atB = moved.relays(on: "b").map(\.ingress.port)
    #expect(atB.contains(5000) && atB.contains(5004) && !atB.contains(5002))
  }

  @Test(arguments: [
    ("probe: 5ms", "from 10ms to 60s"), ("probe: 61s", "from 10ms to 60s"), ("probe: 200", "write off"),
    ("probe: [off]", "write off"), ("probe: {every: 1s}", "unknown key"),
    ("probe: {port: 0}", "from 1 to 65535"),
    ("probe: {port: 5000}", "test packets of links are answered at port 5000"),
    ("probe: {interval: never}", "write off"),
  ])
  func mistakesAreTold(_ top: String, _ part: String) {
    let problems = Topology.problems(Self.yaml(top))
    #expect(!problems.isEmpty && problems.allSatisfy { "\($0)".contains(part) }, "\(problems)")
  }

  @Test(arguments: [
    "off", "10ms", "200ms", "60s", "1s", "60000ms", "", "s", "ms", "on", "1m", "1.5s", "-1s", "10 ms",
  ])
  func thePatternMeansWhatTheDecoderReads(_ text: String) {
    let matches = text.range(of: LinkProbing.pattern, options: .regularExpression) != nil
    #expect((LinkProbing(text) != nil) == matches)
  }

  @Test func theyPassThroughJSON() throws {
    let probes = try #require(try Self.topology("").probes(on: "b"))
    #expect(try JSONDecoder().decode(NodeProbes.self, from: try JSONEncoder().encode(probes)) == probes)
  }
}
