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

  // MARK: tshark

  /// Every field that `tshark -T fields` 4.0.17 prints of the RTCP in real captures (Fixtures/make.sh): ffmpeg's sender
  /// reports, GStreamer's sender and receiver reports, and extended ones.
  @Test(arguments: ["h264", "rtcp"]) func equalsTshark(name: String) throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")
    let text = try String(contentsOf: folder.appending(path: "\(name).rtcp.tsv"), encoding: .utf8)
    let rows = text.split(separator: "\n").map {
      $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
    }
    let file = try CaptureFile(
      path: folder.appending(path: "\(name).pcap").path, filter: "udp dst port 5005 or 5021 or 5025")
    var next = 1
    while let datagram = try file.next() {
      guard DatagramKind(datagram.payload.bytes) == .rtcp else { continue }
      let values = Dictionary(uniqueKeysWithValues: zip(rows[0], rows[next])).filter { $0.value != "" }
      next += 1
      let read = RTCPCompound(datagram.payload.bytes)
      let compound = try #require(read, "\(values)")
      let ours = Self.fields(compound)
      for (field, value) in values where !["frame.time_epoch", "rtcp.pt"].contains(field) {
        // With several packets tshark lists all SSRCs of the kind; ours are the first ones.
        #expect(value.split(separator: ",").first.map(String.init) == ours[field], "\(field) in \(values)")
      }
    }
    #expect(next == rows.count && next > 2)
  }

  private static func fields(_ compound: RTCPCompound) -> [String: String] {
    func hex(_ ssrc: UInt32) -> String { "0x" + String(ssrc, radix: 16) }
    func number(_ value: Double) -> String { value == value.rounded() ? "\(Int(value))" : "\(value)" }
    var fields: [String: String] = [:]
    if let sender = compound.senders.first {
      fields["rtcp.senderssrc"] = hex(sender.ssrc)
      // The subject of a description, which is no figure.
      fields["rtcp.ssrc.identifier"] = hex(sender.ssrc)
      fields["rtcp.timestamp.ntp.msw"] = "\(sender.ntpTime >> 32)"
      fields["rtcp.timestamp.ntp.lsw"] = "\(sender.ntpTime & 0xffff_ffff)"
      fields["rtcp.timestamp.rtp"] = "\(sender.rtpTimestamp)"
      fields["rtcp.sender.packetcount"] = "\(sender.packets)"
      fields["rtcp.sender.octetcount"] = "\(sender.payloadBytes)"
    }
    if let block = compound.blocks.first {
      fields["rtcp.senderssrc"] = hex(block.reporter)
      fields["rtcp.ssrc.identifier"] = hex(block.subject)
      fields["rtcp.ssrc.fraction"] = "\(Int(block.figures.reception.lossRatio * 256))"
      fields["rtcp.ssrc.cum_nr"] = "\(block.figures.reception.lostPackets)"
      fields["rtcp.ssrc.ext_high"] = "\(block.figures.reception.extendedHighestSequence)"
      fields["rtcp.ssrc.jitter"] = "\(block.figures.reception.jitterUnits)"
      fields["rtcp.ssrc.lsr"] = "\(block.figures.echo.ntpMiddle)"
      fields["rtcp.ssrc.dlsr"] = "\(block.figures.echo.delayUnits)"
    }
    if let time = compound.receiverTimes.first { fields["rtcp.senderssrc"] = hex(time.ssrc) }
    if let echo = compound.receiverEchoes.first {
      fields["rtcp.senderssrc"] = hex(echo.reporter)
      fields["rtcp.ssrc.identifier"] = hex(echo.subject)
      fields["rtcp.xr.lrr"] = "\(echo.figures.ntpMiddle)"
      fields["rtcp.xr.dlrr"] = "\(echo.figures.delayUnits)"
    }
    if let found = compound.statistics.first {
      fields["rtcp.senderssrc"] = hex(found.reporter)
      fields["rtcp.ssrc.identifier"] = hex(found.subject)
      fields["rtcp.xr.beginseq"] = "\(found.figures.beginSequence)"
      fields["rtcp.xr.endseq"] = "\(found.figures.endSequence)"
      fields["rtcp.xr.stats.lost"] = found.figures.lostPackets.map { "\($0)" }
      fields["rtcp.xr.stats.dups"] = found.figures.duplicatePackets.map { "\($0)" }
      fields["rtcp.xr.stats.minjitter"] = found.figures.jitter.map { "\($0.minUnits)" }
      fields["rtcp.xr.stats.maxjitter"] = found.figures.jitter.map { "\($0.maxUnits)" }
      fields["rtcp.xr.stats.meanjitter"] = found.figures.jitter.map { "\($0.meanUnits)" }
      fields["rtcp.xr.stats.devjitter"] = found.figures.jitter.map { "\($0.deviationUnits)" }
      fields["rtcp.xr.stats.minttl"] = found.figures.hops.map { "\($0.min)" }
      fields["rtcp.xr.stats.maxttl"] = found.figures.hops.map { "\($0.max)" }
    }
    if let voice = compound.voice.first?.figures {
      fields["rtcp.ssrc.fraction"] = number(voice.lossRatio * 256)
      fields["rtcp.ssrc.discarded"] = number(voice.discardRatio * 256)
      fields["rtcp.xr.voipmetrics.burstdensity"] = number(voice.burstDensity * 256)
      fields["rtcp.xr.voipmetrics.gapdensity"] = number(voice.gapDensity * 256)
      fields["rtcp.xr.voipmetrics.burstduration"] = number(voice.burstSeconds * 1000)
      fields["rtcp.xr.voipmetrics.gapduration"] = number(voice.gapSeconds * 1000)
      fields["rtcp.xr.voipmetrics.rtdelay"] = voice.roundTripSeconds.map { number($0 * 1000) }
      fields["rtcp.xr.voipmetrics.esdelay"] = voice.endSystemSeconds.map { number($0 * 1000) }
      fields["rtcp.xr.voipmetrics.rfactor"] = voice.rFactor.map { "\($0)" }
      fields["rtcp.xr.voipmetrics.moslq"] = voice.listeningQuality.map(number)
      fields["rtcp.xr.voipmetrics.moscq"] = voice.conversationalQuality.map(number)
      fields["rtcp.xr.voipmetrics.jbnominal"] = number(voice.bufferSeconds * 1000)
      fields["rtcp.xr.voipmetrics.jbmax"] = number(voice.bufferMaxSeconds * 1000)
    }
    return fields
  }

  // MARK: Where it is shown

  @Test func analyzeShowsIt() throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")
    let report = try CaptureAnalysis.run(.init(file: folder.appending(path: "rtcp.pcap").path))
    let peers = try #require(report.peers)
    #expect(peers.senders.count == 1 && peers.senders[0].hasLeft)
    #expect(peers.reports.count == 2 && peers.unreadable == 0 && peers.skipped == 0)
    // On loopback, and by the time stamps of the extended reports: half a second.
    let trips = peers.reports.compactMap(\.roundTripFromHereSeconds)
    #expect(trips.count == 2 && trips[0] < 0.01 && trips[1] == 0.5)
    #expect(report.text.contains("Reported by peers (RTCP)") && report.text.contains("MOS-LQ 4.1"))
    let h264 = try CaptureAnalysis.run(.init(file: folder.appending(path: "h264.pcap").path))
    #expect(h264.peers?.senders.map(\.sentPackets) == [135])
    let none = try CaptureAnalysis.run(.init(file: folder.appending(path: "ts.pcap").path))
    #expect(none.peers?.reports.isEmpty ?? true)
  }

  static let account: PeerAccount = {
    var (reports, times) = (PeerReports(), PassingTimes())
    for (payload, timeNs) in [
      (senderReport(packets: 12, ntp: 9), 43), (receiverReport(echo: 9), 44),
    ] as [([UInt8], UInt64)] {
      payload.withUnsafeBytes {
        reports.receive($0.bytes, timeNs: MonitorSample.startNs + timeNs * 1_000_000_000, times: &times)
      }
    }
    reports.resolve(times)
    return reports.account { $0 == 0x0a ? 90_000 : nil }
  }()

  @Test func monitorShowsIt() throws {
    var readings = MonitorSample.readings(seconds: 45)
    readings[0].snapshot?.relays[0].peers = Self.account
    var state = MonitorState(size: .init(columns: 120, rows: 60))
    state.take(readings, timeNs: MonitorSample.time(45))
    _ = state.press(.enter)
    let lines = MonitorSample.text(state).split(separator: "\n").map(String.init)
    let title = try #require(lines.firstIndex(of: "Reported by peers (RTCP)"))
    #expect(lines[title + 1].hasPrefix("  0xa             sent 12 packets, 9 bytes; its clock "))
    #expect(
      lines[title + 2] == "  0xa             on 0xb: lost 50.0%, 3 in all; jitter 900 clock units; 2s ago")
    #expect(
      lines[title + 3]
        == "  0xb             on 0xa: lost 25.0%, 2 in all; jitter 1.00ms; from here and back 1.00s; 1s ago")
    #expect(!MonitorSample.text(MonitorSample.state(columns: 120, rows: 60)).contains("Reported by peers"))

    var board = MonitorSample.board()
    board.take(readings, timeNs: MonitorSample.time(45))
    let json = try MonitorDocument(board, order: MonitorOrder()).json(pretty: false)
    let document = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
    let relays = try #require((document?["nodes"] as? [[String: Any]])?[0]["relays"] as? [[String: Any]])
    let peers = try #require(relays[0]["peerReports"] as? [String: Any])
    let reports = try #require(peers["reports"] as? [[String: Any]])
    #expect(reports.map { $0["lossRatio"] as? Double } == [0.5, 0.25])
    #expect(reports[0]["jitterSeconds"] is NSNull && reports[1]["jitterSeconds"] as? Double == 0.001)
    #expect(reports[1]["roundTripFromHereSeconds"] as? Double == 1 && reports[0]["voice"] is NSNull)
    #expect((peers["senders"] as? [[String: Any]])?.first?["sentPackets"] as? Int == 12)
    #expect(relays[1]["peerReports"] is NSNull)
    // Ours is what it was.
    #expect(relays[0]["lossRatio"] as? Double == 0)
  }

  @Test func snapshotsOfFormerVersionsAreRead() throws {
    var snapshot = try #require(MonitorSample.readings(seconds: 45)[0].snapshot)
    var data = try JSONEncoder().encode(snapshot)
    #expect(try JSONDecoder().decode(NodeSnapshot.self, from: data) == snapshot)
    #expect(!String(decoding: data, as: UTF8.self).contains("peers"), "as one of a former version")
    snapshot.relays[0].peers = Self.account
    data = try JSONEncoder().encode(snapshot)
    #expect(try JSONDecoder().decode(NodeSnapshot.self, from: data) == snapshot)
  }

  @Test func metricsSayTheWorst() {
    var snapshot = MetricsSample.snapshot()
    snapshot.relays[0].peers = Self.account
    snapshot.timeNs = MonitorSample.startNs + 100_000_000_000
    let labels = "{topology=\"studio\",node=\"edge\",stream=\"cam1\",hop=\"0\"}"
    let page = MetricsSample.page(snapshot)
    #expect(MetricsSample.value("streamrouter_relay_peer_reported_loss_ratio" + labels, in: page) == "0.5")
    #expect(
      MetricsSample.value("streamrouter_relay_peer_reported_jitter_seconds" + labels, in: page) == "0.001")
    #expect(
      MetricsSample.value("streamrouter_relay_peer_reported_round_trip_seconds" + labels, in: page) == "1.0")
    // Peers that are silent for a minute report nothing any more.
    snapshot.timeNs += 10_000_000_000
    let later = MetricsSample.page(snapshot)
    #expect(MetricsSample.value("streamrouter_relay_peer_reported_loss_ratio" + labels, in: later) == nil)
  }
}

extension PeerReport {
  fileprivate var lostAndSubject: Int32? { subject == 0x0a ? reception?.lostPackets : nil }
}
