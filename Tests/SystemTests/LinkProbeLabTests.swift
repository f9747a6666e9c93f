import Foundation
import SystemPackage
import Testing
import Topology

@testable import StreamRouter

/// Real daemons probe real devices: what is lost on which way, a link that is cut, and test packets as another program reads
/// them.
@Suite(.enabled(if: LabFixture.obstacle == nil, "needs CAP_NET_ADMIN and CAP_SYS_ADMIN"))
struct LinkProbeLabTests {
  private static let stream = "  s: {protocol: udp, from: 'camera:5000', to: 'studio:5000'}\nprobe: 20ms"

  private func link(_ live: LiveLab, _ node: String, to peer: String) async throws -> LinkSnapshot {
    let reading = await ControlSnapshotSource(topology: live.topology.name, nodes: [node]).read().first
    let links = try #require(reading?.snapshot?.links, "\(reading?.problem ?? "no answer")")
    return try #require(links.first { $0.peer == peer })
  }

  private func wait(
    _ live: LiveLab, _ node: String, to peer: String, _ what: Comment, _ holds: (LinkSnapshot) -> Bool
  ) async throws {
    for _ in 0..<300 {
      if holds(try await link(live, node, to: peer)) { return }
      try await Task.sleep(for: .milliseconds(100))
    }
    Issue.record("never seen: \(what): \(try await link(live, node, to: peer))")
  }

  @Test(arguments: [EngineChoice.sandbox, .process])
  func lossIsToldByDirectionAndACutIsSilence(_ engine: EngineChoice) async throws {
    let live = try LiveLab("probe", engine: engine, streams: Self.stream)
    try await live.use {
      let program = try LabFiles.ownExecutable().removingLastComponent().appending(LiveLab.program).string
      for (node, peer) in [("camera", "edge"), ("edge", "camera"), ("edge", "studio"), ("studio", "edge")] {
        try await wait(live, node, to: peer, "answers") { $0.answered > 200 && $0.reflected > 100 }
        let whole = try await link(live, node, to: peer)
        #expect(whole.problem == nil && whole.unexpected == 0)
        // One clock for all of them.
        let (offset, error) = (try #require(whole.clockOffsetNs), try #require(whole.clockErrorNs))
        #expect(offset.magnitude <= error)
      }

      // A daemon that starts first is not answered at once; by now that is judged.
      let before = try await link(live, "edge", to: "studio").lost
      var request = LabImpairmentRequest(link: "camera--edge", direction: .aToB, lossPercent: 30)
      _ = try await live.lab.impair(request, enter: { [program, "lab", "impair-here"] + $0 })
      try await wait(live, "camera", to: "edge", "loss on the way there") { $0.lostForward >= 20 }
      try await wait(live, "edge", to: "camera", "loss of answers") { $0.lostBackward >= 20 }
      #expect(try await link(live, "camera", to: "edge").lostBackward <= 1)
      #expect(try await link(live, "edge", to: "camera").lostForward <= 1)

      // The other link has nothing of it. Then it is cut at its far end, both ways.
      let other = try await link(live, "edge", to: "studio")
      #expect(other.lost <= before + 1)
      request = LabImpairmentRequest(link: "edge--studio", lossPercent: 100)
      _ = try await live.lab.impair(request, enter: { [program, "lab", "impair-here"] + $0 })
      try await wait(live, "edge", to: "studio", "silence") { $0.lostEither >= other.lostEither + 50 }
      let cut = try await link(live, "edge", to: "studio")
      _ = try await live.lab.impair(
        LabImpairmentRequest(link: "edge--studio"), enter: { [program, "lab", "impair-here"] + $0 })
      try await wait(live, "edge", to: "studio", "answers again") { $0.answered > cut.answered + 20 }
    }
  }

  /// Where the other daemon does not run, the kernel there says so.
  @Test func aPeerThatDoesNotAnswerIsNamed() async throws {
    let live = try LiveLab("probe-gone", engine: .process, streams: Self.stream)
    try await live.use {
      try await wait(live, "camera", to: "edge", "answers") { $0.answered > 5 }
      let pid = try live.pid("edge")
      kill(pid, SIGKILL)
      try await wait(live, "camera", to: "edge", "why") {
        $0.problem?.contains("nobody answers test packets at 10.78.0.2:8622") == true
      }
    }
  }

  /// Wireshark's dissector of the same packets (TWAMP-Test has the layout of RFC 8762's unauthenticated mode).
  @Test func anotherProgramReadsTheTestPackets() async throws {
    guard try await LabShell.attempt("env", ["which", "tshark"]).succeeded else {
      print("tshark is not installed: test packets are not read by it; run scripts/setup.sh test")
      return
    }
    let live = try LiveLab("probe-wire", engine: .sandbox, streams: Self.stream)
    try await live.use {
      try await wait(live, "camera", to: "edge", "answers") { $0.answered > 5 }
      let file = live.folder.appending(path: "probe.pcap").path
      let device = "to-edge"
      let captured = try await live.run(
        "camera",
        [
          "timeout", "20", "tcpdump", "-i", device, "-n", "-c", "200", "-Z", "root", "-w", file,
          "udp port 8622",
        ])
      #expect(captured.succeeded, "\(captured)")
      let fields = [
        "frame.time_epoch", "ip.src", "ip.ttl", "udp.dstport", "twamp.test.seq_number", "twamp.test.timestamp",
        "twamp.test.sender_seq_number", "twamp.test.sender_ttl", "twamp.test.error_estimate.multiplier",
      ]
      let read = try await LabShell.attempt(
        "env",
        ["TZ=UTC", "tshark", "-r", file, "-d", "udp.port==8622,twamp.test", "-T", "fields"]
          + fields.flatMap { ["-e", $0] })
      let rows = read.output.split(separator: "\n").map {
        $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
      }
      #expect(rows.count == 200 && rows.allSatisfy { $0.count == fields.count }, "\(read)")
      var last: [String: Int] = [:]
      for row in rows where row.count == fields.count {
        #expect(row[2] == "255" && !["", "0", "0x00"].contains(row[8]), "\(row)")
        // Each sender, and each reflector, counts by one.
        let flow = row[1] + (row[3] == "8622" ? " asks" : " answers")
        let number = try #require(Int(row[4]))
        if let before = last[flow] { #expect(number == before + 1, "\(flow)") }
        last[flow] = number
        if row[3] != "8622" { #expect(row[7] == "255") }
        // `Nov 28, 2026 12:00:00.123456789 UTC`: the seconds are those of the frame.
        let seconds = row[5].split(separator: " ").first { $0.contains(":") }?.split(separator: ":").last
        let said = try #require(seconds.flatMap { Double($0) }, "\(row[5])")
        let seen = try #require(Double(row[0])).truncatingRemainder(dividingBy: 60)
        let apart = abs(said - seen)
        #expect(min(apart, 60 - apart) < 0.05, "\(row)")
      }
      #expect(last.count == 4)
    }
  }
}
