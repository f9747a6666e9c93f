import Foundation
import JitterStats
import Testing

/// The account against `tshark -q -z rtp,streams` 4.0.17, to each digit that it prints.
///
/// `ts` is a real MPEG-TS stream of ffmpeg over loopback (payload type 33); `edited` is the same with 5 % of its
/// packets taken out, 4 % exchanged with their followers, 2 % overwritten by copies of them and numbers that wrap.
@Suite struct TsharkTests {
  private static func lines(_ name: String) throws -> [Substring] {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/\(name)")
    return try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
  }

  private static func analysis(_ name: String) throws -> RTPAnalysis {
    var analysis = RTPAnalysis()
    for line in try lines("\(name).tsv") {
      let fields = line.split(separator: "\t")
      let time = fields[0].split(separator: ".")
      let header = RTPHeader(
        payloadType: try #require(UInt8(fields[4])), sequence: try #require(UInt16(fields[1])),
        timestamp: try #require(UInt32(fields[2])),
        ssrc: try #require(UInt32(fields[3].dropFirst(2), radix: 16)), isMarked: fields[5] != "0")
      let arrivalNs = try #require(UInt64(time[0])) * 1_000_000_000 + (try #require(UInt64(time[1])))
      analysis.receive(header, arrivalNs: arrivalNs, payloadBytes: try #require(Int(fields[6])) - 8)
    }
    return analysis
  }

  @Test(arguments: ["ts", "edited"]) func equalsTshark(name: String) throws {
    let report = try #require(Self.analysis(name).reports.first)
    let words = try #require(Self.lines("\(name).streams.txt").first).split(separator: " ")
    let percent = try #require(words.firstIndex { $0.hasSuffix("%)") })
    let lost = try #require(Int64(words[percent - 1]))
    #expect(UInt64(words[percent - 2]) == report.packets)
    #expect(lost == report.wireshark.lost)
    let ours = [
      report.wireshark.minDeltaSeconds, report.wireshark.meanDeltaSeconds, report.wireshark.maxDeltaSeconds,
      report.wireshark.minJitterSeconds, report.wireshark.meanJitterSeconds, report.wireshark.maxJitterSeconds,
    ].map { String(format: "%.3f", $0 * 1_000) }
    #expect(ours == words[(percent + 1)...(percent + 6)].map(String.init))
  }
}
