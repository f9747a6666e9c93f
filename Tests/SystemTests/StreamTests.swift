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

  private static func missing(_ tools: [String]) -> String? {
    let folders = LabShell.searchPath.split(separator: ":")
    let absent = tools.filter { tool in
      !folders.contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(tool)") }
    }
    return absent.isEmpty ? nil : "needs \(absent.joined(separator: ", ")): run scripts/setup.sh test"
  }
  private static let obstacle = missing(["ffmpeg", "tcpdump", "gst-launch-1.0"])

  @Test(
    "every byte of H.264, Opus, MPEG-TS and rtph264pay arrives",
    .enabled(if: obstacle == nil, "\(obstacle ?? "")"),
    .timeLimit(.minutes(3)), arguments: [EngineChoice.sandbox, .process])
  func everyByteArrives(engine: EngineChoice) async throws {
    let live = try LiveLab("bytes", engine: engine, streams: Self.streams)
    try await live.use {
      var collectors: [String: DatagramCollector] = [:]
      for (stream, port) in Self.ports {
        collectors[stream] = try DatagramCollector(live, node: "studio", at: "10.78.0.3:\(port)")
      }
      let capture = FileManager.default.temporaryDirectory.appending(path: "\(live.topology.name).pcap")
      defer { try? FileManager.default.removeItem(at: capture) }
      async let dump = live.run(
        "camera",
        [
          "timeout", "-s", "INT", "14", "tcpdump", "-i", "lo", "-U", "-B", "32768", "-w", capture.path,
          "udp and dst host 10.78.0.1",
        ])
      // The file header shows that tcpdump listens.
      while (try? Data(contentsOf: capture).count) ?? 0 < 24 { try await Task.sleep(for: .milliseconds(50)) }
      async let gstreamer = live.run("camera", Self.gstreamerCommand)
      let ffmpeg = try await live.run("camera", Self.ffmpegCommand)
      #expect(ffmpeg.succeeded, "\(ffmpeg.errors)")
      let gst = try await gstreamer
      #expect(gst.succeeded, "\(gst.errors)")
      let dumped = try await dump
      #expect(dumped.errors.contains("0 packets dropped by kernel"), "\(dumped.errors)")

      let sent = try Self.payloads(of: capture)
      for (stream, port) in Self.ports.sorted(by: { $0.value < $1.value }) {
        let input = sent[port] ?? []
        #expect(input.count > 50, "\(stream): only \(input.count) datagrams were sent")
        let output = try await collectors[stream]!.all(expecting: input.count)
        #expect(output.count == input.count, "\(stream)")
        // Compared as a flag: the bytes themselves would fill screens.
        let identical = output == input
        #expect(identical, "\(stream): bytes or order differ")

        let hops = try await live.account(stream)
        #expect(hops.map(\.hop) == [0, 1, 2])
        #expect(hops.allSatisfy { $0.engine == engine })
        #expect(hops.map(\.dropped) == [0, 0, 0], "\(stream)")
        #expect(hops.map(\.rtpLost) == [0, 0, 0], "\(stream)")
        let companions = (sent[port + 1] ?? []).count
        let expected = UInt64(input.count + (stream == "transport" ? 0 : companions))
        #expect(hops.map { $0.counters["packets_in"] } == [expected, expected, expected], "\(stream)")
        #expect(hops.map(\.residence.total) == [expected, expected, expected], "\(stream)")
      }
    }
  }

  private static let ffmpegCommand =
    "ffmpeg -nostdin -v error -re -f lavfi -i testsrc2=size=640x360:rate=30 -re -f lavfi -i sine=sample_rate=48000 -t 4 -map 0:v -c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -g 15 -f rtp rtp://10.78.0.1:5004?pkt_size=1200 -t 4 -map 1:a -c:a libopus -f rtp rtp://10.78.0.1:5008?pkt_size=1200 -t 4 -map 0:v -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 15 -f mpegts udp://10.78.0.1:5012?pkt_size=1316"
    .split(separator: " ").map(String.init)

  private static let gstreamerCommand =
    "gst-launch-1.0 -q videotestsrc num-buffers=90 is-live=true ! x264enc tune=zerolatency ! rtph264pay config-interval=1 ! udpsink host=10.78.0.1 port=5016"
    .split(separator: " ").map(String.init)

  /// UDP payloads of a capture on an Ethernet-like device, by destination port, in the order of arrival.
  static func payloads(of capture: URL) throws -> [UInt16: [[UInt8]]] {
    let bytes = [UInt8](try Data(contentsOf: capture))
    func little(_ offset: Int) -> Int { (0..<4).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) } }
    try #require(bytes.count >= 24 && little(20) == 1, "an Ethernet capture")
    var payloads: [UInt16: [[UInt8]]] = [:]
    var offset = 24
    while offset + 16 <= bytes.count, offset + 16 + little(offset + 8) <= bytes.count {
      let frame = Array(bytes[(offset + 16)..<(offset + 16 + little(offset + 8))])
      offset += 16 + frame.count
      guard frame.count >= 42, frame[12] == 8, frame[13] == 0, frame[23] == 17 else { continue }
      let udp = 14 + Int(frame[14] & 0xf) * 4
      let length = Int(frame[udp + 4]) << 8 | Int(frame[udp + 5])
      payloads[UInt16(frame[udp + 2]) << 8 | UInt16(frame[udp + 3]), default: []]
        .append(Array(frame[(udp + 8)..<(udp + length)]))
    }
    return payloads
  }
}
