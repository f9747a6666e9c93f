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
    case .rtp where Self.isPlausible(payload): self = .likeRTP
    // RFC 3550 section 6.4.1: the length is in words less one; packets behind the first are not looked at.
    case .rtcp where (Int(byte(2)) << 8 | Int(byte(3))) * 4 + 4 <= count: self = .rtcp
    case .rtp, .rtcp, .malformed, .other:
      if count >= 188, count % 188 == 0, stride(from: 0, to: count, by: 188).allSatisfy({ byte($0) == 0x47 }) {
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

  /// Whether header extension and padding, where the header says that there are, fit into the packet (RFC 3550
  /// sections 5.1 and 5.3.1). Needs a packet that ``MediaPacket`` takes for RTP.
  private static func isPlausible(_ payload: RawSpan) -> Bool {
    func byte(_ offset: Int) -> Int { Int(payload.unsafeLoad(fromByteOffset: offset, as: UInt8.self)) }
    let count = payload.byteCount
    var header = MediaPacket.rtpHeaderBytes + 4 * (byte(0) & 15)
    if byte(0) & 0x10 != 0 {
      guard header + 4 <= count else { return false }
      header += 4 + 4 * (byte(header + 2) << 8 | byte(header + 3))
      guard header <= count else { return false }
    }
    guard byte(0) & 0x20 != 0 else { return true }
    let padding = byte(count - 1)
    return padding > 0 && header + padding <= count
  }
}
