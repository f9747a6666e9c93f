import TestSupport
import Testing

@testable import Topology

/// Between any two steps of a transition, whatever a relay sends is taken by the next one.
@Suite struct TransitionTests {
  @Test func nothingToDo() throws {
    let relays = try Topology.example("three-hop.yaml").relays(on: "edge")
    let transition = Transition(from: relays, to: relays)
    #expect(transition.hops.isEmpty)
    #expect(transition.relays(downTo: 0) == relays)
  }

  @Test func theFarEndBeginsFirst() throws {
    let relays = try Topology.example("three-hop.yaml").relays()
    for node in ["camera", "edge", "studio"] {
      let own = relays.filter { $0.node == node }
      let transition = Transition(from: [], to: own)
      #expect(transition.hops == Set(own.map(\.hop)).sorted(by: >))
      #expect(transition.relays(downTo: .max).isEmpty)
      #expect(Set(transition.relays(downTo: 0)) == Set(own))
    }
  }

  @Test func aRelayAcceptsItsFormerSourceUntilTheEnd() throws {
    let relay = try #require(try Topology.example("three-hop.yaml").relays().first { $0.node == "edge" })
    var moved = relay
    moved.sources = [AddressPrefix(try #require(IPAddress("10.9.9.9")))]
    let between = Transition(from: [relay], to: [moved]).relays(downTo: relay.hop)
    #expect(between.first?.sources == moved.sources + relay.sources)
  }

  @Test func aRelayListensWhereItDidUntilTheEnd() throws {
    let topology = try Topology.example("three-hop.yaml")
    let relays = topology.relays(on: "edge")
    var moved = relays[0]
    moved.ingress.port = 7000
    let way = Transition(from: relays, to: [moved, relays[1]])
    let between = try #require(way.relays(downTo: moved.hop).first { $0.stream == moved.stream })
    #expect(between.ingress.port == 7000 && between.formerIngress == relays[0].ingress)
    #expect(between.listeners.map(\.endpoint.port) == [7000, 7001, 5004, 5005])
    #expect(between.listeners.map(\.isCompanion) == [false, true, false, true])
    #expect(Plan(from: relays, to: [moved, relays[1]]).interruptions().isEmpty)
    #expect(Plan(from: [between], to: [moved]).changes.count == 1)
    // Not where another relay will listen, nor for another protocol.
    var taker = relays[1]
    taker.ingress = relays[0].ingress
    let taken = Transition(from: relays, to: [moved, taker])
    #expect(taken.relays(downTo: 0).first { $0.stream == moved.stream }?.formerIngress == nil)
    #expect(
      Plan(from: relays, to: [moved, taker]).interruptions().values.contains {
        $0.contains("stream \(taker.stream) takes its port")
      })
    moved.transport = .udp
    #expect(Transition(from: relays, to: [moved]).relays(downTo: 0)[0].formerIngress == nil)
  }

  @Test func whatIsNotWantedGoesOnUnlessItIsInTheWay() throws {
    let relays = try Topology.example("three-hop.yaml").relays().filter { $0.node == "edge" }
    let (video, audio) = (relays[0], relays[1])
    #expect(Set(Transition(from: [video], to: [audio]).relays(downTo: 0)) == [video, audio])
    var inTheWay = audio
    inTheWay.ingress = video.ingress
    #expect(Transition(from: [video], to: [inTheWay]).relays(downTo: 0) == [inTheWay])
  }

  @Test func thousandsOfWays() throws {
    var checked = 0
    for seed in 0..<400 {
      var random = SeededRandom(seed: UInt64(seed))
      let old = RandomTopologyTests.topology(&random)
      let new = Self.changed(old, &random)
      checked += try check(old.relays(), new.relays(), nodes: old.nodes.map(\.name), seed, &random)
    }
    #expect(checked > 2_000, "\(checked) hand-overs were looked at")
  }

  /// Some streams gone, some with other ways or sinks.
  private static func changed(_ topology: Topology, _ random: inout SeededRandom) -> Topology {
    var topology = topology
    topology.streams.removeAll { _ in Int.random(in: 0..<5, using: &random) == 0 }
    for index in topology.streams.indices where Bool.random(using: &random) {
      let other = topology.streams.indices.randomElement(using: &random) ?? index
      if Bool.random(using: &random) {
        topology.streams[index].via = topology.streams[other].via
      } else {
        topology.streams[index].to = Array(topology.streams[index].to.shuffled(using: &random).dropLast())
        if topology.streams[index].to.isEmpty { topology.streams[index].to = topology.streams[other].to }
      }
    }
    return topology
  }

  /// - Returns: How many hand-overs from relay to relay were looked at.
  private func check(
    _ old: [Relay], _ new: [Relay], nodes: [String], _ seed: Int, _ random: inout SeededRandom
  ) throws -> Int {
    let ways = Dictionary(
      uniqueKeysWithValues: nodes.map { node in
        (node, Transition(from: old.filter { $0.node == node }, to: new.filter { $0.node == node }))
      })
    let plan = Plan(from: old, to: new)
    let interruptions = plan.interruptions()
    let excused = Set(
      interruptions.keys.map { place -> String in
        switch plan.changes[place] {
        case .add(let relay), .remove(let relay), .replace(_, let relay): relay.stream
        }
      })
    var checked = 0
    let hops = Set(ways.values.flatMap(\.hops)).sorted(by: >)
    // Each step, and a moment in it when some nodes have made it and some have not.
    var reached = Dictionary(uniqueKeysWithValues: nodes.map { ($0, Int.max) })
    for hop in hops {
      for node in nodes.shuffled(using: &random) where ways[node]?.hops.contains(hop) == true {
        reached[node] = hop
        let running = nodes.flatMap { ways[$0]!.relays(downTo: reached[$0]!) }
        for relay in running where !excused.contains(relay.stream) {
          for sink in relay.sinks where sink.kind == .node {
            let next = running.first { $0.node == sink.name && $0.stream == relay.stream }
            #expect(
              next?.listens(at: sink.destination) == true && next?.accepts(sink.source.address) == true,
              "seed \(seed): \(relay.stream) from \(relay.node) to \(sink.name), \(node) at hop \(hop)")
            checked += 1
          }
        }
      }
    }
    for node in nodes {
      let wanted = Set(new.filter { $0.node == node })
      let last = Set(ways[node]!.relays(downTo: 0))
      #expect(Set(last.map(\.stream)).isSuperset(of: wanted.map(\.stream)), "seed \(seed)")
    }
    return checked
  }
}

extension Relay {
  fileprivate func listens(at endpoint: Endpoint) -> Bool { ingress == endpoint || formerIngress == endpoint }

  fileprivate func accepts(_ address: IPAddress) -> Bool { sources.contains { $0.contains(address) } }
}
