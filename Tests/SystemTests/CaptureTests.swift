import Foundation
import Testing
import Topology

@testable import StreamRouter

/// What is captured at a hop is what passed it, and other tools read it.
///
///     send --> camera 10.78.0.1 ---- edge 10.78.0.2 ---- studio 10.78.0.3
///                                     '-- captured here
@Suite(.serialized, .enabled(if: LabFixture.obstacle == nil, "\(LabFixture.obstacle ?? "")"))
struct CaptureTests {
  private static func lab(_ name: String, _ engine: EngineChoice = .sandbox) throws -> LiveLab {
    try LiveLab(
      name, engine: engine,
      streams: "  video: {protocol: rtp, from: \"camera:5004\", to: \"studio:5004\", dscp: ef}")
  }

  /// Captures while packets are sent.
  private static func capture(
    _ live: LiveLab, at node: String, _ side: CapturePoint.Side, file: String, packets: UInt64,
    rate: Double = 2000, _ change: (inout Capture.Settings) -> Void = { _ in },
    meanwhile: () async throws -> Void = {}
  ) async throws -> CaptureReport {
    try await live.capture("video", at: node, side, file: file, change) {
      let ends = try StreamEnds("video", of: live.topology, lab: live.topology.name)
      let source = try ends.source()
      var sender = TestSender.Settings(destination: ends.ingress)
      (sender.source, sender.namespace) = (source.address, source.namespace)
      sender.count = packets
      sender.pace = Pace(perSecond: rate)
      async let sending = TestSender(sender).run(until: StopFlag())
      try await meanwhile()
      #expect(try await sending.packets == packets)
    }
  }

  private static func tshark(_ file: String, _ fields: [String]) async throws -> [[String]]? {
    do {
      let said = try await LabShell.attempt(
        "tshark", ["-r", file, "-T", "fields"] + fields.flatMap { ["-e", $0] })
      try #require(said.succeeded, "\(said.errors)")
      return said.output.split(separator: "\n").map {
        $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
      }
    } catch LabError.missingTool {
      return nil
    }
  }

  /// A hop's side, and what its packets must look like.
  private struct Place {
    var side: CapturePoint.Side
    var node: String
    var hop: Int
    var source: String
    var destination: String
    var dscp: String
    var device: String
  }

  private static let places = [
    Place(
      side: .before, node: "camera", hop: 0, source: "10.78.0.1", destination: "10.78.0.1", dscp: "0",
      device: "lo"),
    Place(
      side: .before, node: "edge", hop: 1, source: "10.78.0.1", destination: "10.78.0.2", dscp: "46",
      device: "to-camera"),
    Place(
      side: .after, node: "camera", hop: 0, source: "10.78.0.1", destination: "10.78.0.2", dscp: "46",
      device: "to-edge"),
  ]

  private static func check(_ live: LiveLab, _ place: Place) async throws {
    let name = "\(place.node)-\(place.side.rawValue).pcapng"
    let report = try await capture(live, at: place.node, place.side, file: name, packets: 1000)
    let file = try #require(report.files.first)
    #expect(report.packets == 1000 && report.matched >= 1000 && report.dropped == 0, "\(name)")
    let tcpdump = try await LabShell.attempt("tcpdump", ["-nr", file])
    #expect(tcpdump.succeeded && tcpdump.output.split(separator: "\n").count == 1000, "\(tcpdump.errors)")
    let fields = ["ip.src", "ip.dst", "ip.dsfield.dscp", "frame.interface_name", "frame.comment"]
    guard let rows = try await tshark(file, fields) else {
      print("tshark is not installed: comments and devices are not compared; run scripts/setup.sh test")
      return
    }
    let comment = "stream video, hop \(place.hop) at \(place.node), \(place.side.rawValue) the extensions"
    let wanted = [place.source, place.destination, place.dscp, place.device, comment]
    let isSame = rows.count == 1000 && rows.allSatisfy { $0 == wanted }
    #expect(isSame, "\(rows.count) rows, such as \(rows.first ?? []), not \(wanted)")
  }

