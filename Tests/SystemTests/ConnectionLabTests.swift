import Foundation
import SystemPackage
import Testing
import Topology

@testable import StreamRouter

/// Connections of real programs through three hops: HTTP, iperf3, RTSP over TCP.
///
///     client (curl, iperf3, ffmpeg) on camera ---- edge ---- studio: python3 -m http.server, iperf3 -s, ffmpeg
@Suite(.serialized, .enabled(if: LabFixture.obstacle == nil, "\(LabFixture.obstacle ?? "")"))
struct ConnectionLabTests {
  private static let streams = """
      web: {protocol: tcp, from: "camera:8080", to: "studio:8080"}
      web6: {protocol: tcp, from: "camera:8081", to: "studio:8081", family: ipv6}
      speed: {protocol: tcp, from: "camera:5201", to: "studio:5201"}
      rtsp: {protocol: tcp, from: "camera:8554", to: "studio:8554"}
    """
  private static let engines: [EngineChoice] = [.sandbox, .process]

  /// A folder to serve, with a file `large` of random bytes.
  private static func folder(_ live: LiveLab, largeBytes: Int) throws -> (folder: URL, large: Data) {
    let folder = live.folder.appending(path: "www")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let large = (0..<largeBytes / 8).map { _ in UInt64.random(in: 0 ... .max) }.withUnsafeBytes { Data($0) }
    try large.write(to: folder.appending(path: "large"))
    return (folder, large)
  }

  private static func expectWhole(
    _ hops: [RelaySnapshot], opened: UInt64, _ engine: EngineChoice, bytes: Bool = true
  ) {
    #expect(hops.map(\.hop) == [0, 1, 2])
    #expect(hops.allSatisfy { $0.engine == engine && $0.transport == .tcp })
    for hop in hops {
      #expect(hop.counters["tcp_opened"] == opened, "hop \(hop.hop)")
      #expect(hop.counters["tcp_established"] == opened, "hop \(hop.hop)")
      #expect(hop.dropped == 0, "hop \(hop.hop): \(hop.counters)")
      #expect(hop.tcp != nil && hop.residence.total > 0)
      #expect(!bytes || hop.counters["bytes_in"] == hop.counters["bytes_out"])
    }
  }

  @Test(
    "HTTP over IPv4 and IPv6",
    .enabled(
      if: LabFixture.missing("curl", "python3", "ss") == nil,
      "\(LabFixture.missing("curl", "python3", "ss") ?? "")"),
    .timeLimit(.minutes(3)), arguments: engines)
  func http(engine: EngineChoice) async throws {
    let live = try LiveLab("http", engine: engine, streams: Self.streams)
    try await live.use {
      let (folder, large) = try Self.folder(live, largeBytes: 20_000_000)
      try Data("small".utf8).write(to: folder.appending(path: "small"))
      for (port, address) in [("8080", "10.78.0.3"), ("8081", "fd78::3")] {
        try await live.serve(
          ["python3", "-m", "http.server", port, "--bind", address, "--directory", folder.path],
          until: ":\(port)")
      }
      for (stream, ingress) in [("web", "10.78.0.1:8080"), ("web6", "[fd78::1]:8081")] {
        let copy = live.folder.appending(path: "copy-\(stream)")
        let got = try await live.run(
          "camera", ["curl", "-sS", "-g", "--max-time", "60", "-o", copy.path, "http://\(ingress)/large"])
        #expect(got.succeeded, "\(got.errors)")
        let identical = try Data(contentsOf: copy) == large
        #expect(identical, "\(stream): the file that came is another one")
        // Many at once: each has a port of its own at every hop.
        let each = ["-o", "/dev/null", "http://\(ingress)/small"]
        let many = try await live.run(
          "camera",
          ["curl", "-sS", "-g", "--max-time", "60", "-Z", "--parallel-max", "20", "-w", "%{http_code}\n"]
            + (0..<60).flatMap { _ in each })
        #expect(many.succeeded, "\(many.errors)")
        #expect(many.output.matches(of: /200/).count == 60, "\(many.output)")
        // The last segments of the last connection may still be on their way.
        var hops = try await live.account(stream)
        for _ in 0..<100 where hops.contains(where: { $0.counters["tcp_closed"] != 61 }) {
          try await Task.sleep(for: .milliseconds(20))
          hops = try await live.account(stream)
        }
        Self.expectWhole(hops, opened: 61, engine)
        for hop in hops {
          #expect(hop.counters["tcp_closed"] == 61, "hop \(hop.hop): \(hop.counters)")
          #expect(hop.tcp?.open == 0)
          #expect(hop.counters["reply_bytes"] ?? 0 > 20_000_000)
          #expect(hop.tcp?.sourceRoundTrip.durations.total ?? 0 > 0)
        }
      }
      let nobody = try await live.run(
        "edge", ["curl", "-sS", "--max-time", "2", "http://10.78.0.1:8080/small"])
      #expect(!nobody.succeeded, "an address that is no source of the stream")
      #expect(try await live.account("web")[0].counters["drop_source"] ?? 0 > 0)
    }
  }

