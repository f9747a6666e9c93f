import Foundation
import JitterStats
import TestSupport
import Testing
import Topology

@testable import StreamRouter

/// Real captures (Fixtures/make.sh tells how each was made): every figure that `tshark -q -z rtp,streams` 4.0.17
/// prints, to each of its digits, and streams found without being told where they are.
@Suite struct CaptureAnalysisTests {
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Fixtures")

  private static func report(_ name: String, filter: String = "") throws -> AnalyzeReport {
    var settings = CaptureAnalysis.Settings(file: folder.appending(path: "\(name).pcap").path)
    settings.filter = filter
    // What the SAP packets say.
    settings.rates.set(90_000, of: 96)
    settings.rates.set(48_000, of: 97)
    return try CaptureAnalysis.run(settings)
  }

  /// A line of tshark without the name of the payload, which has blanks.
  private struct Line {
    var ports: [String]
    var ssrc: UInt32?
    var packets: UInt64?
    var lost: Int64?
    var figures: [String]

    init(_ text: Substring) throws {
      let words = text.split(separator: " ").map(String.init)
      let percent = try #require(words.firstIndex { $0.hasSuffix("%)") })
      let ssrc = try #require(words.firstIndex { $0.hasPrefix("0x") })
      ports = [words[ssrc - 3], words[ssrc - 1]]
      self.ssrc = UInt32(words[ssrc].dropFirst(2), radix: 16)
      packets = UInt64(words[percent - 2])
      lost = Int64(words[percent - 1])
      figures = Array(words[(percent + 1)...(percent + 6)])
    }
  }

  @Test(arguments: ["h264", "dtx", "two", "ts", "edited"]) func equalsTshark(name: String) throws {
    let text = try String(
      contentsOf: Self.folder.appending(path: "\(name).streams.txt"), encoding: .utf8)
    let lines = try text.split(separator: "\n").map { try Line($0) }
    let report = try Self.report(name)
    #expect(!lines.isEmpty && report.streams.count == lines.count)
    for line in lines {
      let stream = try #require(report.streams.first { $0.figures.ssrc == line.ssrc }, "\(line)")
      let wireshark = stream.figures.wireshark
      #expect(["\(stream.source.port)", "\(stream.destination.port)"] == line.ports)
      #expect(stream.figures.packets == line.packets)
      #expect(wireshark.lost == line.lost)
      let ours = [
        wireshark.minDeltaSeconds, wireshark.meanDeltaSeconds, wireshark.maxDeltaSeconds,
        wireshark.minJitterSeconds, wireshark.meanJitterSeconds, wireshark.maxJitterSeconds,
      ].map { String(format: "%.3f", $0 * 1_000) }
      #expect(ours == line.figures)
    }
  }

  /// What the editing did is known, so that our own figures can be checked where Wireshark's rules hide it.
  @Test func editedStreamIsAccountedFor() throws {
    let (whole, edited) = (try Self.report("h264").streams[0], try Self.report("edited").streams[0])
    let (before, after) = (whole.figures.loss, edited.figures.loss)
    #expect(before.lost == 0 && before.duplicates == 0 && before.restarts == 0)
    #expect(after.expected == before.expected && after.restarts == 0 && after.outOfRange == 0)
    #expect(after.received + after.lost == after.expected && after.lost > 0)
    #expect(after.received + after.duplicates == edited.figures.packets && after.duplicates > 0)
    #expect(edited.figures.reordering.reordered > 0)
    #expect(edited.figures.extendedHighestSequence >= 65_536)
  }

  @Test func theGapsOfASilentSenderAreNoLoss() throws {
    let stream = try Self.report("dtx").streams[0].figures
    #expect(stream.loss.lost == 0 && stream.payloadTypes == [97] && stream.clockRate == 48_000)
    #expect(stream.interarrival.maxSeconds > 0.1, "discontinuous transmission: \(stream.interarrival)")
    #expect(stream.jitter.maxSeconds < 0.1)
  }

  @Test func rtcpAndTheAnnouncementAreNoStreams() throws {
    let report = try Self.report("h264")
    try #require(report.streams.count == 1)
    let rest = Dictionary(uniqueKeysWithValues: report.rest.map { ($0.kind, $0.packets) })
    #expect(rest[.rtcp] ?? 0 > 0 && rest[.other] == 1)
    #expect(report.packets == report.streams[0].figures.packets + rest.values.reduce(0, +))
    #expect(report.text.contains("RTCP"))
  }

