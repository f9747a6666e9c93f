import Testing
import Topology

@testable import StreamRouter

/// RTP and RTCP through engine process: what their headers tell, counted exactly.
@Suite(.timeLimit(.minutes(2))) struct ProcessEngineMediaTests {
  private let address = freshLoopback()

  @Test func lossReorderDuplicatesAndRestart() async throws {
    let engine = try ProcessEngine()
    let (sender, sink) = (try TestSocket(address), try TestSocket(address))
    let ingress = Endpoint(address: address, port: 5004)
    try await engine.add(testRelay("cam", .rtp, ingress: ingress, to: [sink.endpoint], clockRate: 90_000))
    // 65534 is lost for good; 1 comes after 2; 2 comes twice; then the source starts anew at 40000, and another
    // one joins.
    let sequences: [UInt16] = [65_532, 65_533, 65_535, 0, 2, 1, 2, 3, 40_000, 40_001, 40_002]
    var packets = sequences.enumerated().map { rtpPacket($1, timestamp: UInt32($0) * 3_000) }
    packets.append(rtpPacket(9, ssrc: 0xdead_beef))
    for packet in packets { sender.send(packet, to: ingress) }
    #expect(sink.receive(packets.count).map(\.bytes) == packets)
    let snapshot = try await engine.snapshot()
    #expect(
      snapshot.counted == [
        "packets_in": 12, "bytes_in": 144, "packets_out": 12, "bytes_out": 144, "rtp_packets": 12,
        "rtp_missing": 2, "rtp_late": 1, "rtp_duplicates": 1, "rtp_restarts": 2,
      ])
    #expect(snapshot.rtpLost == 1)
    #expect(snapshot.ssrc == 0xdead_beef)
    #expect(snapshot.jitterSeconds == 0)
  }

  @Test func jitterOfAStalledSender() async throws {
    let engine = try ProcessEngine()
    let (sender, sink) = (try TestSocket(address), try TestSocket(address))
    let ingress = Endpoint(address: address, port: 5004)
    // No clock of its own: payload type 0 runs at 8 kHz.
    try await engine.add(testRelay("cam", .rtp, ingress: ingress, to: [sink.endpoint]))
    // The second packet claims to be one second younger, and comes at once: |D| is a second less the time between.
    engine.whileHeld {
      sender.send(rtpPacket(1, timestamp: 0, payloadType: 0), to: ingress)
      sender.send(rtpPacket(2, timestamp: 8_000, payloadType: 0), to: ingress)
    }
    _ = sink.receive(2)
    let snapshot = try await engine.snapshot()
    #expect(snapshot.jitterSeconds > 0)
    #expect(snapshot.jitterSeconds <= 1.0 / 16)
    #expect(snapshot.jitterMaxSeconds == snapshot.jitterSeconds)
  }

  @Test func rtcpOnItsOwnPort() async throws {
    let engine = try ProcessEngine()
    let sender = try TestSocket(address)
    let target = freshLoopback()
    let (media, control) = (try TestSocket(target, port: 7000), try TestSocket(target, port: 7001))
    let ingress = Endpoint(address: address, port: 5004)
    try await engine.add(testRelay("cam", .rtp, ingress: ingress, to: [media.endpoint]))
    let report: [UInt8] = [0x80, 200, 0, 6] + Array(repeating: 9, count: 24)
    let controlIngress = Endpoint(address: address, port: 5005)
    sender.send(rtpPacket(1), to: ingress)
    sender.send(report, to: controlIngress)
    // No RTCP: dropped.
    sender.send(rtpPacket(1), to: controlIngress)
    sender.send([0x80, 200, 0, 1], to: controlIngress)
    // Multiplexed: stays on the media port (RFC 5761).
    sender.send(report, to: ingress)
    #expect(Set(media.receive(2).map(\.bytes)) == [rtpPacket(1), report])
    #expect(control.receive(1) == [.init(bytes: report, source: controlIngress)])
    let snapshot = try await engine.snapshot { $0.counters["drop_not_rtp"] == 2 }
    #expect(
      snapshot.counted == [
        "packets_in": 5, "bytes_in": 2 * 12 + 2 * 28 + 4, "packets_out": 3, "bytes_out": 68, "rtp_packets": 1,
        "rtcp_packets": 2, "drop_not_rtp": 2,
      ])
    #expect(control.receiveWaiting().isEmpty)
  }

  /// 127.0.0.0/8 and ::1, each with the code point kept and with one of the relay's own.
  @Test(arguments: [true, false], [nil, 34] as [UInt8?]) func codePoints(isV4: Bool, relayDSCP: UInt8?)
    async throws
  {
    let engine = try ProcessEngine()
    let address = isV4 ? address : IPAddress("::1")!
    let (sender, sink) = (try TestSocket(address), try TestSocket(address))
    sink.reportsDSCP(isV4: isV4)
    let ingress = try TestSocket(address).endpoint
    try await engine.add(testRelay(ingress: ingress, to: [sink.endpoint], dscp: relayDSCP))
    // Of equal length and all at once, so that they would share a train if their code points did not differ.
    engine.whileHeld {
      for dscp in [46, 46, 0, 10] as [UInt8] {
        sender.setDSCP(dscp, isV4: isV4)
        sender.send([dscp, 1, 2, 3], to: ingress)
      }
    }
    let arrived = sink.receive(4)
    #expect(arrived.map(\.bytes[0]) == [46, 46, 0, 10])
    #expect(arrived.map(\.dscp) == (relayDSCP.map { [$0, $0, $0, $0] } ?? [46, 46, 0, 10]))
    #expect(await engine.coalesced().datagrams == (relayDSCP == nil ? 2 : 4))
  }

  @Test func whatIsNoRTPIsDropped() async throws {
    let engine = try ProcessEngine()
    let (sender, sink) = (try TestSocket(address), try TestSocket(address))
    let ingress = Endpoint(address: address, port: 5004)
    try await engine.add(testRelay("cam", .rtp, ingress: ingress, to: [sink.endpoint]))
    var csrcsBeyondTheEnd = rtpPacket(1)
    csrcsBeyondTheEnd[0] = 0x8f
    let wrong: [[UInt8]] = [[], [0x80], Array(rtpPacket(1).prefix(11)), Array(repeating: 0, count: 40)]
    for packet in wrong + [csrcsBeyondTheEnd, rtpPacket(2)] { sender.send(packet, to: ingress) }
    #expect(sink.receive(1).map(\.bytes) == [rtpPacket(2)])
    let snapshot = try await engine.snapshot()
    #expect(
      snapshot.counted == [
        "packets_in": 6, "bytes_in": 76, "packets_out": 1, "bytes_out": 12, "rtp_packets": 1, "drop_not_rtp": 4,
        "drop_malformed": 1,
      ])
    #expect(snapshot.dropped == 5)
    #expect(snapshot.residence.total == 1)
    #expect(sink.receiveWaiting().isEmpty)
  }

  @Test func eachDatagramOfATrainIsJudgedByItself() async throws {
    let engine = try ProcessEngine()
    let (sender, sink) = (try TestSocket(address), try TestSocket(address))
    let ingress = Endpoint(address: address, port: 5004)
    try await engine.add(testRelay("cam", .rtp, ingress: ingress, to: [sink.endpoint]))
    sender.sendTrains(of: 20)
    var packets = (0..<10).map { rtpPacket(UInt16($0), payload: Array(repeating: UInt8($0), count: 8)) }
    // Version 1 in the middle: left out, and the rest goes on.
    packets[4][0] = 0x40
    sender.send(packets.flatMap { $0 }, to: ingress)
    let good = packets[..<4] + packets[5...]
    #expect(sink.receive(9).map(\.bytes) == Array(good))
    let snapshot = try await engine.snapshot()
    #expect(
      snapshot.counted == [
        "packets_in": 10, "bytes_in": 200, "packets_out": 9, "bytes_out": 180, "rtp_packets": 9,
        "rtp_missing": 1,
        "drop_not_rtp": 1,
      ])
    // The nine stayed together although they no longer lie side by side.
    #expect(await engine.coalesced() == ProcessCoalescing(messages: 1, datagrams: 9))
  }

  /// Whatever arrives is sent on or dropped for a counted cause, and what is sent on is what arrived.
  @Test func randomDatagramsAreAllAccounted() async throws {
    let engine = try ProcessEngine()
    let (sender, sink) = (try TestSocket(address), try TestSocket(address))
    let ingress = Endpoint(address: address, port: 5004)
    try await engine.add(testRelay("cam", .rtp, ingress: ingress, to: [sink.endpoint]))
    var random = SystemRandomNumberGenerator()
    var sent: Set<[UInt8]> = []
    let count = 10_000
    for number in 0..<count {
      var bytes = (0..<Int.random(in: 0..<80, using: &random)).map { _ in
        UInt8.random(in: 0...255, using: &random)
      }
      // Half of them look like version 2, so that more of the header is read.
      if number % 2 == 0, !bytes.isEmpty { bytes[0] = 0x80 | bytes[0] & 0x3f }
      sent.insert(bytes)
      sender.send(bytes, to: ingress)
      if number % 500 == 499 { _ = try await engine.snapshot { $0.counters["packets_in"]! > UInt64(number) } }
    }
    let snapshot = try await engine.snapshot()
    let arrived = sink.receiveWaiting()
    #expect(snapshot.counters["packets_in"] == UInt64(count))
    #expect(snapshot.counters["packets_out"]! + snapshot.dropped == UInt64(count))
    #expect(snapshot.counters["rtp_packets"]! + snapshot.counters["rtcp_packets"]! == UInt64(arrived.count))
    #expect(snapshot.counters["packets_out"] == UInt64(arrived.count))
    #expect(arrived.count > 1_000)
    for datagram in arrived where !sent.contains(datagram.bytes) {
      Issue.record("never sent: \(datagram.bytes)")
    }
  }
}