  @Test(
    "every packet, before the datapath as it came and after it as it leaves", .timeLimit(.minutes(2)),
    arguments: [EngineChoice.sandbox, .process])
  func bothSides(engine: EngineChoice) async throws {
    let live = try Self.lab("t-cap", engine)
    try await live.use {
      for place in Self.places { try await Self.check(live, place) }
      // Behind the last hop: the loopback device with engine process, and none with engine sandbox.
      let ends = try StreamEnds("video", of: live.topology, lab: live.topology.name)
      if engine == .sandbox {
        await #expect(throws: CaptureError.noDeviceAfter(stream: "video", node: "studio")) {
          try await CapturePoint.find(ends, at: "studio", side: .after)
        }
      } else {
        let report = try await Self.capture(live, at: "studio", .after, file: "last.pcapng", packets: 1000)
        #expect(report.packets == 1000)
      }
      await #expect(throws: CaptureError.self) { try await CapturePoint.find(ends, at: nil, side: .before) }
      await #expect(throws: CaptureError.self) { try await CapturePoint.find(ends, at: "attic", side: .before) }
    }
  }

  /// The extension writes payload type 111 at the camera.
  @Test(
    "before an extension packets are as they came, after it as it made them",
    .enabled(if: ExtensionBuilding.obstacle == nil, "\(ExtensionBuilding.obstacle ?? "")"),
    .timeLimit(.minutes(2)), arguments: [EngineChoice.sandbox, .process])
  func aroundExtension(engine: EngineChoice) async throws {
    let live = try LiveLab(
      "t-capext", engine: engine,
      streams: """
          video:
            protocol: rtp
            from: camera:5004
            to: studio:5004
            extensions: [{name: rewrite, with: {payloadType: 111}}]
        """)
    let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let source = try String(contentsOf: package.appending(path: "Extensions/Rewrite.swift"), encoding: .utf8)
    try live.install(try await ExtensionBuilding.build(source, in: live.folder).image, as: "rewrite")
    try await live.use {
      for (side, payloadType) in [(CapturePoint.Side.before, UInt8(96)), (.after, 111)] {
        let report = try await Self.capture(live, at: "camera", side, file: "\(side).pcapng", packets: 500)
        let file = try CaptureFile(path: try #require(report.files.first), filter: "")
        var types: [UInt8: Int] = [:]
        while let datagram = try file.next() { types[datagram.payload[1] & 0x7f, default: 0] += 1 }
        #expect(types == [payloadType: 500], "\(side)")
      }
    }
  }

  @Test("analyze finds in the capture what receive reported", .timeLimit(.minutes(2)))
  func analyzed() async throws {
    let live = try Self.lab("t-ana")
    let program = try LabFiles.ownExecutable().removingLastComponent().appending(LiveLab.program).string
    try await live.use {
      try await LabShell.run(
        "env", [program, "lab", "impair", live.topology.name, "--link", "camera--edge", "--loss", "5"])
      let sink = try StreamEnds("video", of: live.topology, lab: live.topology.name).sink()
      var settings = TestReceiver.Settings(endpoint: sink.endpoint)
      settings.namespace = sink.namespace
      settings.idleSeconds = 3
      let (ready, listening) = AsyncStream.makeStream(of: Void.self)
      async let receiving = TestReceiver(settings).run(until: StopFlag()) {
        listening.yield()
        listening.finish()
      }
      for await _ in ready { break }
      let captured = try await Self.capture(live, at: "studio", .before, file: "studio.pcapng", packets: 4000)
      let received = try await receiving
      let report = try CaptureAnalysis.run(.init(file: try #require(captured.files.first)))
      let ours = try #require(report.streams.first)
      let theirs = try #require(received.sources.first)
      #expect(report.streams.count == 1)
      #expect(report.packets == received.packets && report.bytes == received.bytes && report.rest.isEmpty)
      let (a, b) = (ours.figures, theirs)
      #expect(a.ssrc == b.ssrc && a.payloadTypes == b.payloadTypes && a.clockRate == b.clockRate)
      #expect(
        a.packets == b.packets && a.bytes == b.bytes && a.loss == b.loss && a.bursts.losses == b.bursts.losses)
      #expect(a.loss.lost > 50 && a.extendedHighestSequence == b.extendedHighestSequence)
      #expect(a.reordering.reordered == b.reordering.reordered)
      // The device stamps packets before the socket does.
      #expect(abs(a.durationSeconds - b.durationSeconds) < 0.1)
      #expect(abs(a.interarrival.meanSeconds - b.interarrival.meanSeconds) < 0.0001)
    }
  }

  @Test("a ring keeps the latest files, and what is in them is whole", .timeLimit(.minutes(2)))
  func ring() async throws {
    let live = try Self.lab("t-ring")
    try await live.use {
      let report = try await Self.capture(live, at: "edge", .before, file: "ring.pcapng", packets: 4000) {
        $0.fileBytes = 100_000
        $0.files = 3
      }
      #expect(report.packets == 4000 && report.files.count == 3)
      let left = LabFiles.list(.init(live.folder.path)).filter { $0.hasPrefix("ring") }
      #expect(left == report.files.map { URL(filePath: $0).lastPathComponent })
      #expect(left.first?.hasPrefix("ring-000") == true)
      var count = 0
      for file in report.files {
        let survey = try ReplaySurvey.of(path: file, filter: "")
        #expect(survey.largest == 200 && survey.left == 0)
        count += Int(survey.packets)
      }
      #expect(count > 500 && count < 4000)
      let full = try await Self.capture(live, at: "edge", .before, file: "one.pcapng", packets: 2000) {
        $0.fileBytes = 100_000
      }
      #expect(full.packets < 2000 && full.files.count == 1, "the capture ends with its only file")
    }
  }

  @Test("a trigger brings the seconds before it onto the disk", .timeLimit(.minutes(2)))
  func trigger() async throws {
    let live = try Self.lab("t-trig")
    let program = try LabFiles.ownExecutable().removingLastComponent().appending(LiveLab.program).string
    func impair(_ how: [String]) async throws {
      try await LabShell.run(
        "env", [program, "lab", "impair", live.topology.name, "--link", "camera--edge"] + how)
    }
    try await live.use {
      let report = try await Self.capture(
        live, at: "studio", .before, file: "trigger.pcapng", packets: 12_000, rate: 2000
      ) {
        $0.triggers = [Threshold("loss>0")!]
        $0.keepSeconds = 0.5
      } meanwhile: {
        try await Task.sleep(for: .milliseconds(1500))
        try await impair(["--loss", "20"])
        try await Task.sleep(for: .milliseconds(100))
        try await impair(["--clear"])
      }
      #expect(!report.triggers.isEmpty && report.triggers.first?.text.hasPrefix("loss>0: ") == true)
      #expect(report.packets > 1000 && report.packets < 11_500, "neither nothing nor all: \(report.packets)")
      let file = try #require(report.files.first)
      guard let rows = try await Self.tshark(file, ["frame.time_relative", "frame.comment"]) else { return }
      let place = try #require(rows.firstIndex { $0[1].contains("trigger loss>0: ") })
      let seconds = try #require(Double(rows[place][0]))
      #expect(seconds > 0.2 && seconds <= 0.5, "what came half a second before it is there")
      #expect(place > 200)
    }
  }

  @Test("what was captured at one hop and is replayed arrives byte for byte", .timeLimit(.minutes(2)))
  func replayed() async throws {
    let live = try Self.lab("t-replay")
    try await live.use {
      let report = try await Self.capture(live, at: "camera", .before, file: "camera.pcapng", packets: 1000)
      let ends = try StreamEnds("video", of: live.topology, lab: live.topology.name)
      let file = try #require(report.files.first)
      let sink = try DatagramCollector(live, node: "studio", at: "10.78.0.3:5004")
      var settings = Replay.Settings(file: file, destination: ends.ingress)
      let source = try ends.source()
      (settings.source, settings.namespace) = (source.address, source.namespace)
      let sent = try await Replay(settings).run(until: StopFlag())
      #expect(sent.packets == 1000 && sent.bytes == 200_000)
      let arrived = try await sink.all(expecting: 1000)
      let numbers = arrived.map { $0[28..<36].reduce(UInt64(0)) { $0 << 8 | UInt64($1) } }
      #expect(numbers == Array(0..<1000))
    }
  }
}
