/// The fixed header of an RTP packet (RFC 3550 section 5.1), as it stood when it was asked for.
public struct RTPHeader {
  /// The first four bytes: version, padding, extension, CSRC count, marker, payload type, sequence number.
  let word: UInt32
  let secondWord: UInt32
  let thirdWord: UInt32

  /// Nil: no RTP of version 2, cut short, or RTCP (RFC 5761 section 4).
  @inline(__always)
  init?(_ packet: Packet) {
    guard unsafe viewProtocol(packet.view) == 1, let word = packet.uint32(at: 0), word >> 30 == 2,
      !(192...223).contains(word >> 16 & 0xff), let second = packet.uint32(at: 4),
      let third = packet.uint32(at: 8)
    else { return nil }
    self.word = word
    secondWord = second
    thirdWord = third
  }

  @inline(__always) public var hasPadding: Bool { word >> 29 & 1 == 1 }
  @inline(__always) public var hasExtension: Bool { word >> 28 & 1 == 1 }
  /// How many contributing sources follow the fixed header.
  @inline(__always) public var csrcCount: Int { Int(truncatingIfNeeded: word >> 24 & 0xf) }
  @inline(__always) public var marker: Bool { word >> 23 & 1 == 1 }
  @inline(__always) public var payloadType: UInt8 { UInt8(truncatingIfNeeded: word >> 16 & 0x7f) }
  @inline(__always) public var sequence: UInt16 { UInt16(truncatingIfNeeded: word) }
  @inline(__always) public var timestamp: UInt32 { secondWord }
  @inline(__always) public var ssrc: UInt32 { thirdWord }
}

extension Packet {
  /// The RTP header; nil for RTCP, for streams of protocol udp, and for what is no RTP.
  @inline(__always)
  public var rtp: RTPHeader? { RTPHeader(self) }

  /// The type of the first RTCP packet in the datagram (RFC 3550 section 6.1), such as 200 for a sender report; nil for
  /// RTP, for streams of protocol udp, and for what is no RTCP.
  @inline(__always)
  public var rtcpType: UInt8? {
    guard unsafe viewProtocol(view) != 0, let word = uint32(at: 0), word >> 30 == 2,
      (192...223).contains(word >> 16 & 0xff)
    else { return nil }
    return UInt8(truncatingIfNeeded: word >> 16)
  }

  /// A contributing source (RFC 3550 section 5.1), 0 being the first.
  @inline(__always)
  public func csrc(_ number: Int, of rtp: RTPHeader) -> UInt32? {
    guard number >= 0, number < rtp.csrcCount else { return nil }
    return uint32(at: 12 &+ 4 &* number)
  }

  /// Where the media starts: behind the fixed header, the contributing sources and the header extension (RFC 3550
  /// section 5.3.1). Nil: the lengths contradict the packet.
  @inline(__always)
  public func payloadOffset(of rtp: RTPHeader) -> Int? {
    let fixed = 12 &+ 4 &* rtp.csrcCount
    guard rtp.hasExtension else { return fixed <= length ? fixed : nil }
    guard let words = uint16(at: fixed &+ 2) else { return nil }
    let offset = fixed &+ 4 &+ 4 &* Int(words)
    return offset <= length ? offset : nil
  }

  /// Bytes of media, without padding (RFC 3550 section 5.1). Nil: the lengths contradict the packet.
  @inline(__always)
  public func payloadLength(of rtp: RTPHeader) -> Int? {
    guard let offset = payloadOffset(of: rtp) else { return nil }
    guard rtp.hasPadding else { return length &- offset }
    guard let padding = self[length &- 1], padding > 0, Int(padding) <= length &- offset else { return nil }
    return length &- offset &- Int(padding)
  }

  /// The profile and length in 32-bit words of the header extension (RFC 3550 section 5.3.1); nil: there is none.
  @inline(__always)
  public func headerExtension(of rtp: RTPHeader) -> (profile: UInt16, words: UInt16, offset: Int)? {
    guard rtp.hasExtension else { return nil }
    let start = 12 &+ 4 &* rtp.csrcCount
    guard let profile = uint16(at: start), let words = uint16(at: start &+ 2) else { return nil }
    return (profile, words, start &+ 4)
  }

  /// Writes marker and payload type (0 to 127; higher bits are cut off).
  @inline(__always) @discardableResult
  public mutating func setRTP(payloadType: UInt8, marker: Bool) -> Bool {
    store(payloadType & 0x7f | (marker ? 0x80 : 0), at: 1)
  }

  @inline(__always) @discardableResult
  public mutating func setRTP(sequence: UInt16) -> Bool { store(sequence, at: 2) }

  @inline(__always) @discardableResult
  public mutating func setRTP(timestamp: UInt32) -> Bool { store(timestamp, at: 4) }

  @inline(__always) @discardableResult
  public mutating func setRTP(ssrc: UInt32) -> Bool { store(ssrc, at: 8) }
}
