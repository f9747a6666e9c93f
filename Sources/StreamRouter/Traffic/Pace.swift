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

/// A rate as users write it: `5000` or `5k` packets a second, `8Mbit` of payload a second.
public enum TrafficRate: Hashable, Sendable, CustomStringConvertible {
  case packetsPerSecond(Double)
  /// Of the payload of UDP.
  case bitsPerSecond(Double)

  /// Reads `5000`, `5k`, `2.5kpps`, `800kbit`, `8Mbit` or `1Gbit/s`; nil where it is none of those or not above 0.
  public init?(_ text: String) {
    var rest = Substring(text)
    if rest.hasSuffix("/s") { rest = rest.dropLast(2) }
    let isBits = rest.hasSuffix("bit")
    if isBits { rest = rest.dropLast(3) } else if rest.hasSuffix("pps") { rest = rest.dropLast(3) }
    let prefixes: [Character: Double] = ["k": 1e3, "M": 1e6, "G": 1e9]
    var factor = 1.0
    if let last = rest.last, let found = prefixes[last] {
      factor = found
      rest = rest.dropLast()
    }
    guard let first = rest.first, first.isNumber, let number = Double(rest), number > 0,
      number * factor <= 1e12
    else { return nil }
    self = isBits ? .bitsPerSecond(number * factor) : .packetsPerSecond(number * factor)
  }

  /// - Parameter bytes: The payload of a datagram.
  public func packetsPerSecond(bytes: Int) -> Double {
    switch self {
    case .packetsPerSecond(let rate): rate
    case .bitsPerSecond(let rate): rate / Double(8 * bytes)
    }
  }

  public var description: String {
    switch self {
    case .packetsPerSecond(let rate): Figure.scaled(rate) + " packets/s"
    case .bitsPerSecond(let rate): Figure.scaled(rate) + "bit/s"
    }
  }
}

/// A time as users write it: `250us`, `5ms`, `10s`, `2m`, `1h`, or seconds without a unit.
public enum TimeText {
  /// Seconds; nil where the text is no time or below 0.
  public static func seconds(_ text: String) -> Double? {
    let units = [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)]
    let unit = units.first { text.hasSuffix($0.0) } ?? ("", 1.0)
    let digits = text.dropLast(unit.0.count)
    guard let first = digits.first, first.isNumber, let value = Double(digits), value * unit.1 <= 1e9 else {
      return nil
    }
    return value * unit.1
  }
}
