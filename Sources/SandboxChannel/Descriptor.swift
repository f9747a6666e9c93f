import CStreamRouter

/// A packet in a channel: some bytes of a slot. The word that is sent in its place.
public struct Descriptor: Equatable, Hashable, Sendable {
  /// The slot's number.
  public var slot: UInt32
  /// Where in the slot the packet begins, in bytes.
  public var offset: UInt16
  /// How long it is, in bytes.
  public var length: UInt16

  public init(slot: UInt32, offset: UInt16 = 0, length: UInt16 = 0) {
    self.slot = slot
    self.offset = offset
    self.length = length
  }

  /// As it stands in the ring, with the lap's parity.
  init(word: UInt64) {
    slot = UInt32(truncatingIfNeeded: word) & Self.noSlot
    offset = UInt16(truncatingIfNeeded: word >> 32)
    length = UInt16(truncatingIfNeeded: word >> 48)
  }

  func word(lap: UInt64) -> UInt64 {
    UInt64(slot) | UInt64(offset) << 32 | UInt64(length) << 48 | lap
  }

  static let noSlot = UInt32(SR_NO_SLOT.rawValue)
  static let lapBit = UInt64(SR_LAP_BIT.rawValue)

  /// The parity of the lap that a position of the ring belongs to; `entries` is a power of two.
  @inline(__always)
  static func lap(_ position: UInt64, shift: UInt64) -> UInt64 {
    ((position >> shift) & 1) == 0 ? lapBit : 0
  }
}

/// What an event says. Taken in order of priority, then of posting.
public struct ChannelEvent: Equatable, Sendable {
  /// 0, the most urgent, to 31.
  public var priority: Int
  /// What happened, in the words of who uses the channel: 0 to 2^30 - 1.
  public var code: UInt32
  public var payload: UInt64

  public init(priority: Int, code: UInt32, payload: UInt64 = 0) {
    self.priority = priority
    self.code = code
    self.payload = payload
  }
}
