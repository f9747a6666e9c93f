import CStreamRouter
import Foundation
import Testing
import Topology

@testable import StreamRouter

/// How connections through relays of protocol tcp begin and end.
@Suite(.timeLimit(.minutes(2))) struct SplitEndTests {
  private let address = freshLoopback()

  private func start(
    _ limits: SplitLimits = SplitLimits(), sources: [AddressPrefix]? = nil
  ) async throws -> (engine: ProcessEngine, relay: Relay, server: TestServer) {
    let server = try TestServer(address)
    let engine = try ProcessEngine(split: limits)
    let relay = testRelay(
      "web", .tcp, ingress: try freeEndpoint(address), sources: sources, to: [server.endpoint])
    try await engine.add(relay)
    return (engine, relay, server)
  }

  @Test func aSinkThatRefusesResetsTheClient() async throws {
    let engine = try ProcessEngine()
    let relay = testRelay("web", .tcp, ingress: try freeEndpoint(address), to: [try freeEndpoint(address)])
    try await engine.add(relay)
    let client = try TestConnection(to: relay.ingress)
    #expect(client.receive().end == .reset)
    let snapshot = try await engine.snapshot { $0.counters["tcp_refused"] == 1 }
    #expect(snapshot.counted == ["tcp_opened": 1, "tcp_refused": 1])
    #expect(snapshot.tcp?.open == 0)
  }

  /// A queue that is full leaves SYNs without an answer.
  @Test func aSinkThatDoesNotAnswerResetsTheClient() async throws {
    var limits = SplitLimits()
    limits.connectNs = 300_000_000
    limits.sweepMs = 20
    let server = try TestServer(address)
    listen(server.descriptor, 0)
    let filling = try TestConnection(to: server.endpoint)
    let engine = try ProcessEngine(split: limits)
    let relay = testRelay("web", .tcp, ingress: try freeEndpoint(address), to: [server.endpoint])
    try await engine.add(relay)
    let client = try TestConnection(to: relay.ingress)
    #expect(client.receive().end == .reset)
    #expect(try await engine.snapshot { $0.counters["tcp_refused"] == 1 }.counters["tcp_refused"] == 1)
    _ = filling
  }

  @Test func otherSourcesAreReset() async throws {
    let (engine, relay, _) = try await start(sources: [AddressPrefix(address)])
    let stranger = try TestConnection(to: relay.ingress, from: freshLoopback())
    #expect(stranger.receive().end == .reset)
    let snapshot = try await engine.snapshot { $0.counters["drop_source"] == 1 }
    #expect(snapshot.counted == ["drop_source": 1])
    #expect(snapshot.lastSeenNs == 0)
  }

  @Test func aResetIsPassedOnToTheSink() async throws {
    let (engine, relay, server) = try await start()
    let client = try TestConnection(to: relay.ingress)
    let accepted = try server.accept()
    // Before, it would be one that came to nothing.
    _ = try await engine.snapshot { $0.counters["tcp_established"] == 1 }
    client.reset()
    #expect(accepted.receive().end == .reset)
    let snapshot = try await engine.snapshot { $0.counters["tcp_reset"] == 1 }
    #expect(snapshot.counted == ["tcp_opened": 1, "tcp_established": 1, "tcp_reset": 1])
  }

  @Test func aResetIsPassedOnToTheSource() async throws {
    let (engine, relay, server) = try await start()
    let client = try TestConnection(to: relay.ingress)
    let accepted = try server.accept()
    accepted.send([1, 2, 3])
    // What came before the reset has arrived by then.
    #expect(client.receive(3).bytes == [1, 2, 3])
    accepted.reset()
    #expect(client.receive().end == .reset)
    #expect(try await engine.snapshot { $0.counters["tcp_reset"] == 1 }.counters["tcp_reset"] == 1)
  }

  @Test func oneConnectionTooManyIsReset() async throws {
    var limits = SplitLimits()
    limits.connections = 2
    let (engine, relay, server) = try await start(limits)
    let clients = try (0..<3).map { _ in try TestConnection(to: relay.ingress) }
    #expect(clients[2].receive().end == .reset)
    let accepted = try (0..<2).map { _ in try server.accept() }
    #expect(try await engine.snapshot { $0.tcp?.open == 2 }.counters["drop_ports"] == 1)
    clients[0].close()
    for connection in accepted { connection.finish() }
    #expect(try await engine.snapshot { $0.tcp?.open == 1 }.tcp?.open == 1)
    let another = try TestConnection(to: relay.ingress)
    let served = try server.accept()
    another.send([5])
    #expect(served.receive(1).bytes == [5])
  }

  @Test func silentConnectionsExpireUnlessTheirPeersAnswer() async throws {
    var limits = SplitLimits()
    limits.sweepMs = 20
    limits.lifetimeNs = { _, _ in 300_000_000 }
    let (engine, relay, server) = try await start(limits)
    let client = try TestConnection(to: relay.ingress)
    let accepted = try server.accept()
    #expect(client.receive().end == .reset)
    #expect(accepted.receive().end == .reset)
    #expect(try await engine.snapshot().counters["tcp_expired"] == 1)
    // Keep-alive hears of both in time.
    limits.keepAlive = sr_keep_alive(idle: 1, interval: 1, probes: 3)
    limits.lifetimeNs = { _, _ in 1_500_000_000 }
    let (patient, waiting, other) = try await start(limits)
    let quiet = try TestConnection(to: waiting.ingress)
    let end = try other.accept()
    try await Task.sleep(for: .seconds(4))
    quiet.send([1])
    #expect(end.receive(1).bytes == [1])
    #expect(try await patient.snapshot().counters["tcp_expired"] == 0)
  }

  @Test func anotherSinkIsForNewConnections() async throws {
    let (engine, relay, server) = try await start()
    let other = try TestServer(address)
    let client = try TestConnection(to: relay.ingress)
    let accepted = try server.accept()
    var changed = relay
    changed.sinks[0].destination = other.endpoint
    try await engine.replace(relay, with: changed)
    let next = try TestConnection(to: relay.ingress)
    let nextAccepted = try other.accept()
    next.send([2])
    #expect(nextAccepted.receive(1).bytes == [2])
    client.send([1])
    #expect(accepted.receive(1).bytes == [1])
    accepted.send([3])
    #expect(client.receive(1).bytes == [3])
    #expect(try await engine.snapshot().tcp?.open == 2)
    #expect(try await engine.snapshot().sinks == changed.sinks)
  }

  @Test func connectionsOfASourceThatIsNotAllowedAnyMoreAreReset() async throws {
    let (engine, relay, server) = try await start()
    let other = freshLoopback()
    let client = try TestConnection(to: relay.ingress, from: address)
    let stranger = try TestConnection(to: relay.ingress, from: other)
    let accepted = [try server.accept(), try server.accept()]
    var changed = relay
    changed.sources = [AddressPrefix(address)]
    try await engine.replace(relay, with: changed)
    #expect(stranger.receive().end == .reset)
    client.send([1])
    #expect(accepted[0].receive(1).bytes == [1])
    #expect(accepted[1].receive().end == .reset)
  }

  @Test func anotherIngressListensAtBoth() async throws {
    let (engine, relay, server) = try await start()
    let client = try TestConnection(to: relay.ingress)
    let accepted = try server.accept()
    var moved = relay
    moved.ingress = try freeEndpoint(address)
    moved.formerIngress = relay.ingress
    try await engine.replace(relay, with: moved)
    for ingress in [moved.ingress, relay.ingress] {
      let next = try TestConnection(to: ingress)
      let end = try server.accept()
      next.send([1])
      #expect(end.receive(1).bytes == [1])
    }
    var settled = moved
    settled.formerIngress = nil
    try await engine.replace(moved, with: settled)
    #expect(throws: TestFailure.self) { try TestConnection(to: relay.ingress) }
    client.send([9])
    #expect(accepted.receive(1).bytes == [9])
  }

  @Test func removingARelayResetsItsConnections() async throws {
    let (engine, relay, server) = try await start()
    let client = try TestConnection(to: relay.ingress)
    let accepted = try server.accept()
    try await engine.remove(relay)
    #expect(client.receive().end == .reset)
    #expect(accepted.receive().end == .reset)
    #expect(throws: TestFailure.self) { try TestConnection(to: relay.ingress) }
    #expect(try await engine.snapshots().isEmpty)
    try await engine.add(relay)
    let again = try TestConnection(to: relay.ingress)
    again.send([1])
    #expect(try server.accept().receive(1).bytes == [1])
  }

  @Test func packetModeIsAnotherEngines() async throws {
    let engine = try ProcessEngine()
    var relay = testRelay("web", .tcp, ingress: try freeEndpoint(address), to: [try freeEndpoint(address)])
    relay.mode = .packet
    await #expect {
      try await engine.add(relay)
    } throws: { error in
      guard case EngineError.unsupported(.process, _, let remedy) = error else { return false }
      return remedy.contains("mode: split")
    }
  }

  @Test func aPortThatIsTakenIsSaid() async throws {
    let server = try TestServer(address)
    let engine = try ProcessEngine()
    await #expect {
      try await engine.add(testRelay("web", .tcp, ingress: server.endpoint, to: [server.endpoint]))
    } throws: { error in
      "\(error)".contains("ss -tlpn")
    }
  }
}
