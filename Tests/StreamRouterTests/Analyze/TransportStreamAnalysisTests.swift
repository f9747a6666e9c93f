import Foundation
import JitterStats
import TestSupport
import Testing
import Topology

@testable import StreamRouter

/// Real MPEG transport streams of ffmpeg, in RTP and without (Fixtures/make.sh tells how each was made), against what
/// tshark 4.0.17 says of each packet: PIDs, skips of the continuity counters, and clock references.
@Suite struct TransportStreamAnalysisTests {
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Fixtures")

  private static func path(_ name: String) -> String { folder.appending(path: "\(name).pcap").path }

  /// What tshark printed, over all datagrams.
  private struct Expected {
    var datagrams: UInt64 = 0
    var pids: [UInt16: UInt64] = [:]
    var skips: [UInt64] = []
    var clocks: [UInt64] = []
    /// Skips that end with a packet without payload: the counter stands still there, so that one packet more was lost
    /// than Wireshark has, which expects the next number of every packet.
    var unseen: UInt64 = 0

    init(_ name: String) throws {
      let text = try String(
        contentsOf: TransportStreamAnalysisTests.folder.appending(path: "\(name).mpegts.tsv"), encoding: .utf8)
      var latest: [Substring: UInt8] = [:]
      var ours: [UInt64] = []
      for line in text.split(separator: "\n") {
        let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
        datagrams += 1
        for pid in fields[0].split(separator: ",") {
          pids[try #require(UInt16(pid.dropFirst(2), radix: 16)), default: 0] += 1
        }
        skips += try fields[1].split(separator: ",").map { try #require(UInt64($0)) }
        clocks += try fields[2].split(separator: ",").map { try #require(UInt64($0.dropFirst(2), radix: 16)) }
        let (names, counters, controls) = (fields[0], fields[3], fields[4])
        for ((pid, text), control) in zip(
          zip(names.split(separator: ","), counters.split(separator: ",")), controls.split(separator: ","))
        where pid != "0x00001fff" {
          let counter = try #require(UInt8(text))
          let former = latest.updateValue(counter, forKey: pid) ?? counter
          let skipped = (counter &- former &- 1) & 15
          guard counter != former, skipped > 0 else { continue }
          ours.append(UInt64(skipped))
          if control == "0x00000002" { unseen += 1 }
        }
      }
      #expect(ours == skips, "this is how Wireshark counts")
    }
  }

  private static func figures(_ name: String) throws -> TransportStreamReport {
    let report = try CaptureAnalysis.run(.init(file: path(name)))
    let found = report.streams.compactMap(\.figures.transportStream) + report.transportStreams.map(\.figures)
    try #require(found.count == 1)
    return found[0]
  }

  @Test(arguments: ["ts", "tscut", "udpts", "udpcut"]) func equalsTshark(name: String) throws {
    let expected = try Expected(name)
    let report = try Self.figures(name)
    #expect(report.datagrams == expected.datagrams && report.packets == expected.pids.values.reduce(0, +))
    var pids = Dictionary(uniqueKeysWithValues: report.pids.map { ($0.pid, $0.packets) })
    if report.nullPackets > 0 { pids[TransportStreamPacket.nullPID] = report.nullPackets }
    #expect(pids == expected.pids)
    #expect(report.continuityErrors == UInt64(expected.skips.count))
    #expect(report.lost == expected.skips.reduce(0, +) + expected.unseen)
    #expect((expected.unseen > 0) == (name == "udpcut"))
    #expect((report.lost > 0) == name.hasSuffix("cut"))
    #expect(report.clocks.map(\.count) == [UInt64(expected.clocks.count)])
    #expect(report.syncByteErrors + report.transportErrors + report.malformedPackets + report.duplicates == 0)
    #expect(report.unlistedPackets == 0 && report.cutDatagrams == 0)
  }

  @Test("each clock reference and its place is that of tshark", arguments: ["ts", "udpts"])
  func clockReferences(name: String) throws {
    let expected = try Expected(name)
    let file = try CaptureFile(path: Self.path(name), filter: "")
    var clocks: [UInt64] = []
    while let datagram = try file.next() {
      var payload = datagram.payload
      if case .rtp = MediaPacket(rtpPort: payload.bytes), let media = RTPHeader.media(of: payload.bytes) {
        payload = UnsafeRawBufferPointer(rebasing: payload[media])
      }
      guard TransportStreamAccount.packets(in: payload.bytes) > 0 else { continue }
      for offset in stride(from: 0, to: payload.count, by: TransportStreamPacket.bytes) {
        if let ticks = TransportStreamPacket(payload.bytes, at: offset)?.clockTicks { clocks.append(ticks) }
      }
    }
    #expect(!clocks.isEmpty && clocks == expected.clocks)
  }

  /// The stream's rate was given to ffmpeg: 400 kb/s.
  @Test("the media rate of a stream of constant rate is the one that it was made with") func mediaRate() throws
  {
    let report = try Self.figures("udpts")
    let rate = report.deliveryIndex.mediaRateBitsPerSecond
    #expect(report.deliveryIndex.mediaRateFrom == .clock && rate > 396_000 && rate < 404_000, "\(rate)")
    #expect(report.deliveryIndex.intervals >= 3 && report.deliveryIndex.maxLossRate == 0)
    #expect(
      report.deliveryIndex.maxDelayFactorSeconds > 0.005 && report.deliveryIndex.maxDelayFactorSeconds < 1)
    #expect(report.clocks[0].discontinuityErrors == 0 && report.clocks[0].restarts == 0)
    // Datagrams leave every 26 ms: a reference arrives up to that much off its place.
    #expect(report.clocks[0].overallJitterSeconds > 0.001 && report.clocks[0].overallJitterSeconds < 0.5)
    let cut = try Self.figures("udpcut").deliveryIndex
    #expect(cut.lossyIntervals >= 1 && cut.maxLossRate > 0)
  }

  @Test("both kinds stand in the text and in JSON") func shown() throws {
    let rtp = try CaptureAnalysis.run(.init(file: Self.path("tscut")))
    #expect(rtp.transportStreams.isEmpty && rtp.text.contains("MPEG-TS") && rtp.text.contains("MDI  DF"))
    let udp = try CaptureAnalysis.run(.init(file: Self.path("udpcut")))
    #expect(udp.streams.isEmpty && !udp.isEmpty && udp.rest.allSatisfy { $0.kind != .transportStream })
    #expect(udp.text.contains("1 MPEG-TS without RTP") && udp.text.contains("PCR of PID 256"))
    for report in [rtp, udp] {
      #expect(try JSONDecoder().decode(AnalyzeReport.self, from: JSONEncoder().encode(report)) == report)
    }
  }

  // MARK: What is made up

  private static func analysis(_ datagrams: [[UInt8]]) -> AnalyzeReport {
    var analysis = CaptureAnalysis(rates: PayloadRates())
    let (from, to) = (Endpoint("10.0.0.1:4000")!, Endpoint("10.0.0.2:5004")!)
    for (place, datagram) in datagrams.enumerated() {
      datagram.withUnsafeBytes {
        analysis.take(
          .init(timeNs: UInt64(place) * 10_000_000, payload: $0, source: from, destination: to, dscp: 0))
      }
    }
    return analysis.report(file: "x", left: 0)
  }

  @Test("five packets in a row with their sync byte are a stream, and what comes then is of it") func rule() {
    func packet(_ counter: Int) -> [UInt8] { TransportStreamBytes.packet(pid: 256, counter: counter) }
    func found(_ datagrams: [[UInt8]]) -> [UInt64] {
      let report = Self.analysis(datagrams)
      let listed = report.transportStreams.map(\.figures.datagrams)
      #expect(listed.reduce(0, +) + report.rest.reduce(0) { $0 + $1.packets } == UInt64(datagrams.count))
      return listed
    }
    #expect(found((0..<4).map(packet)) == [])
    #expect(found((0..<5).map(packet)) == [5])
    #expect(found((0..<4).map(packet) + [[0x47]] + (5..<9).map(packet)) == [])
    #expect(found([TransportStreamBytes.datagram(counter: 0)]) == [1])
    #expect(found([TransportStreamBytes.datagram(counter: 0), [1, 2, 3], [0x80, 33] + packet(7)]) == [3])
  }

  @Test("RTP with a dynamic payload type, a header extension and duplicates") func inRTP() throws {
    func rtp(_ sequence: UInt16) -> [UInt8] {
      [0x90, 96] + UDPFrame.big(sequence) + [0, 0, 0, 0] + UDPFrame.big(7 as UInt32) + [
        0xbe, 0xde, 0, 1, 0, 0, 0, 0,
      ]
        + TransportStreamBytes.datagram(counter: Int(sequence) * 7)
    }
    let report = Self.analysis([0, 1, 2, 3, 3, 4, 6, 7].map { rtp($0) })
    let figures = try #require(report.streams.first?.figures)
    let stream = try #require(figures.transportStream)
    #expect(figures.packets == 8 && figures.loss.duplicates == 1 && figures.loss.lost == 1)
    #expect(stream.datagrams == 7 && stream.duplicates == 0 && stream.continuityErrors == 1 && stream.lost == 7)
  }
}
