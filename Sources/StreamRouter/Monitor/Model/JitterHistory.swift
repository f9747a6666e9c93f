/// The jitter of one relay over the last minute: the largest value of each second.
struct JitterHistory: Hashable, Sendable {
  /// Seconds that are kept.
  static let length = 60

  /// Oldest first, always ``length`` of them; nil for a second without a reading.
  private(set) var seconds: [Double?] = Array(repeating: nil, count: JitterHistory.length)
  /// Which second since 1970 the newest entry stands for; nil before the first reading.
  private var newest: UInt64?

  /// Moves on to the time of a reading, in nanoseconds since 1970, and keeps its jitter in seconds; nil leaves
  /// a gap. A clock that went backwards adds to the newest second.
  mutating func record(_ jitter: Double?, timeNs: UInt64) {
    let second = timeNs / 1_000_000_000
    let passed = newest.map { second > $0 ? second - $0 : 0 } ?? UInt64(Self.length)
    if passed >= UInt64(Self.length) {
      seconds = Array(repeating: nil, count: Self.length)
    } else if passed > 0 {
      seconds.removeFirst(Int(passed))
      seconds.append(contentsOf: repeatElement(nil, count: Int(passed)))
    }
    newest = max(newest ?? 0, second)
    if let jitter { seconds[Self.length - 1] = max(jitter, seconds[Self.length - 1] ?? 0) }
  }
}
