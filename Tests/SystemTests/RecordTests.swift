import Foundation
import Testing
import Topology

@testable import StreamRouter

/// A live lab is recorded by the command, and what is played and reported is what its relays counted.
///
///     sender --> camera 10.78.0.1 ---- edge 10.78.0.2 ---- studio 10.78.0.3
@Suite(.serialized, .enabled(if: LabFixture.obstacle == nil, "\(LabFixture.obstacle ?? "")"))
struct RecordTests {
  private func object(_ text: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  @Test func aLabIsRecordedPlayedAndReported() async throws {
    let live = try LiveLab(
      "t-record", engine: .sandbox,
      streams: "  video: {protocol: rtp, from: \"camera:5004\", to: \"studio:5004\", expect: {rate: 10k..}}")
    let path = FileManager.default.temporaryDirectory.appending(path: "t-record-\(getpid()).srrec").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    let program = try LabFiles.ownExecutable().removingLastComponent().appending("streamrouter").string
    try await live.use {
      // A bound on how long, no clock: the recording ends by its count.
      async let recorded = LabShell.attempt(
        "env",
        [
          program, "monitor", live.file.path, "--record", path, "--jsonl", "--interval", "500ms", "--count",
          "8",
        ])
      async let sending: Void = NumberedRTP.send(
        0..<3000, in: live.namespace("camera"), to: try #require(Endpoint("10.78.0.1:5004")), perSecond: 1000)
      let outcome = try await recorded
      try await sending
      #expect(outcome.status == "exited(0)", "\(outcome)")
      let printed = outcome.output.split(separator: "\n")
      #expect(printed.count == 8)
      // What was printed while it was recorded is what is played.
      let played = try await LabShell.attempt("env", [program, "monitor", "--play", path, "--jsonl"])
      #expect(played.status == "exited(0)")
      #expect(played.output.split(separator: "\n") == printed)
      let report = try await LabShell.attempt("env", [program, "report", "--play", path, "--json"])
      #expect(report.status == "exited(0)", "\(report)")
      let document = try object(report.output)
      let streams = try #require(document["streams"] as? [[String: Any]])
      let hops = try #require(streams.first?["hops"] as? [[String: Any]])
      #expect(hops.map { $0["way"] as? String } == ["source -> camera", "camera -> edge", "edge -> studio"])
      let account = try await live.account("video")
      // The recording may have begun after the first packets, or ended before the last.
      for (hop, relay) in zip(hops, account) {
        let packets = try #require(hop["packets"] as? UInt64)
        #expect(packets > 500 && packets <= relay.counters["packets_in"] ?? 0, "\(packets)")
        #expect(hop["packetsLost"] as? Int == 0)
      }
      // Another session of the same topology, then a page of it all.
      let again = try await LabShell.attempt(
        "env", [program, "monitor", "--topology", live.topology.name, "--record", path, "--once"])
      #expect(again.status == "exited(0)", "\(again)")
      let page = path + ".html"
      defer { try? FileManager.default.removeItem(atPath: page) }
      let html = try await LabShell.attempt(
        "env", [program, "report", "--play", path, "--html", "--output", page])
      #expect(html.status == "exited(0)" && html.output.isEmpty, "\(html)")
      #expect(try String(contentsOfFile: page, encoding: .utf8).contains("camera -&gt; edge"))
      let direct = try await LabShell.attempt(
        "env", [program, "report", live.file.path, "--for", "1s", "--csv"])
      #expect(direct.status == "exited(0)" && direct.output.hasPrefix("start,end,"), "\(direct)")
    }
    let gone = try await LabShell.attempt(
      "env", [program, "report", "--topology", live.topology.name, "--for", "1s"])
    #expect(gone.status == "exited(69)")
  }

  /// What is wrong is told with the exit status that the help names.
  @Test func wrongFilesAndOptionsAreTold() async throws {
    let program = try LabFiles.ownExecutable().removingLastComponent().appending("streamrouter").string
    let path = FileManager.default.temporaryDirectory.appending(path: "t-record-wrong-\(getpid())").path
    try Data("dear\n".utf8).write(to: URL(filePath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    for (arguments, status) in [
      (["monitor", "--play", path, "--once"], 65), (["report", "--play", path], 65),
      (["monitor", "--play", path + "-not", "--once"], 66), (["report", "--play", path + "-not"], 66),
      (["monitor", "--play", path, "--record", path], 64), (["monitor", "--play", path, "a.yaml"], 64),
      (["report", "--json", "--html"], 64), (["report", "--from", "15:00"], 64),
      (["report", "--play", path, "--for", "3s"], 64), (["report", "--json", "--columns", "node"], 64),
      (["monitor", "--topology", "t-none", "--record", path, "--once"], 64),
    ] {
      let outcome = try await LabShell.attempt("env", [program] + arguments)
      #expect(outcome.status == "exited(\(status))", "\(arguments): \(outcome)")
    }
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "dear\n")
  }
}
