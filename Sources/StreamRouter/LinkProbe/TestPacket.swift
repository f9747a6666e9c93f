/// A moment as test packets carry it: an NTP timestamp (RFC 5905 section 6), seconds since 1900 in steps of 2^-32.
/// It comes round every 136 years; differences are right across that.
struct TestTime: Hashable, Sendable {
  var raw: UInt64

  private static let secondsTo1970: UInt64 = 2_208_988_800

  init(raw: UInt64) { self.raw = raw }

  /// - Parameter ns: Nanoseconds since 1970.
  init(realtimeNs ns: UInt64) {
    let (seconds, rest) = ns.quotientAndRemainder(dividingBy: 1_000_000_000)
    raw = (seconds &+ Self.secondsTo1970) << 32 | (rest << 32) / 1_000_000_000
  }

  /// Nanoseconds from another moment to this one.
  func ns(since other: TestTime) -> Int64 {
    let steps = Int64(bitPattern: raw &- other.raw)
    let wide = steps.magnitude.multipliedFullWidth(by: 1_000_000_000)
    let ns = Int64(clamping: wide.high << 32 | wide.low >> 32)
    return steps < 0 ? -ns : ns
  }
}

/// How well the sender of a timestamp knows the time: the error estimate of a test packet (RFC 8762 section 4.2.1).
struct ClockQuality: Hashable, Sendable {
  /// Whether something keeps the clock with UTC.
  var isSynchronised: Bool
  /// How far it may be off.
  var errorNs: UInt64

  /// S, then 0 for NTP's format, then scale (6 bits) and multiplier (8 bits, never 0) of an error of
  /// multiplier * 2^(scale - 32) seconds; rounded up.
  var field: UInt16 {
    let (steps, isHuge) = errorNs.multipliedReportingOverflow(by: 1 << 32)
    // Beyond four seconds the steps of 2^-32 s are counted in whole seconds.
    var value = isHuge ? errorNs / 1_000_000_000 + 1 : steps / 1_000_000_000 + 1
    var scale: UInt16 = isHuge ? 32 : 0
    while value > 255 {
      value = (value >> 1) + (value & 1)
      scale += 1
    }
    return (isSynchronised ? 0x8000 : 0) | scale << 8 | UInt16(value)
  }
}

/// A test packet of a session's sender, unauthenticated mode (RFC 8762 section 4.2.1): 44 bytes, as long as its answer,
/// so that nobody gains by having it sent elsewhere.
struct TestPacket: Hashable, Sendable {
  var number: UInt32
  var time: TestTime
  var quality: UInt16

  static let bytes = 44

  init(number: UInt32, time: TestTime, quality: UInt16) {
    self.number = number
    self.time = time
    self.quality = quality
  }

  /// nil where it is too short to be one. What stands behind the 44 bytes (RFC 8972) is not looked at.
  init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= Self.bytes else { return nil }
    number = bytes.number(at: 0)
    time = TestTime(raw: bytes.number(at: 4))
    quality = bytes.number(at: 12)
  }

  var encoded: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.bytes)
    bytes.append(number)
    bytes.append(time.raw)
    bytes.append(quality)
    return bytes + repeatElement(0, count: Self.bytes - bytes.count)
  }
}

/// The answer of a session's reflector, unauthenticated mode (RFC 8762 section 4.3.1).
struct TestAnswer: Hashable, Sendable {
  /// The reflector's own: how many it answered before.
  var number: UInt32
  /// When it sent the answer, and when the test packet had come.
  var time: TestTime
  var quality: UInt16
  var received: TestTime
  /// The test packet, and the hop limit with which it came.
  var packet: TestPacket
  var hopLimit: UInt8

  init(
    number: UInt32, time: TestTime, quality: UInt16, received: TestTime, packet: TestPacket, hopLimit: UInt8
  ) {
    self.number = number
    self.time = time
    self.quality = quality
    self.received = received
    self.packet = packet
    self.hopLimit = hopLimit
  }

  /// nil where it is too short to be one.
  init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= TestPacket.bytes else { return nil }
    number = bytes.number(at: 0)
    time = TestTime(raw: bytes.number(at: 4))
    quality = bytes.number(at: 12)
    received = TestTime(raw: bytes.number(at: 16))
    packet = TestPacket(
      number: bytes.number(at: 24), time: TestTime(raw: bytes.number(at: 28)), quality: bytes.number(at: 36))
    hopLimit = bytes[40]
  }

  var encoded: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(TestPacket.bytes)
    bytes.append(number)
    bytes.append(time.raw)
    bytes.append(quality)
    bytes.append(0 as UInt16)
    bytes.append(received.raw)
    bytes.append(packet.number)
    bytes.append(packet.time.raw)
    bytes.append(packet.quality)
    bytes.append(0 as UInt16)
    bytes.append(hopLimit)
    return bytes + repeatElement(0, count: TestPacket.bytes - bytes.count)
  }
}

extension UnsafeRawBufferPointer {
  fileprivate func number<Number: FixedWidthInteger>(at offset: Int) -> Number {
    Number(bigEndian: loadUnaligned(fromByteOffset: offset, as: Number.self))
  }
}

extension [UInt8] {
  fileprivate mutating func append(_ number: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: number.bigEndian) { append(contentsOf: $0) }
  }
}
