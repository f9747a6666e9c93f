/// How far another machine's clock is ahead of this one's, from questions what time it is there (as NTP does, RFC 5905
/// section 8): the answer was given somewhere between question and answer, so half of the round trip is how far the estimate
/// can be wrong. Of the latest questions the one with the shortest round trip counts.
struct ClockOffset: Hashable, Sendable {
  private struct Reading: Hashable, Sendable {
    var offsetNs: Int64
    var errorNs: UInt64
  }

  /// Clocks drift: an old reading, however sharp, says little.
  private static let kept = 8
  private var readings: [Reading] = []

  /// A clock that was set back while the question was under way gives no reading.
  mutating func take(sentNs: UInt64, theirsNs: UInt64, receivedNs: UInt64) {
    guard receivedNs >= sentNs else { return }
    let middle = sentNs + (receivedNs - sentNs) / 2
    guard let theirs = Int64(exactly: theirsNs), let ours = Int64(exactly: middle) else { return }
    take(offsetNs: theirs - ours, errorNs: (receivedNs - sentNs) / 2 + 1)
  }

  /// A reading that somebody else made: nanoseconds, the error at least 1.
  mutating func take(offsetNs: Int64, errorNs: UInt64) {
    if readings.count == Self.kept { readings.removeFirst() }
    readings.append(Reading(offsetNs: offsetNs, errorNs: errorNs))
  }

  private var best: Reading? { readings.min { $0.errorNs < $1.errorNs } }

  /// Nanoseconds; nil until there is a reading.
  var offsetNs: Int64? { best?.offsetNs }
  /// Nanoseconds, at least 1; nil until there is a reading.
  var errorNs: UInt64? { best?.errorNs }
}
