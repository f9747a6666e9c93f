import TestSupport
import Testing

@testable import Topology

/// What is new in a file moves no hop of a stream that runs.
@Suite struct KeptPortTests {
  private static func topology(_ streams: [String]) throws -> Topology {
    try Topology.decode(
      yaml: Topology.yaml(
        nodes: "abcd", links: ["a -- b", "b -- c", "b -- d"],
        streams: streams.map { "  " + $0 }.joined(separator: "\n")),
      file: "f")
  }

  private static func moved(_ old: [Relay], _ new: [Relay]) -> [String] {
    new.compactMap { relay in
      old.first { $0.stream == relay.stream && $0.node == relay.node && $0.ingress != relay.ingress }
        .map { "\(relay.stream) at \(relay.node): \($0.ingress) becomes \(relay.ingress)" }
    }
  }

  private let first = "old: {protocol: udp, from: 'a:5000', to: 'c:9000'}"

  @Test func aStreamThatIsWrittenAboveTakesNobodysPort() throws {
    let old = try Self.topology([first]).relays()
    // It enters elsewhere at the same port, and passes b too.
    let new = try Self.topology(["new: {protocol: udp, from: 'd:5000', to: 'a:6000'}", first])
    let file = try #require(new.relays().first { $0.stream == "new" && $0.node == "b" })
    #expect(file.ingress.port == 5000)
    #expect(Self.moved(old, new.relays()).count == 1, "the file alone would move it")
    let ports = new.ports(keeping: old)
    #expect(Self.moved(old, new.relays(keeping: ports)).isEmpty)
    #expect(ports == ["new": ["b": 5002, "a": 5002]])
    #expect(Plan(from: old, to: new.relays(keeping: ports)).interruptions().isEmpty)
  }

  @Test func whatGoesLeavesTheOthersWhereTheyAre() throws {
    let both = ["new: {protocol: udp, from: 'd:5000', to: 'a:6000'}", first]
    let old = try Self.topology(both).relays()
    let new = try Self.topology([first])
    #expect(Self.moved(old, new.relays()).count == 1, "the file alone would move it")
    let ports = new.ports(keeping: old)
    #expect(ports == ["old": ["b": 5002]])
    #expect(Self.moved(old, new.relays(keeping: ports)).isEmpty)
    // And from there on.
    let next = try Self.topology(both)
    let again = next.ports(keeping: new.relays(keeping: ports))
    #expect(Self.moved(new.relays(keeping: ports), next.relays(keeping: again)).isEmpty)
  }

  @Test func whatTheFileNamesComesFirst() throws {
    let old = try Self.topology([first]).relays()
    // A sink of b's own at the port at which the other stream passes.
    let new = try Self.topology(["new: {protocol: udp, from: 'c:7000', to: 'b:5000'}", first])
    let relays = new.relays(keeping: new.ports(keeping: old))
    #expect(Self.moved(old, relays).count == 1)
    #expect(relays.first { $0.stream == "old" && $0.node == "b" }?.ingress.port == 5002)
  }

  @Test func nothingIsKeptWhereNothingRan() throws {
    let topology = try Self.topology([first])
    #expect(topology.ports(keeping: []).isEmpty && topology.ports(keeping: topology.relays()).isEmpty)
    #expect(
      topology.relays(keeping: ["gone": ["b": 1], "old": ["nowhere": 5000, "b": 5001]]) == topology.relays())
  }

  /// On random pairs of topologies: ports are free, what is noted makes the same relays again, and fewer move.
  @Test func thousandsOfChanges() throws {
    var (byFile, kept) = (0, 0)
    for seed in 0..<400 {
      var random = SeededRandom(seed: UInt64(seed))
      var old = RandomTopologyTests.topology(&random)
      // Many enter at one port, each at another node, and meet on their ways.
      var entered: [String: UInt16] = [:]
      for index in old.streams.indices {
        let before = entered[old.streams[index].from.node, default: 0]
        old.streams[index].from.port = 5000 + 2 * before
        entered[old.streams[index].from.node] = before + 1
      }
      // Only a valid topology is deployed.
      let valid = Set(old.relays().map(\.stream))
      old.streams.removeAll { !valid.contains($0.name) }
      var new = old
      new.streams.shuffle(using: &random)
      if !new.streams.isEmpty { new.streams.removeLast() }
      let running = old.relays()
      let ports = new.ports(keeping: running)
      let relays = new.relays(keeping: ports)
      #expect(Set(relays.map(\.stream)) == Set(new.relays().map(\.stream)), "seed \(seed)")
      #expect(new.ports(keeping: relays) == ports, "seed \(seed)")
      var sockets: Set<String> = []
      for relay in relays {
        for socket in relay.sockets {
          #expect(
            sockets.insert("\(relay.node) \(socket.endpoint.port) \(socket.isTCP)").inserted,
            "seed \(seed): \(relay)")
        }
        for sink in relay.sinks where sink.kind == .node {
          let next = relays.first { $0.stream == relay.stream && $0.node == sink.name }
          #expect(next?.ingress == sink.destination, "seed \(seed)")
        }
      }
      byFile += Self.moved(running, new.relays()).count
      kept += Self.moved(running, relays).count
    }
    #expect(byFile > 0 && kept == 0, "\(byFile) hops moved by the files alone, \(kept) with ports kept")
  }
}
