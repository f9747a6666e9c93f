/// One figure over the last minute, second by second.
struct MinuteSeries: Hashable, Sendable {
  /// What a second keeps of several readings.
  enum Rule: Hashable, Sendable {
    case largest
    case sum
  }

  /// Seconds that are kept.
  static let length = 60

  /// Oldest first, always ``length`` of them; nil for a second without a reading.
  private(set) var seconds: [Double?] = Array(repeating: nil, count: MinuteSeries.length)
  private let rule: Rule
  /// Which second since 1970 the newest entry stands for; nil before the first reading.
  private var newest: UInt64?

  init(_ rule: Rule = .largest) { self.rule = rule }

  var latest: Double? { seconds.last ?? nil }
  /// nil where nothing was read.
  var largest: Double? { seconds.reduce(nil) { most, next in next.map { max($0, most ?? $0) } ?? most } }

  /// Moves on to the time of a reading, in nanoseconds since 1970, and keeps its value; nil leaves a gap. A clock that
  /// went backwards adds to the newest second.
  mutating func record(_ value: Double?, timeNs: UInt64) {
    let second = timeNs / 1_000_000_000
    let passed = newest.map { second > $0 ? second - $0 : 0 } ?? UInt64(Self.length)
    if passed >= UInt64(Self.length) {
      seconds = Array(repeating: nil, count: Self.length)
    } else if passed > 0 {
      seconds.removeFirst(Int(passed))
      seconds.append(contentsOf: repeatElement(nil, count: Int(passed)))
    }
    newest = max(newest ?? 0, second)
    guard let value else { return }
    let before = seconds[Self.length - 1]
    seconds[Self.length - 1] =
      switch rule {
      case .largest: max(value, before ?? value)
      case .sum: value + (before ?? 0)
      }
  }
}

/// What a relay did over the last minute.
struct RelayHistory: Hashable, Sendable {
  var jitter = MinuteSeries()
  var packetsPerSecond = MinuteSeries()
  /// Packets lost on the way from the hop before, and dropped here.
  var lost = MinuteSeries(.sum)
  var residenceP99 = MinuteSeries()

  mutating func record(_ row: MonitorRow, timeNs: UInt64) {
    jitter.record(row.jitterSeconds, timeNs: timeNs)
    // The same answer again is no second interval.
    let rates = row.isRepeated ? nil : row.rates
    packetsPerSecond.record(rates?.packetsPerSecond, timeNs: timeNs)
    lost.record(rates.map { Double((row.linkLost ?? 0) + $0.dropped) }, timeNs: timeNs)
    residenceP99.record(rates?.residence?.p99Seconds, timeNs: timeNs)
  }
}

/// How busy a node was over the last minute.
struct NodeHistory: Hashable, Sendable {
  var runnableThreads = MinuteSeries()
  var pressureShare = MinuteSeries()
  var softirqShare = MinuteSeries()
  var ksoftirqdShare = MinuteSeries()

  mutating func record(_ node: MonitorBoard.Node, timeNs: UInt64) {
    let isUp = node.condition == .up
    runnableThreads.record(
      isUp ? node.reading.snapshot.map { Double($0.load.runnableThreads) } : nil, timeNs: timeNs)
    pressureShare.record(node.rates?.pressureShare, timeNs: timeNs)
    softirqShare.record(node.rates?.softirqShare, timeNs: timeNs)
    ksoftirqdShare.record(node.rates?.ksoftirqdShare, timeNs: timeNs)
  }
}
