/// Packets of an MPEG transport stream for tests (ISO/IEC 13818-1 section 2.4.3.2).
public enum TransportStreamBytes {
  /// One packet of 188 bytes.
  /// - Parameters:
  ///   - clockTicks: a program clock reference, in units of 27 MHz.
  ///   - fill: what the payload is full of, after a copy of the counter.
  public static func packet(
    pid: UInt16, counter: Int, hasPayload: Bool = true, clockTicks: UInt64? = nil,
    isDiscontinuous: Bool = false,
    isErrored: Bool = false, fill: UInt8 = 0xaa
  ) -> [UInt8] {
    let hasAdaptation = !hasPayload || clockTicks != nil || isDiscontinuous
    var bytes: [UInt8] = [
      0x47, (isErrored ? 0x80 : 0) | UInt8(pid >> 8 & 0x1f), UInt8(pid & 0xff),
      (hasAdaptation ? 0x20 : 0) | (hasPayload ? 0x10 : 0) | UInt8(counter & 15),
    ]
    if hasAdaptation {
      bytes += [hasPayload ? 7 : 183, (isDiscontinuous ? 0x80 : 0) | (clockTicks == nil ? 0 : 0x10)]
      let (base, rest) = ((clockTicks ?? 0) / 300, (clockTicks ?? 0) % 300)
      bytes += [base >> 25, base >> 17, base >> 9, base >> 1].map { UInt8(truncatingIfNeeded: $0) }
      bytes += [UInt8(base & 1) << 7 | 0x7e | UInt8(rest >> 8), UInt8(truncatingIfNeeded: rest)]
    }
    if hasPayload { bytes.append(UInt8(truncatingIfNeeded: counter)) }
    return bytes + [UInt8](repeating: hasPayload ? fill : 0xff, count: 188 - bytes.count)
  }

  /// A datagram of seven packets of one PID, the first of which bears a reference.
  public static func datagram(pid: UInt16 = 256, counter: Int, clockTicks: UInt64? = nil) -> [UInt8] {
    (0..<7).flatMap {
      packet(
        pid: pid, counter: counter + $0, clockTicks: $0 == 0 ? clockTicks : nil,
        fill: UInt8(truncatingIfNeeded: (counter + $0) / 16))
    }
  }
}
