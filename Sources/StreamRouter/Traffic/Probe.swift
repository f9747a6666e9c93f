import JitterStats

/// What `send` writes into each datagram, and `receive` reads: number and time of departure, in 64 bits each.
///
/// It stands first in the payload, behind the RTP header where there is one. All fields are big-endian:
///
///     0   magic
///     8   run        a random number: the sender was started anew where it changes
///     16  number     from 0
///     24  total      how many the run will have; 0 where it has no end
///     32  departure  nanoseconds since 1970 by CLOCK_REALTIME
public struct Probe: Hashable, Sendable {
  /// "SRprobe1".
  static let magic: UInt64 = 0x5352_7072_6f62_6531
  /// Bytes of it.
  public static let bytes = 40

  public var run: UInt64
  public var number: UInt64
  public var total: UInt64
  public var departureNs: UInt64

  static let numberOffset = 16
  static let departureOffset = 32

  /// Writes what stays the same for the whole run.
  static func begin(_ bytes: UnsafeMutableRawPointer, run: UInt64, total: UInt64) {
    bytes.storeBytes(of: magic.bigEndian, as: UInt64.self)
    bytes.storeBytes(of: run.bigEndian, toByteOffset: 8, as: UInt64.self)
    bytes.storeBytes(of: total.bigEndian, toByteOffset: 24, as: UInt64.self)
  }

  static func number(_ bytes: UnsafeMutableRawPointer, _ number: UInt64) {
    bytes.storeBytes(of: number.bigEndian, toByteOffset: numberOffset, as: UInt64.self)
  }

  static func depart(_ bytes: UnsafeMutableRawPointer, at departureNs: UInt64) {
    bytes.storeBytes(of: departureNs.bigEndian, toByteOffset: departureOffset, as: UInt64.self)
  }
}

// In an extension, so that the memberwise initializer stays.
extension Probe {
  /// nil where the payload, that of RTP or of UDP, does not start with one.
  init?(_ payload: RawSpan, at offset: Int) {
    guard payload.byteCount >= offset + Self.bytes, Self.word(payload, offset) == Self.magic else { return nil }
    run = Self.word(payload, offset + 8)
    number = Self.word(payload, offset + Self.numberOffset)
    total = Self.word(payload, offset + 24)
    departureNs = Self.word(payload, offset + Self.departureOffset)
  }

  private static func word(_ payload: RawSpan, _ offset: Int) -> UInt64 {
    UInt64(bigEndian: payload.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }
}
