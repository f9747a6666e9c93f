import CStreamRouter
import Glibc
import Testing
import Topology

@testable import StreamRouter

/// Engine process under load: trains, full queues, and changes while packets fly.
@Suite(.timeLimit(.minutes(2))) struct ProcessEngineLoadTests {
  private let address = freshLoopback()

  @Test func trainsArriveIntact() async throws {
    let engine = try ProcessEngine()
    let sender = try TestSocket(address)
    let sinks = try (0..<2).map { _ in try TestSocket(freshLoopback()) }
    let ingress = Endpoint(address: address, port: 5004)
    try await engine.add(testRelay(ingress: ingress, to: sinks.map(\.endpoint)))
    sender.sendTrains(of: 1_000)
    // 60 whole datagrams and a short one.
    let train = numbered(77, length: 60_123)
    sender.send(train, to: ingress)
    let expected = stride(from: 0, to: train.count, by: 1_000).map {
      Array(train[$0..<min($0 + 1_000, train.count)])
    }
    for sink in sinks { #expect(sink.receive(61).map(\.bytes) == expected) }
    #expect(await engine.coalesced() == ProcessCoalescing(messages: 2, datagrams: 122))
    let snapshot = try await engine.snapshot()
    #expect(
      snapshot.counted
        == ["packets_in": 61, "bytes_in": 60_123, "packets_out": 122, "bytes_out": 120_246])
  }

  @Test func waitingDatagramsLeaveAsTrains() async throws {
    let engine = try ProcessEngine()
    let (sender, sink) = (try TestSocket(address), try TestSocket(address))
    let ingress = Endpoint(address: address, port: 5004)
    try await engine.add(testRelay(ingress: ingress, to: [sink.endpoint]))
    // Equal ones, shorter ones that end a train, empty ones, longer ones: every way a train begins and ends.
    var random = SystemRandomNumberGenerator()
    let lengths = (0..<2_000).map { index in
      index < 200 ? 200 : [0, 50, 199, 200, 200, 200, 200, 201, 1_400].randomElement(using: &random)!
    }
    let payloads = lengths.enumerated().map { numbered($0, length: $1) }
    engine.whileHeld { for payload in payloads { sender.send(payload, to: ingress) } }
    #expect(sink.receive(2_000).map(\.bytes) == payloads, "lengths \(lengths)")
    let coalesced = await engine.coalesced()
    // The first 200 were read in batches of 64.
    #expect(coalesced.messages >= 4)
    #expect(coalesced.datagrams >= 192)
    let snapshot = try await engine.snapshot()
    let bytes = UInt64(lengths.reduce(0, +))
    #expect(
      snapshot.counted
        == ["packets_in": 2_000, "bytes_in": bytes, "packets_out": 2_000, "bytes_out": bytes])
    #expect(snapshot.residence.total == 2_000)
  }

  @Test func moreDatagramsThanOneSendTakes() async throws {
    let engine = try ProcessEngine()
    let (sender, sink) = (try TestSocket(address), try TestSocket(address))
    let ingress = Endpoint(address: address, port: 5004)
    try await engine.add(testRelay(ingress: ingress, to: [sink.endpoint]))
    sender.sendTrains(of: 10)
    // 50 trains of 64: one batch holds 3,200 datagrams.
    engine.whileHeld { for number in 0..<50 { sender.send(numbered(number, length: 640), to: ingress) } }
    let arrived = sink.receive(3_200)
    #expect(arrived.flatMap(\.bytes) == (0..<50).flatMap { numbered($0, length: 640) })
    #expect(arrived.allSatisfy { $0.bytes.count == 10 })
    #expect(try await engine.snapshot().counters["packets_out"] == 3_200)
  }

  @Test func aFullQueueIsCounted() async throws {
    let engine = try ProcessEngine()
    let (sender, sink) = (try TestSocket(address), try TestSocket(address))
    let ingress = Endpoint(address: address, port: 5004)
    try await engine.add(testRelay(ingress: ingress, to: [sink.endpoint]))
    let sent = 20_000
    let payload = numbered(1, length: 1_400)
    engine.whileHeld { for _ in 0..<sent { sender.send(payload, to: ingress) } }
    let snapshot = try await engine.snapshot {
      $0.counters["packets_in"]! + $0.counters["drop_queue"]! >= UInt64(sent)
    }
    let (arrived, refused) = (snapshot.counters["packets_in"]!, snapshot.counters["drop_queue"]!)
    #expect(arrived > 0 && refused > 0)
    #expect(arrived + refused == UInt64(sent))
    #expect(snapshot.counters["packets_out"] == arrived)
    // The next message repeats the number: it is not counted again.
    sender.send([], to: ingress)
    let later = try await engine.snapshot { $0.counters["packets_in"]! > arrived }
    #expect(later.counters["packets_in"] == arrived + 1)
    #expect(later.counters["drop_queue"] == refused)
  }

  @Test func replaceUnderLoadLosesNothing() async throws {
    let engine = try ProcessEngine()
    let sinks = [try TestSocket(address), try TestSocket(address)]
    let ingress = Endpoint(address: address, port: 5004)
    var relay = testRelay("cam", .rtp, ingress: ingress, to: [sinks[0].endpoint])
    try await engine.add(relay)
    let sent = 20_000
    let address = address
    // At most 500 on their way, so that only a change could lose one.
    async let load: Void = {
      let sender = try TestSocket(address)
      for sequence in 0..<sent {
        sender.send(rtpPacket(UInt16(truncatingIfNeeded: sequence), payload: [1, 2, 3]), to: ingress)
        if sequence % 500 == 499 {
          _ = try await engine.snapshot { $0.counters["packets_in"]! > UInt64(sequence) }
        }
      }
    }()
    var arrived: [TestSocket.Datagram] = []
    var replacements = 0
    while arrived.count < sent, try await engine.snapshot().counters["packets_out"]! < UInt64(sent) {
      var next = relay
      replacements += 1
      next.sinks[0].destination = sinks[replacements % 2].endpoint
      next.dscp = UInt8(replacements % 64)
      try await engine.replace(relay, with: next)
      relay = next
      for sink in sinks { arrived += sink.receiveWaiting() }
      try Task.checkCancellation()
    }
    try await load
    for sink in sinks { arrived += sink.receiveWaiting() }
    #expect(arrived.count == sent)
    #expect(replacements > 1)
    let snapshot = try await engine.snapshot()
    let bytes = UInt64(15 * sent)
    #expect(
      snapshot.counted == [
        "packets_in": UInt64(sent), "bytes_in": bytes, "packets_out": UInt64(sent), "bytes_out": bytes,
        "rtp_packets": UInt64(sent),
      ])
  }

  @Test func replaceWithAnotherIngressKeepsTheAccount() async throws {
    let engine = try ProcessEngine()
    let (sender, sink) = (try TestSocket(address), try TestSocket(address))
    let old = testRelay("cam", .rtp, ingress: Endpoint(address: address, port: 5004), to: [sink.endpoint])
    var new = testRelay(
      "cam", .udp, ingress: Endpoint(address: freshLoopback(), port: 5004), to: [sink.endpoint])
    try await engine.add(old)
    // Still in the queue when the change comes: relayed as before.
    engine.whileHeld { for sequence in 0..<5 { sender.send(rtpPacket(UInt16(sequence)), to: old.ingress) } }
    try await engine.replace(old, with: new)
    #expect(sink.receive(5).allSatisfy { $0.source == old.ingress })
    sender.send([1], to: new.ingress)
    #expect(sink.receive(1) == [.init(bytes: [1], source: new.ingress)])
    #expect(
      try await engine.snapshot().counted
        == ["packets_in": 6, "bytes_in": 61, "packets_out": 6, "bytes_out": 61, "rtp_packets": 5])
    // Both ports of the old ingress are free again.
    let control = try await TestSocket.whenFree(address, port: 5005)
    let media = try await TestSocket.whenFree(address, port: 5004)

    // To RTP on the same ingress: the socket stays, one for RTCP comes.
    let former = new
    new.transport = .rtp
    try await engine.replace(former, with: new)
    sender.send(rtpPacket(1), to: new.ingress)
    #expect(sink.receive(1).map(\.bytes) == [rtpPacket(1)])
    #expect(throws: TestFailure.self) { try TestSocket(new.ingress.address, port: 5005) }

    // An ingress that is taken: everything stays.
    await #expect(throws: EngineError.self) { try await engine.replace(new, with: old) }
    #expect(throws: TestFailure.self) { try TestSocket(new.ingress.address, port: 5004) }
    sender.send(rtpPacket(2), to: new.ingress)
    #expect(sink.receive(1).map(\.bytes) == [rtpPacket(2)])
    #expect(control.receiveWaiting().isEmpty && media.receiveWaiting().isEmpty)
  }

  @Test func manyRelaysHaveTheirOwnAccounts() async throws {
    let engine = try ProcessEngine()
    let sink = try TestSocket(address)
    let sender = try TestSocket(address)
    let ingresses = (0..<150).map { Endpoint(address: address, port: UInt16(20_000 + $0)) }
    for (number, ingress) in ingresses.enumerated() {
      try await engine.add(testRelay("stream-\(number)", ingress: ingress, to: [sink.endpoint]))
    }
    for (number, ingress) in ingresses.enumerated() {
      for _ in 0...number % 5 { sender.send([UInt8(number)], to: ingress) }
    }
    _ = sink.receive(450)
    let snapshots = try await engine.snapshots()
    #expect(snapshots.count == 150)
    for snapshot in snapshots {
      let number = UInt64(snapshot.stream.dropFirst(7))!
      #expect(snapshot.counters["packets_out"] == number % 5 + 1)
    }
  }
}
