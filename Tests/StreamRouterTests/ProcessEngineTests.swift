import CStreamRouter
import Foundation
import Testing
import Topology

@testable import StreamRouter

/// Relays of engine process end to end on loopback: what goes in, what comes out, what is counted.
///
///     sender --> ingress [ProcessEngine] --> sink, sink, ...
@Suite(.timeLimit(.minutes(2))) struct ProcessEngineTests {
  private let address = freshLoopback()

  @Test func oneRelay() async throws {
    let engine = try ProcessEngine()
    let (sender, sink) = (try TestSocket(address), try TestSocket(address))
    let ingress = Endpoint(address: address, port: 5004)
    let relay = testRelay(ingress: ingress, to: [sink.endpoint])
    try await engine.add(relay)
    let payloads = [[], [1], numbered(3, length: 200), numbered(4, length: 1_472), numbered(5, length: 65_507)]
    let before = realtimeNs()
    for payload in payloads { sender.send(payload, to: ingress) }
    let arrived = sink.receive(payloads.count)
    #expect(arrived.map(\.bytes) == payloads)
    #expect(arrived.allSatisfy { $0.source == ingress })

    let snapshot = try await engine.snapshot()
    let bytes = UInt64(payloads.map(\.count).reduce(0, +))
    #expect(snapshot.counted == ["packets_in": 5, "bytes_in": bytes, "packets_out": 5, "bytes_out": bytes])
    #expect(snapshot.stream == "cam")
    #expect(snapshot.ingress == ingress)
    #expect(snapshot.sinks == relay.sinks)
    #expect(snapshot.engine == .process)
    #expect(snapshot.ssrc == nil)
    #expect(snapshot.residence.total == 5)
    #expect(snapshot.residence.maxNs > 0)
    #expect(snapshot.residence.sumNs >= snapshot.residence.maxNs)
    #expect((before...realtimeNs()).contains(snapshot.lastSeenNs))
    #expect(try await engine.datapath().isEmpty)
  }

  @Test func twoHops() async throws {
    let (first, second) = (try ProcessEngine(), try ProcessEngine())
    let (sender, sink) = (try TestSocket(address), try TestSocket(address))
    let firstIngress = Endpoint(address: address, port: 5004)
    let secondIngress = Endpoint(address: freshLoopback(), port: 5004)
    try await first.add(testRelay(ingress: firstIngress, to: [secondIngress]))
    try await second.add(
      testRelay(ingress: secondIngress, sources: [AddressPrefix(address)], to: [sink.endpoint]))
    let payloads = (0..<500).map { numbered($0, length: 100 + $0) }
    for payload in payloads { sender.send(payload, to: firstIngress) }
    #expect(sink.receive(500).map(\.bytes) == payloads)
    #expect(try await first.snapshot().counters["packets_out"] == 500)
    #expect(try await second.snapshot().counters["packets_in"] == 500)
  }

  @Test func threeSinks() async throws {
    let engine = try ProcessEngine()
    let sender = try TestSocket(address)
    let sinks = try (0..<3).map { _ in try TestSocket(freshLoopback()) }
    let ingress = Endpoint(address: address, port: 5004)
    try await engine.add(testRelay(ingress: ingress, to: sinks.map(\.endpoint)))
    let payloads = (0..<300).map { numbered($0, length: 20 + $0 % 7) }
    for payload in payloads { sender.send(payload, to: ingress) }
    for sink in sinks { #expect(sink.receive(300).map(\.bytes) == payloads) }
    let snapshot = try await engine.snapshot()
    let bytes = UInt64(payloads.map(\.count).reduce(0, +))
    #expect(
      snapshot.counted
        == ["packets_in": 300, "bytes_in": bytes, "packets_out": 900, "bytes_out": 3 * bytes])
    #expect(snapshot.residence.total == 300)
  }

  @Test func aSinkMayHaveItsOwnSourceAddress() async throws {
    let engine = try ProcessEngine()
    let (sender, near, far) = (try TestSocket(address), try TestSocket(address), try TestSocket(address))
    let ingress = Endpoint(address: address, port: 5004)
    var relay = testRelay(ingress: ingress, to: [near.endpoint, far.endpoint])
    relay.sinks[1].source = Endpoint(address: freshLoopback(), port: 5004)
    try await engine.add(relay)
    sender.sendTrains(of: 100)
    sender.send(numbered(1, length: 250), to: ingress)
    sender.send(numbered(2, length: 50), to: ingress)
    #expect(near.receive(4).map(\.source) == Array(repeating: ingress, count: 4))
    let distant = far.receive(4)
    #expect(distant.map(\.source) == Array(repeating: relay.sinks[1].source, count: 4))
    #expect(
      distant.map(\.bytes) == [
        Array(numbered(1, length: 250)[..<100]), Array(numbered(1, length: 250)[100..<200]),
        Array(numbered(1, length: 250)[200...]), numbered(2, length: 50),
      ])
  }

  @Test func ipv6() async throws {
    let engine = try ProcessEngine()
    let address = IPAddress("::1")!
    let (sender, sink) = (try TestSocket(address), try TestSocket(address))
    // The port of a socket that is gone again.
    let ingress = try TestSocket(address).endpoint
    try await engine.add(testRelay(ingress: ingress, to: [sink.endpoint], dscp: 46))
    let payloads = (0..<200).map { numbered($0, length: 300) }
    for payload in payloads { sender.send(payload, to: ingress) }
    let arrived = sink.receive(200)
    #expect(arrived.map(\.bytes) == payloads)
    #expect(arrived.allSatisfy { $0.source == ingress })
    #expect(try await engine.snapshot().counters["packets_out"] == 200)
  }

  @Test func otherSourcesAreDropped() async throws {
    let engine = try ProcessEngine()
    let (friend, stranger, sink) = (
      try TestSocket(address), try TestSocket(freshLoopback()), try TestSocket(address)
    )
    let ingress = Endpoint(address: address, port: 5004)
    try await engine.add(
      testRelay(
        ingress: ingress, sources: [AddressPrefix("10.0.0.0/8")!, AddressPrefix(address)], to: [sink.endpoint]))
    stranger.send([1, 2, 3], to: ingress)
    stranger.sendTrains(of: 10)
    stranger.send(numbered(0, length: 35), to: ingress)
    friend.send([4, 5], to: ingress)
    #expect(sink.receive(1).map(\.bytes) == [[4, 5]])
    let snapshot = try await engine.snapshot()
    #expect(sink.receiveWaiting().isEmpty)
    #expect(
      snapshot.counted
        == ["packets_in": 1, "bytes_in": 2, "packets_out": 1, "bytes_out": 2, "drop_source": 5])
  }

  @Test func removeStopsAndFreesTheAddress() async throws {
    let engine = try ProcessEngine()
    let (sender, sink) = (try TestSocket(address), try TestSocket(address))
    let ingress = Endpoint(address: address, port: 5004)
    let relay = testRelay("cam", .rtp, ingress: ingress, to: [sink.endpoint])
    try await engine.add(relay)
    // What waited in the queue when the relay was removed is still relayed.
    engine.whileHeld {
      for sequence in 0..<10 { sender.send(rtpPacket(UInt16(sequence)), to: ingress) }
    }
    try await engine.remove(relay)
    #expect(sink.receive(10).map(\.bytes) == (0..<10).map { rtpPacket($0) })
    #expect(try await engine.snapshots().isEmpty)
    let media = try await TestSocket.whenFree(address, port: 5004)
    _ = try await TestSocket.whenFree(address, port: 5005)
    sender.send(rtpPacket(11), to: ingress)
    #expect(media.receive(1).count == 1)
    #expect(sink.receiveWaiting().isEmpty)
    // Harmless when repeated.
    try await engine.remove(relay)
  }

  @Test func anAddressInUseIsNamedAndNothingIsLeft() async throws {
    let engine = try ProcessEngine()
    let sink = try TestSocket(address)
    let taken = try TestSocket(address, port: 6001)
    let ingress = Endpoint(address: address, port: 6000)
    // The media port is free, the one for RTCP is not.
    do {
      try await engine.add(testRelay("cam", .rtp, ingress: ingress, to: [sink.endpoint]))
      Issue.record("\(taken.endpoint) is in use")
    } catch EngineError.failed(let choice, _, let subject, let errno, let detail) {
      #expect(choice == .process)
      #expect(subject == "\(taken.endpoint)")
      #expect(errno == EADDRINUSE)
      #expect(detail.contains("another port"))
    }
    #expect(try await engine.snapshots().isEmpty)
    _ = try await TestSocket.whenFree(address, port: 6000)
  }

  @Test func anAddressThatIsNotHereIsNamed() async throws {
    let engine = try ProcessEngine()
    let ingress = Endpoint("192.0.2.77:5004")!
    do {
      try await engine.add(testRelay(ingress: ingress, to: [ingress]))
      Issue.record("192.0.2.77 is kept for documentation (RFC 5737)")
    } catch EngineError.failed(_, _, let subject, let errno, let detail) {
      #expect(subject == "192.0.2.77:5004")
      #expect(errno == EADDRNOTAVAIL)
      #expect(detail.contains("no address of this node"))
    }
  }

  @Test func relaysThatSocketsCannotCarryAreRefused() async throws {
    let engine = try ProcessEngine()
    let ingress = Endpoint(address: address, port: 5004)
    let v6 = testRelay(ingress: ingress, to: [Endpoint("[::1]:5004")!])
    var foreignPort = testRelay(ingress: ingress, to: [ingress])
    foreignPort.sinks[0].source.port = 5006
    let noCompanion = testRelay("a", .rtp, ingress: Endpoint(address: address, port: .max), to: [ingress])
    let noSinkCompanion = testRelay("b", .rtp, ingress: ingress, to: [Endpoint(address: address, port: .max)])
    let wrongDSCP = testRelay(ingress: ingress, to: [ingress], dscp: 64)
    for relay in [v6, foreignPort, noCompanion, noSinkCompanion, wrongDSCP] {
      await #expect(throws: EngineError.self) { try await engine.add(relay) }
    }
    try await engine.add(testRelay(ingress: ingress, to: [ingress]))
    await #expect(throws: EngineError.self) {
      try await engine.add(testRelay(ingress: Endpoint(address: freshLoopback(), port: 5004), to: [ingress]))
    }
    #expect(try await engine.snapshots().count == 1)
  }

  @Test func stopFreesEverything() async throws {
    let engine = try ProcessEngine()
    let ingress = Endpoint(address: address, port: 5004)
    let relay = testRelay(ingress: ingress, to: [Endpoint(address: address, port: 9)])
    try await engine.add(relay)
    await engine.stop()
    _ = try await TestSocket.whenFree(address, port: 5004)
    #expect(try await engine.snapshots().isEmpty)
    await #expect(throws: EngineError.self) { try await engine.add(relay) }
    await engine.stop()
  }

  @Test func anEngineThatIsForgottenFreesItsAddress() async throws {
    let ingress = Endpoint(address: address, port: 5004)
    do {
      let engine = try ProcessEngine()
      try await engine.add(testRelay(ingress: ingress, to: [ingress]))
    }
    _ = try await TestSocket.whenFree(address, port: 5004)
  }

  @Test func schedulingAndProcessorHoldForTheThread() throws {
    do {
      let thread = try ProcessThread(scheduling: .rr(priority: 3), cpu: 0)
      let (policy, status) = thread.mailbox.run { _ in
        (sched_getscheduler(0), try? String(contentsOfFile: "/proc/thread-self/status", encoding: .utf8))
      }
      #expect(policy == SCHED_RR)
      #expect(status?.contains("Cpus_allowed_list:\t0\n") == true)
    } catch {
      #expect(geteuid() != 0, "root may use any policy")
      #expect("\(error)".contains("rr 3"))
      #expect("\(error)".contains("CAP_SYS_NICE"))
    }
    #expect(throws: EngineError.self) { try ProcessThread(scheduling: .fifo(priority: 100), cpu: nil) }
    #expect(throws: EngineError.self) { try ProcessThread(scheduling: .other, cpu: 100_000) }
    let other = try ProcessThread(scheduling: .other, cpu: nil)
    #expect(other.mailbox.run { _ in sched_getscheduler(0) } == SCHED_OTHER)
  }
}
