/// Numbers as a person reads them in a narrow column: three digits and a unit.
enum Figure {
  /// What stands where there is no figure.
  static let none = "-"

  /// A count or rate with a decimal prefix: `7`, `49.8`, `4.98k`, `12.3M`.
  static func scaled(_ value: Double) -> String {
    let prefixes = ["", "k", "M", "G", "T", "P"]
    var value = value
    var prefix = 0
    while value >= 999.5, prefix < prefixes.count - 1 {
      value /= 1000
      prefix += 1
    }
    if prefix == 0, value == value.rounded() { return String(Int(value)) }
    return threeDigits(value) + prefixes[prefix]
  }

  /// Seconds with the unit that fits: `0`, `850ns`, `12.3us`, `3.52ms`, `1.20s`, `240s`.
  static func duration(seconds: Double) -> String {
    if seconds <= 0 { return "0" }
    let nanoseconds = seconds * 1e9
    if nanoseconds < 999.5 { return "\(Int(nanoseconds.rounded()))ns" }
    if nanoseconds < 999_500 { return threeDigits(nanoseconds / 1e3) + "us" }
    if nanoseconds < 999_500_000 { return threeDigits(nanoseconds / 1e6) + "ms" }
    return threeDigits(min(seconds, 1e9)) + "s"
  }

  /// An age in the coarsest unit that says enough: `0s`, `12s`, `3m`, `5h`, `2d`.
  static func age(seconds: Double) -> String {
    let whole = Int(max(0, min(seconds, 1e12)))
    if whole < 120 { return "\(whole)s" }
    if whole < 7200 { return "\(whole / 60)m" }
    return whole < 172_800 ? "\(whole / 3600)h" : "\(whole / 86_400)d"
  }

  /// A share (0 to 1) in percent without the sign: `0`, `<0.01`, `0.12`, `12.3`, `100`. Only nothing is `0`.
  static func percent(_ ratio: Double) -> String {
    if ratio <= 0 { return "0" }
    return ratio < 0.0001 ? "<0.01" : threeDigits(ratio * 100, decimalsAtMost: 2)
  }

  /// A whole number with thin groups: `1 234 567`.
  static func grouped(_ value: UInt64) -> String {
    let digits = Array(String(value))
    return String(
      digits.enumerated().flatMap { index, digit -> [Character] in
        index > 0 && (digits.count - index) % 3 == 0 ? [" ", digit] : [digit]
      })
  }

  /// Time of day in UTC, `14:05:09`, of nanoseconds since 1970.
  static func clock(timeNs: UInt64) -> String {
    let second = timeNs / 1_000_000_000 % 86_400
    return [second / 3600, second / 60 % 60, second % 60]
      .map { $0 < 10 ? "0\($0)" : "\($0)" }.joined(separator: ":")
  }

  /// `1 relay`, `2 relays`.
  static func plural(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

  private static func threeDigits(_ value: Double, decimalsAtMost: Int = 2) -> String {
    fixed(value, decimals: min(decimalsAtMost, value < 9.995 ? 2 : value < 99.95 ? 1 : 0))
  }

  private static func fixed(_ value: Double, decimals: Int) -> String {
    let power = decimals == 2 ? 100 : decimals == 1 ? 10 : 1
    let units = Int((value * Double(power)).rounded())
    guard power > 1 else { return String(units) }
    let rest = String(units % power)
    return "\(units / power)." + String(repeating: "0", count: decimals - rest.count) + rest
  }
}
