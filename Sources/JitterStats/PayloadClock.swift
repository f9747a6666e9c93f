/// The rates of RTP timestamp clocks that a payload type alone tells (RFC 3551 section 6, tables 4 and 5).
public enum PayloadClock {
  /// Hz for dynamic and unassigned payload types: the clock of every video format.
  public static let defaultRate: UInt32 = 90_000
  /// The payload type of MPEG transport streams, MP2T (RFC 2250 section 2).
  public static let transportStream: UInt8 = 33

  /// Hz of the timestamps of a payload type, 0 to 127.
  public static func rate(payloadType: UInt8) -> UInt32 {
    switch payloadType {
    // DVI4 at 16 kHz.
    case 6: 16_000
    // L16.
    case 10, 11: 44_100
    // MPA.
    case 14: 90_000
    // DVI4 at 11.025 and 22.05 kHz.
    case 16: 11_025
    case 17: 22_050
    // G722 (9) samples at 16 kHz, but its clock is 8 kHz by an old error that must stay (section 4.5.2).
    case 0...18: 8_000
    // CelB, JPEG, nv, H261, MPV, MP2T, H263 run at 90 kHz, like the default.
    default: defaultRate
    }
  }
}
