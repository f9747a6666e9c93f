import Foundation
import Testing
import Topology

@testable import StreamRouter

/// Players open real streams with what `streamrouter sdp` prints.
///
///     ffmpeg --> camera ---- edge ---- studio --> ffprobe, gst-launch-1.0
@Suite(.serialized, .enabled(if: LabFixture.obstacle == nil, "\(LabFixture.obstacle ?? "")"))
struct PlayerTests {
  private static let obstacle = LabFixture.missing("ffmpeg", "ffprobe")

  @Test(
    "ffprobe and GStreamer open H.264 and Opus in one session, and MPEG-TS over UDP",
    .enabled(if: obstacle == nil, "\(obstacle ?? "")"), .timeLimit(.minutes(3)))
  func players() async throws {
    let live = try LiveLab(
      "t-sdp", engine: .sandbox,
      streams: """
          video: {protocol: rtp, from: "camera:5004", to: "studio:5004"}
          audio: {protocol: rtp, from: "camera:5008", to: "studio:5008", clockRate: 48000}
          transport: {protocol: udp, from: "camera:5012", to: "studio:5012"}
        """)
    try await live.use {
      let program = try LabFiles.ownExecutable().removingLastComponent().appending(LiveLab.program).string
      func describe(_ streams: [String]) async throws -> String {
        let said = try await LabShell.attempt(
          "env", [program, "sdp"] + streams + ["--topology", live.file.path])
        try #require(said.succeeded, "\(said.errors)")
        let file = live.folder.appending(path: "\(streams[0]).sdp")
        try said.output.write(to: file, atomically: true, encoding: .utf8)
        return file.path
      }
      let session = try await describe(["video", "audio"])
      let transport = try await describe(["transport"])
      async let source = live.run("camera", Self.ffmpeg)
      let codecs = try await Self.probe(live, session)
      #expect(codecs.contains("h264") && codecs.contains("320") && codecs.contains("opus"), "\(codecs)")
      let stream = try await Self.probe(live, transport)
      #expect(stream.contains("h264") && stream.contains("320"), "\(stream)")
      if let absent = LabFixture.missing("ffplay") {
        print("ffplay is not tried: \(absent)")
      } else {
        // SDL draws and plays into nothing: there is no screen here.
        let said = try await live.run(
          "studio",
          [
            "env", "SDL_VIDEODRIVER=dummy", "SDL_AUDIODRIVER=dummy", "timeout", "--signal=INT", "8", "ffplay",
            "-hide_banner",
            "-protocol_whitelist", "file,udp,rtp", session,
          ])
        // It plays until it is ended; sound and picture side by side show that it does.
        let end = said.errors.suffix(2000)
        #expect(said.errors.contains("Video: h264") && said.errors.contains("Audio: opus"), "\(end)")
        #expect(said.errors.contains(/A-V: +-?[0-9]/), "\(end)")
      }
      if let absent = LabFixture.missing("gst-launch-1.0") {
        print("GStreamer is not tried: \(absent)")
      } else {
        let said = try await live.run(
          "studio",
          [
            "timeout", "30", "gst-launch-1.0", "-q", "filesrc", "location=\(session)", "!", "sdpdemux",
            "name=d",
            "d.", "!", "rtph264depay", "!", "fakesink", "num-buffers=30",
          ])
        #expect(said.succeeded, "\(said.errors)")
      }
      _ = try await source
    }
  }

  private static func probe(_ live: LiveLab, _ file: String) async throws -> String {
    let said = try await live.run(
      "studio",
      [
        "timeout", "30", "ffprobe", "-loglevel", "error", "-protocol_whitelist", "file,udp,rtp",
        "-show_entries", "stream=codec_name,width,sample_rate", "-of", "compact", file,
      ])
    return said.output + (said.succeeded ? "" : said.errors)
  }

  /// 20 s of three streams; the players take part of them.
  private static let ffmpeg =
    "ffmpeg -nostdin -loglevel error -re -t 20 -f lavfi -i testsrc2=size=320x240:rate=30 -re -t 20 -f lavfi -i sine=frequency=440:sample_rate=48000 -map 0:v -c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p -g 15 -f rtp rtp://10.78.0.1:5004?pkt_size=1200 -map 1:a -c:a libopus -payload_type 97 -f rtp rtp://10.78.0.1:5008 -map 0:v -c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p -g 15 -f mpegts udp://10.78.0.1:5012?pkt_size=1316"
    .split(separator: " ").map(String.init)
}
