import Foundation

/// Numbers of results as text.
enum BenchNumber {
  /// With separators of thousands, as `1,234.5`.
  static func text(_ value: Double, digits: Int) -> String {
    value.formatted(.number.precision(.fractionLength(digits)).locale(Locale(identifier: "en_US")))
  }

  /// With as many digits as a measured value bears: three or so.
  static func short(_ value: Double) -> String {
    text(value, digits: abs(value) >= 100 ? 0 : abs(value) >= 10 ? 1 : 2)
  }

  /// `1,261 (1,190 to 1,300)`; the median alone where there was but one round.
  static func text(_ spread: BenchSpread, scale: Double = 1) -> String {
    let median = short(spread.median * scale)
    guard spread.low != spread.high else { return median }
    return "\(median) (\(short(spread.low * scale)) to \(short(spread.high * scale)))"
  }

  /// A multiple of a unit in which its values are short: 1,261,000 packets/s are 1,261 thousand.
  static func scale(for unit: String, _ highest: Double) -> (factor: Double, unit: String) {
    guard unit == "packets/s", highest >= 10_000 else { return (1, unit) }
    return (0.001, "thousand packets/s")
  }
}
