import Foundation
import JitterStats
import Testing
import Topology

@testable import StreamRouter

/// What peers report in real captures, as tshark reads it, and where it is shown.
@Suite struct PeerReportViewTests {
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
      (PeerReportTests.senderReport(packets: 12, ntp: 9), 43), (PeerReportTests.receiverReport(echo: 9), 44),
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
