/// What the payload of a datagram on an RTP relay is: RTP, RTCP, or neither.
public enum MediaPacket: Hashable, Sendable {
  case rtp(RTPHeader)
  /// An RTCP packet: on the companion port, or multiplexed on the RTP port (RFC 5761 section 4).
  case rtcp
  /// An RTP header whose CSRC count reaches beyond the packet.
  case malformed
  /// Not version 2, or too short for a header.
  case other

  /// Bytes of the RTP header without CSRCs (RFC 3550 section 5.1).
  public static let rtpHeaderBytes = 12
  /// Bytes of the smallest RTCP packet: its header and one SSRC (RFC 3550 section 6.4).
  public static let rtcpHeaderBytes = 8

  /// Classifies the payload of a datagram on the RTP port. Reads nothing beyond the span.
  @inlinable
  public init(rtpPort payload: RawSpan) {
    guard payload.byteCount >= Self.rtcpHeaderBytes, Self.isVersion2(payload) else {
      self = .other
      return
    }
    if Self.isRTCP(payload) {
      self = .rtcp
    } else if payload.byteCount < Self.rtpHeaderBytes {
      self = .other
    } else {
      let csrcs = Int(payload.unsafeLoad(as: UInt8.self) & 0x0f)
      self =
        Self.rtpHeaderBytes + 4 * csrcs <= payload.byteCount ? .rtp(RTPHeader(longEnough: payload)) : .malformed
    }
  }

  /// Classifies the payload of a datagram on the companion port (RFC 3550 section 11): ``rtcp`` or ``other``.
  @inlinable
  public init(rtcpPort payload: RawSpan) {
    let isRTCP =
      payload.byteCount >= Self.rtcpHeaderBytes && Self.isVersion2(payload) && Self.isRTCP(payload)
    self = isRTCP ? .rtcp : .other
  }

  @usableFromInline
  static func isVersion2(_ payload: RawSpan) -> Bool {
    payload.unsafeLoad(as: UInt8.self) >> 6 == 2
  }

  /// Packet types 192 to 223 are RTCP (RFC 5761 section 4). Needs two bytes.
  @usableFromInline
  static func isRTCP(_ payload: RawSpan) -> Bool {
    (192...223).contains(payload.unsafeLoad(fromByteOffset: 1, as: UInt8.self))
  }
}

/// The fields of an RTP header that the account needs (RFC 3550 section 5.1).
public struct RTPHeader: Hashable, Sendable {
  /// 0 to 127.
  public var payloadType: UInt8
  public var sequence: UInt16
  /// In units of the payload's clock (``PayloadClock``).
  public var timestamp: UInt32
  public var ssrc: UInt32
  /// The marker bit, whose meaning the payload format gives: most often the last packet of a video frame, or the
  /// first after silence.
  public var isMarked: Bool

  public init(
    payloadType: UInt8 = 96, sequence: UInt16, timestamp: UInt32, ssrc: UInt32, isMarked: Bool = false
  ) {
    self.payloadType = payloadType
    self.isMarked = isMarked
    self.sequence = sequence
    self.timestamp = timestamp
    self.ssrc = ssrc
  }

  /// Where the media stands in an RTP packet, behind CSRCs and header extension and before the padding (RFC 3550
  /// sections 5.1 and 5.3.1); nil where they do not fit into the packet.
  /// - Parameter packet: one that ``MediaPacket`` takes for RTP.
  public static func media(of packet: RawSpan) -> Range<Int>? {
    func byte(_ offset: Int) -> Int { Int(packet.unsafeLoad(fromByteOffset: offset, as: UInt8.self)) }
    let count = packet.byteCount
    guard count >= MediaPacket.rtpHeaderBytes else { return nil }
    var start = MediaPacket.rtpHeaderBytes + 4 * (byte(0) & 15)
    guard start <= count else { return nil }
    if byte(0) & 0x10 != 0 {
      guard start + 4 <= count else { return nil }
      start += 4 + 4 * (byte(start + 2) << 8 | byte(start + 3))
      guard start <= count else { return nil }
    }
    guard byte(0) & 0x20 != 0 else { return start..<count }
    let padding = byte(count - 1)
    return padding > 0 && start + padding <= count ? start..<(count - padding) : nil
  }

  /// Reads the header of a payload that ``MediaPacket`` has found to be long enough. The loads check their
  /// bounds all the same.
  @usableFromInline
  init(longEnough payload: RawSpan) {
    let second = payload.unsafeLoad(fromByteOffset: 1, as: UInt8.self)
    payloadType = second & 0x7f
    isMarked = second & 0x80 != 0
    sequence = UInt16(bigEndian: payload.unsafeLoadUnaligned(fromByteOffset: 2, as: UInt16.self))
    timestamp = UInt32(bigEndian: payload.unsafeLoadUnaligned(fromByteOffset: 4, as: UInt32.self))
    ssrc = UInt32(bigEndian: payload.unsafeLoadUnaligned(fromByteOffset: 8, as: UInt32.self))
  }
}
