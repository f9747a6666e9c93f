import JitterStats

/// What a datagram is by its first bytes, for the list of what a capture holds beside RTP.
public enum DatagramKind: String, Hashable, Sendable, Codable, CaseIterable {
  /// Looks like RTP, but is none that goes on (``RTPCandidate``).
  case likeRTP = "like RTP"
  case rtcp = "RTCP"
  case transportStream = "MPEG-TS without RTP"
  case stun = "STUN"
  case dtls = "DTLS"
  case other = "other"

  init(_ payload: RawSpan) {
    func byte(_ offset: Int) -> UInt8 { payload.unsafeLoad(fromByteOffset: offset, as: UInt8.self) }
    let count = payload.byteCount
    switch MediaPacket(rtpPort: payload) {
    case .rtp where RTPHeader.media(of: payload) != nil: self = .likeRTP
    // RFC 3550 section 6.4.1: the length is in words less one; packets behind the first are not looked at.
    case .rtcp where (Int(byte(2)) << 8 | Int(byte(3))) * 4 + 4 <= count: self = .rtcp
    case .rtp, .rtcp, .malformed, .other:
      if TransportStreamAccount.packets(in: payload) > 0 {
        self = .transportStream
      } else if count >= 20, byte(0) < 4, [0x21, 0x12, 0xa4, 0x42] == (4..<8).map(byte) {
        // The magic cookie of RFC 8489 section 5.
        self = .stun
      } else if count >= 13, (20...63).contains(byte(0)), byte(1) == 0xfe {
        // Record type and version (RFC 9147 section 4.1, RFC 7983).
        self = .dtls
      } else {
        self = .other
      }
    }
  }
}
