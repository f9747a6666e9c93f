import Foundation
import Testing
import Topology

@testable import StreamRouter

/// Real media through three hops: what ffmpeg and GStreamer send into the camera comes out at the studio, every byte.
///
///     ffmpeg, gst-launch-1.0 --> camera ---- edge ---- studio --> a socket that keeps everything
///            tcpdump here ---^
@Suite(.serialized, .enabled(if: LabFixture.obstacle == nil, "\(LabFixture.obstacle ?? "")"))
struct StreamTests {
  private static let streams = """
      video: {protocol: rtp, from: "camera:5004", to: "studio:5004"}
      audio: {protocol: rtp, from: "camera:5008", to: "studio:5008", clockRate: 48000}
      transport: {protocol: udp, from: "camera:5012", to: "studio:5012"}
      gstreamer: {protocol: rtp, from: "camera:5016", to: "studio:5016"}
    """
  private static let ports: [String: UInt16] = [
    "video": 5004, "audio": 5008, "transport": 5012, "gstreamer": 5016,
  ]

  private static let obstacle =
    LabFixture.missing("ffmpeg", "tcpdump", "gst-launch-1.0", "gst-inspect-1.0") ?? encoder()

  /// gst-launch-1.0 comes without encoders.
  private static func encoder() -> String? {
    let status = LabFiles.withCStrings(["gst-inspect-1.0", "--exists", "x264enc"]) { arguments in
      var (child, status): (pid_t, Int32) = (0, -1)
      guard posix_spawnp(&child, "gst-inspect-1.0", nil, nil, arguments, environ) == 0 else { return status }
      while waitpid(child, &status, 0) < 0 && errno == EINTR {}
      return status
    }
    return status == 0 ? nil : "needs GStreamer's x264enc: run scripts/setup.sh test"
  }

  @Test(
    "every byte of H.264, Opus, MPEG-TS and rtph264pay arrives",
    .enabled(if: obstacle == nil, "\(obstacle ?? "")"),
    .timeLimit(.minutes(3)), arguments: [EngineChoice.sandbox, .process])
  func everyByteArrives(engine: EngineChoice) async throws {
    let live = try LiveLab("bytes", engine: engine, streams: Self.streams)
    try await live.use {
      // RTCP takes the port above.
      var collectors: [UInt16: DatagramCollector] = [:]
      for port in Self.ports.values.flatMap({ [$0, $0 + 1] }) {
        collectors[port] = try DatagramCollector(live, node: "studio", at: "10.78.0.3:\(port)")
      }
      let capture = try await WireCapture(live, node: "camera", device: "lo", "udp and dst host 10.78.0.1")
      async let gstreamer = live.run("camera", Self.gstreamerCommand)
      let ffmpeg = try await live.run("camera", Self.ffmpegCommand)
      #expect(ffmpeg.succeeded, "\(ffmpeg.errors)")
      let gst = try await gstreamer
      #expect(gst.succeeded, "\(gst.errors)")

      let datagrams = try await capture.end().map { try #require(WireDatagram($0)) }
      let sent = Dictionary(grouping: datagrams, by: \.destinationPort).mapValues { $0.map(\.payload) }
      #expect(Set(sent.keys).isSubset(of: collectors.keys))
      for (stream, port) in Self.ports.sorted(by: { $0.value < $1.value }) {
        let input = sent[port] ?? []
        #expect(input.count > 50, "\(stream): only \(input.count) datagrams were sent")
        let reports = sent[port + 1] ?? []
        #expect(
          reports.isEmpty == !["video", "audio"].contains(stream), "\(stream): ffmpeg sends sender reports")
        for (port, input) in [(port, input), (port + 1, reports)] {
          let output = try await collectors[port]!.all(expecting: input.count)
          #expect(output.count == input.count, "\(stream), port \(port)")
          // Compared as a flag: the bytes themselves would fill screens.
          let identical = output == input
          #expect(identical, "\(stream), port \(port): bytes or order differ")
        }

        let hops = try await live.account(stream)
        #expect(hops.map(\.hop) == [0, 1, 2])
        #expect(hops.allSatisfy { $0.engine == engine })
        #expect(hops.map(\.dropped) == [0, 0, 0], "\(stream)")
        #expect(hops.map(\.rtpLost) == [0, 0, 0], "\(stream)")
        let expected = UInt64(input.count + reports.count)
        #expect(hops.map { $0.counters["packets_in"] } == [expected, expected, expected], "\(stream)")
        #expect(hops.map(\.residence.total) == [expected, expected, expected], "\(stream)")
        try Self.expectReports(reports, at: hops, stream)
      }
    }
  }

  /// What ffmpeg's sender reports say (RFC 3550 section 6.4.1) is known at each hop, and nothing more.
  private static func expectReports(_ sent: [[UInt8]], at hops: [RelaySnapshot], _ stream: String) throws {
    for hop in hops {
      guard let latest = sent.last else {
        #expect(hop.peers == nil, "\(stream), hop \(hop.hop)")
        continue
      }
      let peers = try #require(hop.peers, "\(stream), hop \(hop.hop)")
      func long(_ offset: Int) -> UInt32 { latest[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) } }
      let sender = try #require(peers.senders.first)
      #expect(peers.senders.count == 1 && peers.reports.isEmpty && peers.unreadable == 0)
      #expect(peers.packets == UInt64(sent.count) && sender.reports == UInt64(sent.count))
      #expect(sender.ssrc == long(4) && sender.ssrc == hop.ssrc && sender.rtpTimestamp == long(16))
      #expect(sender.sentPackets == long(20) && sender.sentPayloadBytes == long(24))
      // Nothing was lost on the way to it, so no more were sent until then than came in all.
      #expect(UInt64(sender.sentPackets) <= hop.counters["rtp_packets"] ?? 0)
    }
  }

  private static let ffmpegCommand =
    "ffmpeg -nostdin -v error -re -f lavfi -i testsrc2=size=640x360:rate=30 -re -f lavfi -i sine=sample_rate=48000 -t 4 -map 0:v -c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -g 15 -f rtp rtp://10.78.0.1:5004?pkt_size=1200 -t 4 -map 1:a -c:a libopus -f rtp rtp://10.78.0.1:5008?pkt_size=1200 -t 4 -map 0:v -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 15 -f mpegts udp://10.78.0.1:5012?pkt_size=1316"
    .split(separator: " ").map(String.init)

  private static let gstreamerCommand =
    "gst-launch-1.0 -q videotestsrc num-buffers=90 is-live=true ! x264enc tune=zerolatency ! rtph264pay config-interval=1 ! udpsink host=10.78.0.1 port=5016"
    .split(separator: " ").map(String.init)
}