  @Test func filterAndNames() throws {
    let report = try Self.report("two", filter: "udp[16:4] = 0x22222222")
    try #require(report.streams.map(\.figures.ssrc) == [0x2222_2222])
    #expect(report.streams[0].format == "PCMA" && report.streams[0].clockRateFrom == .payloadType)
    #expect(report.text.contains("0x22222222") && report.text.contains("PCMA 8"))
    #expect(throws: CaptureError.self) { try Self.report("two", filter: "nonsense and") }
    let none = try Self.report("two", filter: "dst port 1")
    #expect(none.streams.isEmpty && none.foundInstead == "no UDP datagram")
    #expect(throws: CaptureError.self) { try Self.report("nothing") }
  }

  @Test func clockRatesFromADescription() throws {
    let text = """
      v=0
      m=video 5004 RTP/AVP 96
      a=rtpmap:96 H264/90000
      m=audio 5006 RTP/AVP 97
      a=rtpmap:97 opus/48000/2
      """
    var rates = try PayloadRates(SenderDescription(text, file: "x.sdp"), file: "x.sdp")
    #expect(
      rates.rate(of: 97) == 48_000 && rates.origin(of: 97) == .description && rates.format(of: 96) == "H264")
    rates.set(8_000, of: 97)
    #expect(rates.rate(of: 97) == 8_000 && rates.origin(of: 97) == .option)
    #expect(rates.rate(of: 100) == 90_000 && rates.origin(of: 100) == .assumed)
    for wrong in ["a=rtpmap:96 H264", "a=rtpmap:96 H264/0", "a=rtpmap:200 H264/90000", "a=rtpmap:97 L16/44100"]
    {
      let text = text + "\n" + wrong
      #expect(throws: TrafficError.self) {
        try PayloadRates(SenderDescription(text, file: "x.sdp"), file: "x.sdp")
      }
    }
  }

  // MARK: What is made up

  private static let from = Endpoint("10.0.0.1:4000")!
  private static let to = Endpoint("10.0.0.2:5004")!

  private static func take(
    _ analysis: inout CaptureAnalysis, _ bytes: [UInt8], at timeNs: UInt64 = 0, from: Endpoint = from
  ) {
    bytes.withUnsafeBytes {
      analysis.take(.init(timeNs: timeNs, payload: $0, source: from, destination: to, dscp: 0))
    }
  }

  private static func rtp(_ sequence: UInt16, ssrc: UInt32 = 7, first: UInt8 = 0x80) -> [UInt8] {
    [first, 96] + UDPFrame.big(sequence) + [0, 0, 0, 0] + UDPFrame.big(ssrc) + [1, 2, 3, 4]
  }

  @Test("four packets that go on from each other, two of them with the next number")
  func rule() {
    func streams(_ packets: [[UInt8]]) -> [UInt64] {
      var analysis = CaptureAnalysis(rates: PayloadRates())
      for packet in packets { Self.take(&analysis, packet) }
      let report = analysis.report(file: "x", left: 0)
      let listed = report.streams.map(\.figures.packets)
      #expect(listed.reduce(0, +) + report.rest.reduce(0) { $0 + $1.packets } == UInt64(packets.count))
      return listed
    }
    #expect(streams([1, 2, 3].map { Self.rtp($0) }) == [])
    #expect(streams([1, 2, 3, 4].map { Self.rtp($0) }) == [4])
    #expect(streams([65_535, 0, 2, 1, 2, 3].map { Self.rtp($0) }) == [6], "over the wrap, with what was held")
    #expect(streams((0..<20).map { _ in Self.rtp(9) }) == [], "a constant is no number that goes on")
    #expect(streams((0..<20).map { Self.rtp($0 &* 4001) }) == [], "as far apart as random ones")
    #expect(streams((0..<20).map { Self.rtp($0, first: 0x40) }) == [], "version 1")
    #expect(streams((0..<20).map { Self.rtp($0, first: 0x90) }) == [], "a header extension that is not there")
    #expect(streams((0..<20).map { Self.rtp($0, first: 0xa0) }) == [20], "padding of four bytes")
    #expect(streams((0..<20).map { Self.rtp($0, first: 0x8f) }) == [], "CSRCs that are not there")
    #expect(streams((0..<20).map { Self.rtp($0, ssrc: UInt32($0)) }) == [], "a source for each packet")
    let both = (0..<10).flatMap { [Self.rtp($0), Self.rtp(500 + $0, ssrc: 8)] }
    #expect(streams(both) == [10, 10])
  }

  @Test("whatever is in a datagram, nothing traps and every datagram is counted once")
  func randomDatagrams() {
    var random = SeededRandom()
    let seed = random.seed
    var analysis = CaptureAnalysis(rates: PayloadRates())
    let packets: UInt64 = 30_000
    for time in 0..<packets {
      var bytes = (0..<Int.random(in: 0..<60, using: &random)).map { _ in
        UInt8.random(in: 0...255, using: &random)
      }
      if !bytes.isEmpty, Bool.random(using: &random) { bytes[0] = bytes[0] & 0x3f | 0x80 }
      let port = UInt16.random(in: 1...(.max), using: &random)
      Self.take(&analysis, bytes, at: time, from: Endpoint(address: Self.from.address, port: port))
    }
    let report = analysis.report(file: "x", left: 0)
    #expect(report.streams.isEmpty, "seed \(seed)")
    #expect(report.rest.reduce(0) { $0 + $1.packets } == packets, "seed \(seed)")
    #expect(report.otherFlows.count == 8 && !report.text.isEmpty && !report.foundInstead.isEmpty)
  }

  @Test("a flood of flows and of streams takes a bounded number of places")
  func flood() {
    var analysis = CaptureAnalysis(rates: PayloadRates())
    for flow in 0..<(CaptureAnalysis.streamsLimit + 50) {
      let from = Endpoint(address: Self.from.address, port: UInt16(flow + 1))
      for sequence in 0..<4 { Self.take(&analysis, Self.rtp(UInt16(sequence)), from: from) }
    }
    for flow in 0..<20_000 {
      Self.take(&analysis, [1, 2, 3], from: Endpoint(address: Self.to.address, port: UInt16(flow + 1)))
    }
    let report = analysis.report(file: "x", left: 0)
    #expect(report.streams.count == CaptureAnalysis.streamsLimit && report.displacedStreams == 50)
    #expect(report.packets == UInt64((CaptureAnalysis.streamsLimit + 50) * 4 + 20_000))
    let listed =
      report.streams.reduce(0) { $0 + $1.figures.packets } + report.rest.reduce(0) { $0 + $1.packets }
    #expect(listed == report.packets)
  }

  @Test("of a capture that was cut off, what came before is reported, and that it was")
  func cutOff() throws {
    let data = try Data(contentsOf: Self.folder.appending(path: "ts.pcap"))
    let path = FileManager.default.temporaryDirectory.appending(path: "t-analyze-\(UUID().uuidString).pcap")
    defer { try? FileManager.default.removeItem(at: path) }
    try data.write(to: path)
    let whole = try CaptureAnalysis.run(.init(file: path.path))
    try data.dropLast(7).write(to: path)
    let cut = try CaptureAnalysis.run(.init(file: path.path))
    #expect(whole.damage == nil && cut.damage?.contains("is damaged or cut off behind") == true)
    #expect(cut.packets == whole.packets - 1)
    #expect(cut.streams.first?.figures.packets == whole.streams.first.map { $0.figures.packets - 1 })
  }

  @Test(
    "a link type that does not exist is the file's fault, whatever the filter",
    arguments: ["", "udp port 5004"])
  func impossibleLinkType(filter: String) throws {
    var data = try Data(contentsOf: Self.folder.appending(path: "ts.pcap"))
    data.replaceSubrange(20..<24, with: [1, 93, 0, 0])
    let path = FileManager.default.temporaryDirectory.appending(path: "t-analyze-\(UUID().uuidString).pcap")
    defer { try? FileManager.default.removeItem(at: path) }
    try data.write(to: path)
    #expect {
      try CaptureFile(path: path.path, filter: filter)
    } throws: { error in
      if case CaptureError.badFile(_, let reason, _) = error { reason.contains("link type") } else { false }
    }
  }

  @Test("a damaged file is an error wherever it is cut, and never a trap")
  func damagedFiles() throws {
    let data = try Data(contentsOf: Self.folder.appending(path: "ts.pcap"))
    var random = SeededRandom()
    let seed = random.seed
    let path = FileManager.default.temporaryDirectory.appending(path: "t-analyze-\(UUID().uuidString).pcap")
    defer { try? FileManager.default.removeItem(at: path) }
    for round in 0..<60 {
      var bytes = Array(data.prefix(round < 20 ? Int.random(in: 0..<data.count, using: &random) : data.count))
      if round >= 20 {
        for _ in 0..<20 {
          bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
        }
      }
      try Data(bytes).write(to: path)
      do {
        let report = try CaptureAnalysis.run(.init(file: path.path))
        #expect(report.packets <= 10_000, "seed \(seed)")
        _ = report.text
      } catch {
        guard case .badFile = error else {
          Issue.record("seed \(seed): \(error)")
          continue
        }
      }
    }
  }
}
