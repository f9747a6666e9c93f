/// What the account needs of one packet of an MPEG transport stream (ISO/IEC 13818-1 section 2.4.3).
public struct TransportStreamPacket: Hashable, Sendable {
  /// Bytes of a packet.
  public static let bytes = 188
  /// Bytes of a packet with the Reed-Solomon code of DVB behind it (EN 300 421), which is skipped.
  public static let codedBytes = 204
  /// The first byte of each packet.
  public static let syncByte: UInt8 = 0x47
  /// The PID of stuffing, whose counter means nothing (section 2.4.3.3).
  public static let nullPID: UInt16 = 0x1fff

  /// transport_error_indicator: something before us could not mend the packet, and nothing in it can be trusted.
  public var isErrored: Bool
  /// 0 to 8191.
  public var pid: UInt16
  /// continuity_counter, 0 to 15.
  public var counter: UInt8
  public var hasPayload: Bool
  /// Whether adaptation_field_control and the adaptation field's length are ones that a packet can have.
  public var isWellFormed: Bool
  /// discontinuity_indicator: counter and clock may begin anew here (section 2.4.3.5).
  public var isDiscontinuous = false
  /// The program clock reference in units of 27 MHz, as `mp2t.af.pcr` of Wireshark; nil: none.
  public var clockTicks: UInt64?
  /// A hash of the payload, to tell a duplicate from the packet of 16 later; 0 without payload.
  public var fingerprint: UInt64 = 0

  /// Reads the packet at `offset`; nil where it does not begin with the sync byte.
  ///
  /// - Parameter data: has ``bytes`` bytes at `offset`.
  public init?(_ data: RawSpan, at offset: Int) {
    func byte(_ place: Int) -> UInt8 { data.unsafeLoad(fromByteOffset: offset + place, as: UInt8.self) }
    guard byte(0) == Self.syncByte else { return nil }
    isErrored = byte(1) & 0x80 != 0
    pid = UInt16(byte(1) & 0x1f) << 8 | UInt16(byte(2))
    counter = byte(3) & 0x0f
    let hasAdaptation = byte(3) & 0x20 != 0
    hasPayload = byte(3) & 0x10 != 0
    isWellFormed = hasAdaptation || hasPayload
    var payload = 4
    if hasAdaptation {
      // Section 2.4.3.4: 183 without payload, 0 to 182 with one.
      let length = Int(byte(4))
      isWellFormed = hasPayload ? length <= 182 : length == 183
      payload = min(5 + length, Self.bytes)
      if isWellFormed, length >= 1 {
        isDiscontinuous = byte(5) & 0x80 != 0
        if byte(5) & 0x10 != 0, length >= 7 {
          let base = (6..<10).reduce(UInt64(0)) { $0 << 8 | UInt64(byte($1)) } << 1 | UInt64(byte(10) >> 7)
          clockTicks = base * 300 + UInt64(byte(10) & 1) << 8 + UInt64(byte(11))
        }
      }
    }
    if hasPayload { fingerprint = Self.hash(data, from: offset + payload, to: offset + Self.bytes) }
  }

  /// Not against who wants to deceive: it only tells which of two counts of an equal counter is right.
  private static func hash(_ data: RawSpan, from start: Int, to end: Int) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    var place = start
    while place + 8 <= end {
      hash = (hash ^ data.unsafeLoadUnaligned(fromByteOffset: place, as: UInt64.self)) &* 0x0000_0100_0000_01b3
      hash ^= hash >> 29
      place += 8
    }
    while place < end {
      hash = (hash ^ UInt64(data.unsafeLoad(fromByteOffset: place, as: UInt8.self))) &* 0x0000_0100_0000_01b3
      place += 1
    }
    return hash
  }
}
