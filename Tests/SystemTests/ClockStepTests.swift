import Foundation
import SystemPackage
import Testing
import Topology

@testable import StreamRouter

/// Clocks that are set while things go on, by Debian's `libfaketime`: the wall clock of one daemon, and not the time that
/// passes. The lab is drawn at ``RemoteLab``.
@Suite(.enabled(if: ClockStepTests.obstacle == nil, "\(ClockStepTests.obstacle ?? "")"))
struct ClockStepTests {
  static var obstacle: String? {
    LabFixture.obstacle
      ?? (library == nil ? "libfaketime is not installed ('scripts/setup.sh test' installs it)" : nil)
  }

  private static let library = LabFiles.list("/usr/lib").map { "/usr/lib/\($0)/faketime/libfaketimeMT.so.1" }
    .first { FileManager.default.fileExists(atPath: $0) }

  private static let one = "  video: {protocol: rtp, from: \"camera:5004\", to: \"studio:5004\"}"
  private static let two =
    "  video: {protocol: rtp, from: \"camera:5004\", to: [\"studio:5004\", \"edge:6000\"]}"
  private static let year = 365 * 86_400

  /// The clocks of some daemons, each by a file that says how far it is off.
  private struct Clocks: Sendable {
    let folder: URL

    func set(_ who: String, seconds: Int) throws {
      let text = "\(seconds < 0 ? "-" : "+")\(abs(seconds))"
      // Replaced whole: the library may read at any moment.
      try Data(text.utf8).write(to: file(who), options: .atomic)
    }

    func file(_ who: String) -> URL { folder.appending(path: "clock-\(who)") }

    func before(_ who: String) -> [String] {
      guard FileManager.default.fileExists(atPath: file(who).path) else { return [] }
      return [
        "env", "LD_PRELOAD=\(ClockStepTests.library ?? "")", "FAKETIME_TIMESTAMP_FILE=\(file(who).path)",
        "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1",
      ]
    }
  }

  private static func lab(_ name: String, _ body: (RemoteLab, Clocks) async throws -> Void) async throws {
    var remote = RemoteLab(
      live: try LiveLab("clock-\(name)", engine: .sandbox, streams: one, control: .controller))
    let clocks = Clocks(folder: remote.live.folder)
    for who in [RemoteLab.control, "edge"] { try clocks.set(who, seconds: 0) }
    remote.before = { clocks.before($0) }
    let made = remote
    try await made.use { try await body(made, clocks) }
  }

  @Test(
    "the time to confirm is the time that passes, however the clocks of controller and node are set meanwhile",
    .timeLimit(.minutes(2)))
  func confirmation() async throws {
    try await Self.lab("confirm") { remote, clocks in
      let live = remote.live
      let stream = try await TestStream.begin(live, perSecond: 500, for: "100s")
      let former = try await live.runningSinks()
      for seconds in [600, -600, 20 * 86_400] {
        try live.rewrite(engine: .sandbox, streams: Self.two)
        let began = ContinuousClock.now
        let deployed = try await live.command(["deploy", live.file.path, "--confirm", "5s"])
        #expect(deployed.succeeded, "\(seconds): \(deployed)")
        try clocks.set(RemoteLab.control, seconds: seconds)
        try clocks.set("edge", seconds: -seconds)
        let until = ContinuousClock.now + .seconds(3)
        while ContinuousClock.now < until {
          #expect(try await live.controlStatus().lockedBy != nil, "\(seconds): given up before its time")
          try await Task.sleep(for: .milliseconds(200))
        }
        try await live.until("\(seconds): it is given up") { try await live.controlStatus().lockedBy == nil }
        let took = ContinuousClock.now - began
        #expect(took > .seconds(5) && took < .seconds(12), "\(seconds): \(took)")
        #expect(try await live.runningSinks() == former, "\(seconds)")
        // The session goes on, and 'status' tells how far the clocks are apart.
        let offset = Double(-2 * seconds)
        try await live.until("\(seconds): the offset is known") {
          let edge = try await live.controlStatus().nodes.first { $0.node == "edge" }
          return edge?.state == "connected" && abs(Double(edge?.clockOffsetNs ?? 0) / 1e9 - offset) < 5
        }
        for who in [RemoteLab.control, "edge"] { try clocks.set(who, seconds: 0) }
      }
      let report = try await stream.end(interrupt: true)
      #expect(report.lost == 0 && report.duplicates == 0 && report.received > 1_000, "\(report)")
    }
  }

  @Test(
    "a clock that is years off shuts its machine out with a message that says so, and the session is back once it is right",
    .timeLimit(.minutes(2)))
  func years() async throws {
    try await Self.lab("years") { remote, clocks in
      let live = remote.live
      let stream = try await TestStream.begin(live, perSecond: 500, for: "100s")
      let isWhole = { () async throws -> Bool in try await live.controlStatus().isWhole }

      // The controller's: to it, all certificates have expired.
      try clocks.set(RemoteLab.control, seconds: 2 * Self.year)
      try await live.until("the sessions end") {
        try await live.controlStatus().nodes.allSatisfy { $0.state == "silent" }
      }
      #expect(remote.says(RemoteLab.control, "a connection is ended: the certificate of node edge expired at"))
      try clocks.set(RemoteLab.control, seconds: 0)
      try await live.until("the sessions are back") { try await isWhole() }

      // A node's: what runs goes on, and as it connects anew the certificate of the controller is of another time.
      for (seconds, word) in [(2 * Self.year, "expired at"), (-2 * Self.year, "compare the clocks")] {
        try clocks.set("edge", seconds: seconds)
        try await live.kill(node: "edge")
        try await remote.start("edge")
        try await live.until("\(seconds): its log says why") { remote.says("edge", word) }
        #expect(try await live.controlStatus().nodes.contains { $0.node == "edge" && $0.state == "silent" })
        try clocks.set("edge", seconds: 0)
        try await live.until("\(seconds): edge is back") { try await isWhole() }
      }

      try live.rewrite(engine: .sandbox, streams: Self.two)
      #expect(try await live.command("deploy", live.file.path).succeeded)
      #expect(try await live.runningSinks() == live.wantedSinks())
      let report = try await stream.end(interrupt: true)
      #expect(report.lost == 0 && report.duplicates == 0 && report.received > 1_000, "\(report)")
    }
  }
}