  @Test("a sink that refuses, and one that is not there", .timeLimit(.minutes(2)), arguments: engines)
  func refused(engine: EngineChoice) async throws {
    let live = try LiveLab("refused", engine: engine, streams: Self.streams)
    try await live.use {
      let refused = try await live.run("camera", ["curl", "-sS", "--max-time", "5", "http://10.78.0.1:8080/"])
      // 7: could not connect; 56: reset where the connection ends at the hop.
      #expect(
        !refused.succeeded && ["7", "52", "56"].contains { refused.status.contains($0) },
        "\(refused.status): \(refused.errors)")
      for hop in try await live.account("web") {
        // In split mode the hops before the last have a connection onwards, which is reset.
        let cause = engine == .process && hop.hop < 2 ? "tcp_reset" : "tcp_refused"
        #expect(hop.counters[cause] == 1, "hop \(hop.hop): \(hop.counters)")
      }
    }
  }

  @Test(
    "iperf3, both directions and eight connections",
    .enabled(if: LabFixture.missing("iperf3", "ss") == nil, "\(LabFixture.missing("iperf3", "ss") ?? "")"),
    .timeLimit(.minutes(2)), arguments: engines)
  func iperf(engine: EngineChoice) async throws {
    let live = try LiveLab("iperf", engine: engine, streams: Self.streams)
    try await live.use {
      try await live.serve(["iperf3", "-s", "-p", "5201", "-B", "10.78.0.3"], until: ":5201")
      for options in [[], ["-R"], ["-P", "8"]] {
        let run = try await live.run(
          "camera", ["iperf3", "-c", "10.78.0.1", "-p", "5201", "-n", "20M", "--json"] + options)
        #expect(run.succeeded, "\(options): \(run.output.suffix(500))")
        let document = try #require(
          try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any])
        let end = try #require(document["end"] as? [String: Any])
        let received = try #require(end["sum_received"] as? [String: Any])
        // The one that sends ends the run when it has sent: what hops hold then in split mode is not waited for.
        #expect(
          (received["bytes"] as? Double ?? 0) > (engine == .process ? 1 : 15_000_000), "\(options)")
      }
      // A connection that tells of each run, and one or eight that carry it.
      Self.expectWhole(
        try await live.account("speed"), opened: 2 + 2 + 9, engine, bytes: engine == .sandbox)
    }
  }

  @Test(
    "RTSP, media within the connection",
    .enabled(
      if: LabFixture.missing("ffmpeg", "ffprobe", "ss") == nil,
      "\(LabFixture.missing("ffmpeg", "ffprobe", "ss") ?? "")"),
    .timeLimit(.minutes(2)), arguments: engines)
  func rtsp(engine: EngineChoice) async throws {
    let live = try LiveLab("rtsp", engine: engine, streams: Self.streams)
    try await live.use {
      let copy = live.folder.appending(path: "copy.mkv").path
      try await live.serve(
        [
          "ffmpeg", "-nostdin", "-v", "error", "-rtsp_flags", "listen", "-i", "rtsp://10.78.0.3:8554/live",
          "-c", "copy", "-y", copy,
        ],
        until: ":8554")
      let push = try await live.run(
        "camera",
        [
          "ffmpeg", "-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25",
          "-t", "3",
          "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-f",
          "rtsp",
          "-rtsp_transport", "tcp", "rtsp://10.78.0.1:8554/live",
        ])
      #expect(push.succeeded, "\(push.errors)")
      // The receiver writes the end of its file once the session is over.
      var frames = 0
      for _ in 0..<100 where frames < 75 {
        try await Task.sleep(for: .milliseconds(100))
        let probe = try await LabShell.attempt(
          "ffprobe",
          [
            "-v", "quiet", "-count_packets", "-select_streams", "v", "-show_entries", "stream=nb_read_packets",
            "-of", "csv=p=0", copy,
          ])
        frames = Int(probe.output.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
      }
      #expect(frames == 75, "frames of three seconds at 25 a second")
      Self.expectWhole(try await live.account("rtsp"), opened: 1, engine)
    }
  }

  /// The datapath outlives the daemon, and so do connections: the middle hop's daemon is killed in mid-transfer.
  @Test(
    "a transfer outlives the daemon",
    .enabled(
      if: LabFixture.missing("curl", "python3", "ss") == nil,
      "\(LabFixture.missing("curl", "python3", "ss") ?? "")"),
    .timeLimit(.minutes(2)))
  func survival() async throws {
    let live = try LiveLab("survive", engine: .sandbox, streams: Self.streams)
    try await live.use {
      let (folder, large) = try Self.folder(live, largeBytes: 10_000_000)
      try await live.serve(
        ["python3", "-m", "http.server", "8080", "--bind", "10.78.0.3", "--directory", folder.path],
        until: ":8080")
      let copy = live.folder.appending(path: "copy")
      async let got = live.run(
        "camera",
        [
          "curl", "-sS", "--max-time", "60", "--limit-rate", "2500k", "-o", copy.path,
          "http://10.78.0.1:8080/large",
        ])
      try await Task.sleep(for: .seconds(1))
      let pid = try live.pid("edge")
      kill(pid, SIGKILL)
      try await Task.sleep(for: .seconds(1))
      try await live.up()
      let outcome = try await got
      #expect(outcome.succeeded, "\(outcome.errors)")
      let identical = try Data(contentsOf: copy) == large
      #expect(identical, "the file that came is another one")
      let edge = try await live.account("web")[1]
      #expect(edge.counters["tcp_opened"] == 1 && edge.counters["reply_bytes"] ?? 0 > 10_000_000)
    }
  }
}
