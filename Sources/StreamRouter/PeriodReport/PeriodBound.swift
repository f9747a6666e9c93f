import FoundationEssentials

/// A time of a recording, as the command line writes it: `2026-03-14T15:09:26Z`; `15:09` or `15:09:26` in UTC, the first
/// after the recording began; or the time since it began, `90s`, `5m`, `1h`.
public enum PeriodBound: Hashable, Sendable {
  case date(ns: UInt64)
  /// Seconds of the day.
  case clock(seconds: UInt64)
  case sinceStart(seconds: Double)

  /// nil where it is no time.
  public init?(_ text: String) {
    if let date = try? Date(text, strategy: .iso8601) {
      guard date.timeIntervalSince1970 >= 0, date.timeIntervalSince1970 < 4e9 else { return nil }
      self = .date(ns: UInt64(date.timeIntervalSince1970 * 1e9))
      return
    }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    if parts.count == 2 || parts.count == 3 {
      let numbers = parts.map { $0.utf8.count == 2 ? UInt64($0) : nil }
      guard let hour = numbers[0], let minute = numbers[1], hour < 24, minute < 60 else { return nil }
      guard parts.count == 2 || numbers[2].map({ $0 < 60 }) == true else { return nil }
      self = .clock(seconds: hour * 3600 + minute * 60 + (parts.count == 3 ? numbers[2]! : 0))
      return
    }
    guard let seconds = TimeText.seconds(text), seconds >= 0, seconds < 4e9 else { return nil }
    self = .sinceStart(seconds: seconds)
  }

  /// Nanoseconds since 1970, in a recording that began then.
  public func ns(startNs: UInt64) -> UInt64 {
    let day: UInt64 = 86_400_000_000_000
    switch self {
    case .date(let ns): return ns
    case .sinceStart(let seconds): return startNs + UInt64(seconds * 1e9)
    case .clock(let seconds):
      // A clock shows whole seconds: what began within this one began at it.
      let start = startNs / 1_000_000_000 * 1_000_000_000
      let today = startNs / day * day + seconds * 1_000_000_000
      return today >= start ? today : today + day
    }
  }
}
