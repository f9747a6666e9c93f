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
    guard let number = TimeText.decimal(rest), number > 0, number * factor <= 1e12 else { return nil }
    self = isBits ? .bitsPerSecond(number * factor) : .packetsPerSecond(number * factor)
  }

  /// - Parameter bytes: The payload of a datagram.
  public func packetsPerSecond(bytes: Int) -> Double {
    switch self {
    case .packetsPerSecond(let rate): rate
    case .bitsPerSecond(let rate): rate / Double(8 * bytes)
    }
  }

  /// `: 5.00k packets/s, 8.00Mbit/s` of a report, from the first packet to the last; empty where that took no time.
  static func text(packets: UInt64, bytes: UInt64, seconds: Double) -> String {
    guard packets > 1, seconds > 0 else { return "" }
    let rate = Double(packets - 1) / seconds
    let bits = Double(bytes) / Double(packets) * 8 * rate
    return ": \(packetsPerSecond(rate)), \(bitsPerSecond(bits))"
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
    let units = [
      ("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0),
    ]
    let unit = units.first { text.hasSuffix($0.0) } ?? ("", 1.0)
    guard let value = decimal(text.dropLast(unit.0.count)), value * unit.1 <= 1e9 else { return nil }
    return value * unit.1
  }

  /// A decimal number without sign and exponent, such as `2.5`; nil where the text is none.
  static func decimal(_ text: some StringProtocol) -> Double? {
    text.utf8.allSatisfy { (48...57).contains($0) || $0 == 46 } ? Double(text) : nil
  }
}
