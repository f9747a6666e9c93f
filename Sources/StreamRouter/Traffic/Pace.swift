/// When each packet of a test stream is due: an even rate, or one that changes evenly from one to another.
///
/// A pure function of the packet's number, so that no rounding and no late packet ever moves those after it.
public struct Pace: Hashable, Sendable {
  /// Packets a second at the start, above 0.
  public let firstPerSecond: Double
  /// Packets a second from the end of the ramp on, above 0.
  public let lastPerSecond: Double
  /// How long the change takes, seconds; 0: there is none.
  public let rampSeconds: Double
  /// Packets that are due at once; the rate stays what it is.
  public let burst: UInt64

  /// An even rate.
  public init(perSecond: Double, burst: UInt64 = 1) {
    self.init(ramp: perSecond, perSecond, seconds: 0, burst: burst)
  }

  /// A ramp from one rate to another.
  public init(ramp first: Double, _ last: Double, seconds: Double, burst: UInt64 = 1) {
    precondition(first > 0 && last > 0 && burst > 0, "the command line refuses a rate or burst of 0")
    firstPerSecond = first
    lastPerSecond = last
    rampSeconds = max(0, seconds)
    self.burst = burst
  }

  /// When packet `number` (from 0) is due, nanoseconds since the start.
  public func dueNs(_ number: UInt64) -> UInt64 {
    let seconds = seconds(until: Double(number - number % burst))
    // An hour at a million packets a second is known to well below a nanosecond.
    return UInt64(min(seconds * 1e9, 9e18))
  }

  /// The time after which `packets` have become due: the inverse of ``packets(within:)`` without its rounding.
  private func seconds(until packets: Double) -> Double {
    let inRamp = (firstPerSecond + lastPerSecond) / 2 * rampSeconds
    guard packets < inRamp else { return rampSeconds + (packets - inRamp) / lastPerSecond }
    let change = (lastPerSecond - firstPerSecond) / rampSeconds
    // The root of first * t + change / 2 * t^2 = packets in the form that loses no digits for a small change.
    let root = (firstPerSecond * firstPerSecond + 2 * change * packets).squareRoot()
    return 2 * packets / (firstPerSecond + root)
  }

  /// How many packets are due before `seconds` have passed.
  public func packets(within seconds: Double) -> UInt64 {
    let inRamp = min(seconds, rampSeconds)
    let change = rampSeconds > 0 ? (lastPerSecond - firstPerSecond) / rampSeconds : 0
    let packets =
      firstPerSecond * inRamp + change / 2 * inRamp * inRamp + lastPerSecond * (seconds - inRamp)
    // 10 s at 1,000 packets a second are 10,000 packets, whatever the last digit of the product says.
    let bursts = max(0, (packets / Double(burst) - 1e-6).rounded(.up))
    return bursts * Double(burst) < 1e18 ? UInt64(bursts) * burst : 1_000_000_000_000_000_000
  }
}
