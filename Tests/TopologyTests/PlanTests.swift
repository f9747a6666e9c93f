import TestSupport
import Testing

@testable import Topology

@Suite struct PlanTests {
  @Test func nothingChangesBetweenEquals() throws {
    let relays = try Topology.example("three-hop.yaml").relays()
    #expect(Plan(from: relays, to: relays).isEmpty)
    #expect(Plan(from: relays, to: relays.reversed()).isEmpty)
    #expect(Plan(from: [], to: []).isEmpty)
  }

  @Test func addsComeFirstThenReplacesThenRemoves() {
    let old = [relay("stays", 1), relay("moves", 2), relay("ends", 3)]
    let new = [relay("begins", 4), relay("moves", 5), relay("stays", 1)]
    #expect(
      Plan(from: old, to: new).changes == [
        .add(relay("begins", 4)), .replace(old: relay("moves", 2), new: relay("moves", 5)),
        .remove(relay("ends", 3)),
      ])
  }

  @Test func whatHoldsAnIngressIsRemovedFirst() {
    #expect(
      Plan(from: [relay("old", 1), relay("other", 2)], to: [relay("new", 1)]).changes == [
        .remove(relay("old", 1)), .add(relay("new", 1)), .remove(relay("other", 2)),
      ])
    #expect(
      Plan(from: [relay("old", 1), relay("moves", 2)], to: [relay("moves", 1)]).changes == [
        .remove(relay("old", 1)), .replace(old: relay("moves", 2), new: relay("moves", 1)),
      ])
  }

  @Test func thePortOfRTCPHoldsAnIngressToo() {
    let rtp = relay("old", 4, .rtp)
    #expect(Plan(from: [rtp], to: [relay("new", 5)]).changes == [.remove(rtp), .add(relay("new", 5))])
  }

  @Test func oneIngressOnAnotherNodeIsAnother() {
    #expect(
      Plan(from: [relay("old", 1)], to: [relay("new", 1, node: "b")]).changes.map(\.kind) == ["add", "remove"])
  }

  @Test func aReplacedRelayMakesRoomForOneThatIsAdded() {
    #expect(
      Plan(from: [relay("moves", 1)], to: [relay("new", 1), relay("moves", 2)]).changes == [
        .replace(old: relay("moves", 1), new: relay("moves", 2)), .add(relay("new", 1)),
      ])
  }

  @Test func relaysThatSwapTheirIngressAreTakenApart() {
    let old = [relay("a", 1), relay("b", 2)]
    let new = [relay("a", 2), relay("b", 1)]
    let changes = Plan(from: old, to: new).changes
    #expect(changes.map(\.kind) == ["remove", "replace", "add"])
    #expect(run(changes, from: old) == Set(new))
  }

  @Test func aLongChainOfMovesIsMadeFromItsEnd() {
    // Each relay moves to the port of the next, as when a stream put first in the file shifts all others.
    let old = (0..<3000).map { relay("s\($0)", UInt16(1000 + $0)) }
    let new = (0..<3000).map { relay("s\($0)", UInt16(1001 + $0)) }
    let changes = Plan(from: old, to: new).changes
    #expect(changes.count == 3000)
    #expect(changes.first == .replace(old: old[2999], new: new[2999]))
    #expect(changes.last == .replace(old: old[0], new: new[0]))
  }

  @Test(arguments: 0..<300)
  func randomPlansRunWithoutCollisionAndBack(seed: Int) {
    var random = SeededRandom(seed: UInt64(seed))
    let old = relays(&random)
    let new = relays(&random)
    let changes = Plan(from: old, to: new).changes
    #expect(run(changes, from: old) == Set(new), "seed \(seed)")
    #expect(run(changes.reversed().map(\.undo), from: new) == Set(old), "seed \(seed)")
  }

  @Test func changesDescribeThemselvesInALine() throws {
    let edge = try Topology.example("three-hop.yaml").relays(on: "edge")[0]
    var moved = edge
    moved.dscp = nil
    moved.ingress.port = 6000
    #expect(
      Change.add(edge).description
        == "add stream video on node edge: rtp 10.42.0.2:5004 to 10.42.0.3:5006 (studio, from 10.42.0.2:5004)")
    #expect(
      Change.replace(old: edge, new: moved).description
        == "replace stream video on node edge: ingress 10.42.0.2:5004 becomes 10.42.0.2:6000; dscp 34 becomes none"
    )
    #expect(Change.remove(edge).undo == .add(edge))
  }

  @Test func anotherChainOfExtensionsReplacesTheRelay() {
    let plain = relay("s", 1)
    var thin = plain
    thin.extensions = [
      RelayExtensionUse(name: "mark"), RelayExtensionUse(name: "thin", settings: ["n": .unsigned(3)]),
    ]
    var thinner = thin
    thinner.extensions[1].settings["n"] = .unsigned(5)
    var turned = thin
    turned.extensions.reverse()
    let ways = [(plain, thin), (thin, thinner), (thin, turned), (thin, plain)]
    for (old, new) in ways {
      #expect(Plan(from: [old], to: [new]).changes == [.replace(old: old, new: new)])
    }
    #expect(Plan(from: [thin], to: [thin]).isEmpty)
    #expect(
      Change.replace(old: plain, new: thin).description
        == "replace stream s on node a: extensions none becomes mark, thin {n: 3}")
  }

  // MARK: A model of a node

  /// Makes the changes and returns what runs then; records an issue where an ingress is not free.
  private func run(_ changes: [Change], from relays: [Relay]) -> Set<Relay> {
    var running = Set(relays)
    func start(_ relay: Relay) {
      for port in relay.transport.ports(from: relay.ingress.port) {
        #expect(
          !running.contains {
            $0.node == relay.node && $0.transport.ports(from: $0.ingress.port).contains(port)
          }, "\(relay.stream) at port \(port)")
      }
      running.insert(relay)
    }
    for change in changes {
      switch change {
      case .add(let relay): start(relay)
      case .remove(let relay): #expect(running.remove(relay) != nil)
      case .replace(let old, let new):
        #expect(running.remove(old) != nil)
        start(new)
      }
    }
    return running
  }

  /// Up to eight relays that share few ports, none twice.
  private func relays(_ random: inout SeededRandom) -> [Relay] {
    var ports = Array(stride(from: 2, through: 20, by: 2)).shuffled(using: &random)
    var names = Array("abcdefghij").map(String.init).shuffled(using: &random)
    return (0..<Int.random(in: 0...8, using: &random)).map { _ in
      relay(names.removeLast(), UInt16(ports.removeLast()), Bool.random(using: &random) ? .rtp : .udp)
    }
  }

  private func relay(_ stream: String, _ port: UInt16, _ transport: StreamProtocol = .udp, node: String = "a")
    -> Relay
  {
    let ingress = Endpoint(address: IPAddress("10.0.0.1")!, port: port)
    let sink = Endpoint(address: IPAddress("10.0.0.2")!, port: 9)
    return Relay(
      stream: stream, node: node, hop: 0, transport: transport, ingress: ingress,
      sources: [AddressPrefix(IPAddress("10.0.0.3")!)],
      sinks: [RelaySink(kind: .host, name: "\(sink)", destination: sink, source: ingress)])
  }
}

extension Change {
  fileprivate var kind: String {
    switch self {
    case .add: "add"
    case .replace: "replace"
    case .remove: "remove"
    }
  }
}
