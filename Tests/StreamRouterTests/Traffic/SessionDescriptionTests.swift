import TestSupport
import Testing
import Topology

import struct Topology.Stream

@testable import StreamRouter

/// SDP for players at the sinks.
@Suite struct SessionDescriptionTests {
  private static func stream(_ name: String, _ transport: StreamProtocol = .rtp, clockRate: UInt32? = nil)
    -> Stream
  {
    Stream(
      name: name, transport: transport, from: NodePort(node: "a", port: 5004),
      to: [.node(NodePort(node: "b", port: 5004))], clockRate: clockRate)
  }

  private static func lines(_ description: SessionDescription) -> [String] {
    #expect(description.text.hasSuffix("\r\n"))
    return description.text.split(separator: "\r\n").map(String.init)
  }

  @Test("codec and payload type are what is likely, unless they are named")
  func formats() throws {
    let sink = try #require(Endpoint("10.0.0.3:5004"))
    let likely = SessionDescription.Media(Self.stream("video"), at: sink)
    #expect(likely.format.name == "h264" && likely.payloadType == 96)
    #expect(SessionDescription.Media(Self.stream("audio", clockRate: 48_000), at: sink).format.name == "opus")
    let named = SessionDescription.Media(
      Self.stream("video"), at: sink, format: MediaFormat.named("H265"), payloadType: 111, parameters: "a=b")
    let lines = Self.lines(SessionDescription(name: "lab", media: [named]))
    #expect(
      lines.dropFirst(2) == [
        "s=lab", "c=IN IP4 10.0.0.3", "t=0 0", "m=video 5004 RTP/AVP 111", "a=rtpmap:111 H265/90000",
        "a=fmtp:111 a=b", "a=recvonly",
      ])
    #expect(named.contradiction(with: Self.stream("video", clockRate: 48_000)) != nil)
    #expect(named.contradiction(with: Self.stream("video", clockRate: 90_000)) == nil)
    let l16 = SessionDescription.Media(
      Self.stream("audio", clockRate: 44_100), at: sink, format: MediaFormat.named("l16"))
    #expect(Self.lines(SessionDescription(name: "lab", media: [l16])).contains("a=rtpmap:97 L16/44100/2"))
  }

  @Test("another address than the first has a c= line of its own, and IPv6 is named so")
  func connections() throws {
    let first = SessionDescription.Media(Self.stream("video"), at: try #require(Endpoint("[fd00::3]:5004")))
    let second = SessionDescription.Media(
      Self.stream("audio", clockRate: 48_000), at: try #require(Endpoint("10.0.0.3:5008")))
    let lines = Self.lines(SessionDescription(name: "lab", media: [first, second]))
    #expect(lines.filter { $0.hasPrefix("c=") } == ["c=IN IP6 fd00::3", "c=IN IP4 10.0.0.3"])
    let media = try #require(lines.firstIndex { $0.hasPrefix("m=audio") })
    #expect(lines[media + 1] == "c=IN IP4 10.0.0.3")
    #expect(lines[1].hasSuffix(" 1 IN IP6 fd00::3"))
  }

  @Test("an encoder's file gives formats, and the sink gives address and port")
  func sender() throws {
    // As ffmpeg 5.1 writes it.
    let text = """
      SDP:
      v=0
      o=- 0 0 IN IP4 127.0.0.1
      s=No Name
      c=IN IP4 10.42.0.1
      t=0 0
      a=tool:libavformat 59.27.100
      m=video 7000 RTP/AVP 97
      b=AS:200
      a=rtpmap:97 H264/90000
      a=fmtp:97 packetization-mode=1; sprop-parameter-sets=Z0LAFdoFB+hAAAADAEAAAA8jxYuo,aM48gA==; profile-level-id=42C015
      a=control:streamid=0

      """
    let sender = try SenderDescription(text, file: "camera.sdp")
    let media = SessionDescription.Media(Self.stream("video"), at: try #require(Endpoint("10.0.0.3:5004")))
    let lines = Self.lines(SessionDescription(name: "lab", media: [media], sender: sender))
    #expect(lines.contains("m=video 5004 RTP/AVP 97"))
    #expect(lines.contains { $0.hasPrefix("a=fmtp:97 packetization-mode=1; sprop-parameter-sets=Z0LAFdo") })
    #expect(!lines.contains { $0.contains("10.42.0.1") || $0.hasPrefix("a=control") || $0.hasPrefix("b=") })
  }

  @Test(
    "what is no description is refused with its line",
    arguments: [
      "", "v=0\n", "m=video\n", "m=video 5 udp 33\n", "m=video 5 RTP/AVP x\n", "m=video 5 RTP/AVP 200\n",
    ])
  func noSender(text: String) {
    #expect(throws: TrafficError.self) { try SenderDescription(text, file: "x.sdp") }
  }

  @Test("damaged descriptions never trap")
  func damaged() {
    var random = SeededRandom()
    let good = Array("v=0\r\nm=video 7000 RTP/AVP 97 98\r\na=rtpmap:97 H264/90000\r\na=fmtp:97 x\r\n".utf8)
    for _ in 0..<5000 {
      var bytes = good
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      _ = try? SenderDescription(String(decoding: bytes, as: UTF8.self), file: "x")
    }
  }
}
