import CStreamRouter
import Foundation
import JitterStats
import TestSupport
import Testing
import Topology

@testable import StreamRouter

/// RTCP that passes a relay: what peers report is in the snapshot, from the kernel and from engine process alike.
@Suite(.timeLimit(.minutes(2))) struct PeerReportTests {
  /// SR of 0x0a about itself with a block on 0x0b.
  static func senderReport(packets: UInt8, ntp: UInt8 = 1, echo: UInt8 = 0) -> [UInt8] {
    [0x81, 200, 0, 12, 0, 0, 0, 0x0a, 0xee, 0, 0, ntp, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, packets, 0, 0, 0, 9]
      + [0, 0, 0, 0x0b, 128, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0x03, 0x84, 0, echo, 0, 0, 0, 0, 0, 0]
  }
  /// RR of 0x0b on 0x0a, which answers that.
  static func receiverReport(echo: UInt8) -> [UInt8] {
    [
      0x81, 201, 0, 7, 0, 0, 0, 0x0b, 0, 0, 0, 0x0a, 64, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 90, 0, echo, 0, 0, 0, 0,
      0, 0,
    ]
  }

  // MARK: Engine process

  @Test func processEngineReadsBothPortsAndBothDirections() async throws {
    let engine = try ProcessEngine()
    let address = freshLoopback()
    let (sender, sink) = (try TestSocket(address), try TestSocket(address, port: 7000))
    let companion = try TestSocket(address, port: 7001)
    let there = Endpoint(address: address, port: 5004)
    let back = Endpoint(address: address, port: 5014)
    try await engine.add(testRelay("there", .rtp, ingress: there, to: [sink.endpoint], clockRate: 90_000))
    try await engine.add(testRelay("back", .rtp, ingress: back, to: [sink.endpoint]))
    #expect(try await engine.snapshots().allSatisfy { $0.peers == nil })
    sender.send(rtpPacket(1, ssrc: 0x0a), to: there)
    // On its own port, and multiplexed (RFC 5761).
    sender.send(Self.senderReport(packets: 200), to: Endpoint(address: address, port: 5005))
    sender.send(Self.receiverReport(echo: 1), to: back)
    sender.send(Self.receiverReport(echo: 0) + [1], to: back)
    #expect(
      sink.receive(3).count == 3 && companion.receive(1).map(\.bytes) == [Self.senderReport(packets: 200)])
    let snapshots = try await engine.snapshots()
    let first = try #require(snapshots.first { $0.stream == "there" }?.peers)
    #expect(first.senders.map(\.ssrc) == [0x0a] && first.senders.map(\.sentPackets) == [200])
    #expect(first.reports.map(\.subject) == [0x0b] && first.reports[0].reception?.lossRatio == 0.5)
    #expect(first.reports[0].reception?.jitterSeconds == nil, "0x0b sends nothing that passes here")
    #expect(abs(Double(first.senders[0].timeNs) - Double(realtimeNs())) < 60e9)
    let second = try #require(snapshots.first { $0.stream == "back" }?.peers)
    #expect(second.packets == 1 && second.unreadable == 1 && second.unread == 0)
    let report = try #require(second.reports.first)
    #expect(report.reporter == 0x0b && report.reception?.jitterSeconds == 0.001 && report.reports == 1)
    // The time stamp passed in the other relay.
    let trip = try #require(report.roundTripFromHereSeconds)
    #expect(trip >= 0 && trip < 60)
    // Nothing is taken in twice, and what was not read in time is counted.
    #expect(try await engine.snapshots().first { $0.stream == "back" }?.peers == second)
    for _ in 0..<40 { sender.send(Self.receiverReport(echo: 0), to: back) }
    _ = sink.receive(40)
    let third = try #require(try await engine.snapshots().first { $0.stream == "back" }?.peers)
    #expect(
      third.packets + third.unread == 41 && third.packets >= 15 && third.reports.map(\.lostAndSubject) == [2])
    // Where the relay sends to is changed: what is known stays. Where it is removed, it goes.
    try await engine.replace(
      testRelay("back", .rtp, ingress: back, to: [sink.endpoint]),
      with: testRelay("again", .rtp, ingress: back, to: [companion.endpoint]))
    #expect(try await engine.snapshots().first { $0.stream == "again" }?.peers == third)
    await engine.stop()
  }

  // MARK: The kernel

  private static func inNetwork(
    _ body: @escaping @Sendable (SandboxDatapath, Relay) throws -> Void
  ) throws {
    try PacketFixtureTests.inNetwork { datapath in
      let relay = Relay(
        stream: "peers", node: "n", hop: 0, transport: .rtp, ingress: Endpoint("10.9.0.1:5004")!,
        sources: [AddressPrefix("10.9.0.9")!],
        sinks: [
          RelaySink(
            kind: .host, name: "sink", destination: Endpoint("10.9.0.2:6000")!,
            source: Endpoint("10.9.0.1:5004")!)
        ])
      for entry in RelayEntry.entries(for: relay, index: 5, isLocal: Route.isLocal) {
        try datapath.set(entry.value, at: entry.key)
      }
      try body(datapath, relay)
    }
  }

  private static func frame(_ payload: [UInt8], companion: Bool = true) -> [UInt8] {
    Frame(from: "10.9.0.9:4000", to: companion ? "10.9.0.1:5005" : "10.9.0.1:5004", payload: payload).bytes
  }

  @Test(.enabled(if: PrivateNetwork.isPossible, "\(PrivateNetwork.obstacle ?? "")"))
  func kernelKeepsWhatPasses() throws {
    try Self.inNetwork { datapath, _ in
      // Without a place for it, RTCP passes all the same.
      let report = Self.senderReport(packets: 3)
      #expect(try datapath.testRun(Self.frame(report)).verdict == 7)
      #expect(try datapath.reports(at: 5, since: nil) == nil)
      try datapath.keepReports(at: 5, fresh: true)
      var context = __sk_buff()
      context.tstamp = 1_700_000_000_000_000_123
      // Of all lengths, the shortest and those around what is kept.
      let long = Array(repeating: Self.receiverReport(echo: 0), count: 20).flatMap { $0 }
      for (place, payload) in [report, [0x80, 201, 0, 1, 1, 2, 3, 4], Array(long.prefix(495)), long]
        .enumerated()
      {
        let run = try datapath.testRun(Self.frame(payload, companion: place % 2 == 0), context: context)
        #expect(run.verdict == 7)
      }
      let reading = try #require(try datapath.reports(at: 5, since: .init()))
      #expect(reading.datagrams.map(\.length) == [52, 8, 495, 640] && reading.unread == 0)
      #expect(
        reading.datagrams.map(\.bytes) == [
          report, [0x80, 201, 0, 1, 1, 2, 3, 4], Array(long.prefix(495)), Array(long.prefix(496)),
        ])
      #expect(reading.datagrams.allSatisfy { $0.arrivalNs == 1_700_000_000_000_000_123 })
      #expect(try datapath.counters(at: 5)[SR_RTCP_PACKETS] == 5)
      // What came since, as far as it still stands there.
      let again = try #require(try datapath.reports(at: 5, since: reading.mark))
      #expect(again.datagrams.isEmpty && again.mark == reading.mark)
      for number in 0..<20 as Range<UInt8> {
        _ = try datapath.testRun(Self.frame(Self.senderReport(packets: number)), context: context)
      }
      let late = try #require(try datapath.reports(at: 5, since: reading.mark))
      #expect(late.datagrams.map { $0.bytes[23] } == Array(6..<20) && late.unread == 6)
      // A place that is there stays as it is, one that is made anew is empty.
      try datapath.keepReports(at: 5, fresh: false)
      #expect(try datapath.reports(at: 5, since: nil)?.mark == late.mark)
      #expect(try datapath.reports(at: 5, since: nil)?.unread == 0)
      try datapath.keepReports(at: 5, fresh: true)
      #expect(try datapath.reports(at: 5, since: nil)?.mark == .init())
    }
  }

  /// Each datagram of a GSO packet by itself, and none where another processor holds the flow.
  @Test(.enabled(if: PrivateNetwork.isPossible, "\(PrivateNetwork.obstacle ?? "")"))
  func trainsAndHeldFlows() throws {
    try Self.inNetwork { datapath, _ in
      try datapath.keepReports(at: 5, fresh: true)
      var context = __sk_buff()
      context.gso_size = 52
      context.gso_segs = 3
      let train = (1...3).flatMap { Self.senderReport(packets: $0) }
      #expect(try datapath.testRun(Self.frame(train), context: context).verdict == 7)
      let reading = try #require(try datapath.reports(at: 5, since: .init()))
      #expect(reading.datagrams.map(\.bytes) == (1...3).map { Self.senderReport(packets: $0) })
      var held = try datapath.flow(at: 5)
      held.sequence |= 1
      try datapath.set(held, at: 5)
      #expect(try datapath.testRun(Self.frame(Self.senderReport(packets: 9))).verdict == 7)
      let after = try #require(try datapath.reports(at: 5, since: reading.mark))
      #expect(after.datagrams.isEmpty && after.unread == 1)
    }
  }

  /// The same datagrams through both engines give the same account.
  @Test(.enabled(if: PrivateNetwork.isPossible, "\(PrivateNetwork.obstacle ?? "")"))
  func enginesAgree() throws {
    try Self.inNetwork { datapath, relay in
      try datapath.keepReports(at: 5, fresh: true)
      let memory = UnsafeMutablePointer<sr_reports>.allocate(capacity: 1)
      memset(memory, 0, MemoryLayout<sr_reports>.size)
      defer { memory.deallocate() }
      var (kernel, process) = (PeerLedger(), PeerLedger())
      kernel.begin("s")
      process.begin("s")
      var random = SeededRandom()
      var counted: UInt64 = 0
      for step in 0..<2_000 {
        var payload =
          random.once(in: 2)
          ? Self.senderReport(packets: UInt8(step % 250), ntp: UInt8(step % 50), echo: UInt8(step % 40))
          : Self.receiverReport(echo: UInt8(step % 50))
        if random.once(in: 4) { payload += Self.receiverReport(echo: UInt8(step % 20)) }
        if random.once(in: 5) {
          payload[Int.random(in: 2..<payload.count, using: &random)] = UInt8(truncatingIfNeeded: random.next())
        }
        if random.once(in: 8) { payload.removeLast(2) }
        if random.once(in: 50) { payload += random.bytes(600) }
        var context = __sk_buff()
        context.tstamp = 1_000_000_000 + UInt64(step) * 1_000_000
        counted += 1
        #expect(try datapath.testRun(Self.frame(payload), context: context).verdict == 7)
        payload.withUnsafeBytes { sr_report_keep(memory, $0.baseAddress, UInt32($0.count), context.tstamp) }
        guard random.once(in: 15) else { continue }
        let wants = kernel.wants("s", counted: counted)
        #expect(wants)
        kernel.take(try #require(try datapath.reports(at: 5, since: kernel.mark(of: "s"))), of: "s")
        process.take(ReportReading(memory, since: process.mark(of: "s")), of: "s")
        kernel.resolve()
        process.resolve()
        let (first, second) = (kernel.account(of: "s") { _ in 8_000 }, process.account(of: "s") { _ in 8_000 })
        try #require(first == second && first != nil, "SR_SEED=\(random.seed), step \(step)")
      }
      let account = try #require(kernel.account(of: "s") { _ in nil })
      #expect(account.packets > 500 && account.unreadable > 50 && account.unread > 50, "SR_SEED=\(random.seed)")
    }
  }

  /// Memory that a hostile worker wrote is read like any bytes.
  @Test func anyMemory() {
    let memory = UnsafeMutablePointer<sr_reports>.allocate(capacity: 1)
    defer { memory.deallocate() }
    var random = SeededRandom()
    var ledger = PeerLedger()
    for _ in 0..<500 {
      let bytes = random.bytes(MemoryLayout<sr_reports>.size)
      memcpy(memory, bytes, bytes.count)
      if random.once(in: 3) { memory.pointee.head = UInt64.max - UInt64(random.next() % 20) }
      if random.once(in: 3) { memory.pointee.head = random.next() % 40 }
      let mark = random.once(in: 2) ? ledger.mark(of: "s") : ReportReading.Mark(head: random.next(), missed: 1)
      let reading = ReportReading(memory, since: mark)
      #expect(reading.datagrams.count < 15 && reading.datagrams.allSatisfy { $0.bytes.count <= 496 })
      ledger.take(reading, of: "s")
      ledger.resolve()
    }
    #expect(ledger.account(of: "s") { _ in 1 } != nil)
  }
}

extension PeerReport {
  fileprivate var lostAndSubject: Int32? { subject == 0x0a ? reception?.lostPackets : nil }
}
