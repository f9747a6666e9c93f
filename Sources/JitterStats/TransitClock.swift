/// How long packets were under way, but for a constant: arrival minus RTP timestamp, both counted from the first
/// packet.
///
/// RTP tells neither the sender's clock nor the true delay; differences of transit times are what RFC 3550
/// section 6.4.1, RFC 3393 and RFC 5481 need. A jump of the timestamps (a restart, or more than
/// ``JitterFilter/discontinuityNs`` against the arrivals) starts a new era, whose first packet is said to have
/// been under way as long as the packet before it.
public struct TransitClock: Hashable, Sendable {
  /// Hz of the timestamps.
  public let clockRate: UInt32
  /// Arrival of the first packet of this era, nanoseconds.
  private(set) var originNs: UInt64
  /// Timestamp of that packet.
  private(set) var originTimestamp: UInt32
  /// The transit time that the first packet of this era was given, nanoseconds.
  private(set) var originTransitNs: Int64 = 0
  /// Timestamp units from the era's first packet to the latest one, over all wraps.
  private(set) var latestUnits: Int64 = 0
  /// Transit time of the latest packet, nanoseconds.
  public private(set) var latestTransitNs: Int64 = 0

  public init(clockRate: UInt32, arrivalNs: UInt64, timestamp: UInt32) {
    self.clockRate = clockRate
    originNs = arrivalNs
    originTimestamp = timestamp
  }

  /// Nanoseconds from the era's first timestamp to that of the latest packet.
  public var latestSentNs: Int64 { Self.nanoseconds(units: latestUnits, clockRate: clockRate) }

  /// Units in nanoseconds, rounded to the nearest; saturates.
  static func nanoseconds(units: Int64, clockRate: UInt32) -> Int64 {
    let product = units.multipliedFullWidth(by: 1_000_000_000)
    let rate = Int64(clockRate)
    // Quotients beyond 64 bits would trap: 2^63 ns are 292 years.
    guard abs(Double(units)) * 1e9 / Double(rate) < 9e18 else { return units < 0 ? .min : .max }
    let (quotient, remainder) = rate.dividingFullWidth(product)
    if 2 * remainder >= rate { return quotient + 1 }
    if 2 * remainder <= -rate { return quotient - 1 }
    return quotient
  }

  /// The transit time of one more packet, nanoseconds, relative to the first packet.
  /// - Parameter isRestart: whether the source began anew: its timestamps then tell nothing across the jump.
  public mutating func transitNs(arrivalNs: UInt64, timestamp: UInt32, isRestart: Bool = false) -> Int64 {
    let step = Int64(Int32(bitPattern: timestamp &- originTimestamp &- UInt32(truncatingIfNeeded: latestUnits)))
    let units = latestUnits.saturatingAdd(step)
    let elapsedNs = Int64(bitPattern: arrivalNs &- originNs)
    let transit = originTransitNs.saturatingAdd(
      elapsedNs.saturatingSubtract(Self.nanoseconds(units: units, clockRate: clockRate)))
    let change = transit.saturatingSubtract(latestTransitNs)
    guard !isRestart, change.magnitude <= JitterFilter.discontinuityNs else {
      originNs = arrivalNs
      originTimestamp = timestamp
      originTransitNs = latestTransitNs
      latestUnits = 0
      return latestTransitNs
    }
    latestUnits = units
    latestTransitNs = transit
    return transit
  }

  /// What must be added to transit times of `other` to compare them with ours, nanoseconds: what a packet that
  /// `other` took for its era's first would have been given here. Timestamps wrap, so that of all possible
  /// distances the one nearest to that of the arrivals is taken; nil where the two have not the same clock.
  func offsetNs(of other: TransitClock) -> Int64? {
    guard other.clockRate == clockRate else { return nil }
    let apartNs = Int64(bitPattern: other.originNs &- originNs)
    let expected = Double(apartNs) * Double(clockRate) / 1e9
    let units = Int64(Int32(bitPattern: other.originTimestamp &- originTimestamp))
    let wraps = ((expected - Double(units)) / 0x1p32).rounded()
    guard abs(wraps) < 0x1p30 else { return nil }
    let apart = units + Int64(wraps) * 0x1_0000_0000
    let transit = originTransitNs.saturatingAdd(
      apartNs.saturatingSubtract(Self.nanoseconds(units: apart, clockRate: clockRate)))
    let change = transit.saturatingSubtract(other.originTransitNs)
    return change.magnitude <= JitterFilter.discontinuityNs ? change : nil
  }

  /// Goes on where `later` ended, whose transit times were `offsetNs` less than ours.
  mutating func follow(_ later: TransitClock, offsetNs: Int64) {
    var next = later
    next.originTransitNs = later.originTransitNs.saturatingAdd(offsetNs)
    next.latestTransitNs = later.latestTransitNs.saturatingAdd(offsetNs)
    self = next
  }
}
