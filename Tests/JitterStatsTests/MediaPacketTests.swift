import JitterStats
import Testing

/// Headers as they come from the wire, whole and broken, and the clocks of payload types.
@Suite struct MediaPacketTests {
  private func onRTPPort(_ bytes: [UInt8]) -> MediaPacket {
    bytes.withUnsafeBytes { MediaPacket(rtpPort: $0.bytes) }
  }

  private func onRTCPPort(_ bytes: [UInt8]) -> MediaPacket {
    bytes.withUnsafeBytes { MediaPacket(rtcpPort: $0.bytes) }
  }

  private static let rtp: [UInt8] = [0x80, 0xe0, 0x12, 0x34, 0xde, 0xad, 0xbe, 0xef, 0x01, 0x02, 0x03, 0x04]

  @Test func rtpFieldsAreReadInNetworkOrder() {
    let header = RTPHeader(
      payloadType: 96, sequence: 0x1234, timestamp: 0xdead_beef, ssrc: 0x0102_0304, isMarked: true)
    #expect(onRTPPort(Self.rtp) == .rtp(header))
    #expect(onRTPPort(Self.rtp + [1, 2, 3]) == .rtp(header))
  }

  @Test func csrcsMustFit() {
    var packet = Self.rtp
    packet[0] = 0x82
    #expect(onRTPPort(packet) == .malformed)
    #expect(onRTPPort(packet + Array(repeating: 0, count: 7)) == .malformed)
    guard case .rtp = onRTPPort(packet + Array(repeating: 0, count: 8)) else {
      Issue.record("two CSRCs fit 20 bytes")
      return
    }
  }

  @Test(arguments: [0x00, 0x40, 0xc0] as [UInt8]) func otherVersionsAreNotRTP(first: UInt8) {
    var packet = Self.rtp
    packet[0] = first
    #expect(onRTPPort(packet) == .other)
  }

  @Test func shortPacketsAreNotRTP() {
    for length in 0..<12 { #expect(onRTPPort(Array(Self.rtp.prefix(length))) == .other) }
  }

  @Test func packetTypes192To223AreRTCP() {
    for type in UInt8.min ... .max {
      let packet: [UInt8] = [0x80, type, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]
      let isRTCP = (192...223).contains(type)
      #expect((onRTPPort(packet) == .rtcp) == isRTCP)
      #expect(onRTCPPort(packet) == (isRTCP ? .rtcp : .other))
    }
  }

  @Test func shortRTCPIsOther() {
    let report: [UInt8] = [0x80, 201, 0, 1, 0, 0, 0, 1]
    #expect(onRTPPort(report) == .rtcp)
    for length in 0..<8 {
      #expect(onRTPPort(Array(report.prefix(length))) == .other)
      #expect(onRTCPPort(Array(report.prefix(length))) == .other)
    }
  }

  @Test func staticClocks() {
    // RFC 3551 tables 4 and 5.
    let rates: [UInt8: UInt32] = [
      0: 8_000, 3: 8_000, 4: 8_000, 5: 8_000, 6: 16_000, 7: 8_000, 8: 8_000, 9: 8_000, 10: 44_100, 11: 44_100,
      12: 8_000, 13: 8_000, 14: 90_000, 15: 8_000, 16: 11_025, 17: 22_050, 18: 8_000, 25: 90_000, 26: 90_000,
      28: 90_000, 31: 90_000, 32: 90_000, 33: 90_000, 34: 90_000, 96: 90_000, 127: 90_000,
    ]
    for (type, rate) in rates { #expect(PayloadClock.rate(payloadType: type) == rate) }
  }
}
