import Topology

/// Watches nodes for a while, or goes through a recording, and makes the report of it.
public struct PeriodRun: Sendable {
  /// How it ended.
  public enum End: Sendable {
    case done(PeriodReport)
    /// No node answered in all the time.
    case noNodeAnswers([NodeReading])
  }

  private enum Origin: Sendable {
    case live(any SnapshotSource, interval: Duration, intervals: Int)
    case recording(Recording, fromNs: UInt64?, toNs: UInt64?)
  }

  private let origin: Origin
  private let limits: [String: StreamLimits]?

  /// - Parameters:
  ///   - limits: By stream; nil: what the nodes say.
  ///   - seconds: How long; at least one interval.
  public init(
    source: any SnapshotSource, limits: [String: StreamLimits]?, interval: Duration, seconds: Double
  ) {
    let intervals = max(1, Int(min(1e9, (seconds / (interval / .seconds(1))).rounded())))
    origin = .live(source, interval: interval, intervals: intervals)
    self.limits = limits
  }

  /// - Parameters:
  ///   - fromNs: Only readings from then on, nanoseconds since 1970; nil: from the first.
  ///   - toNs: Only readings until then; nil: to the last.
  public init(recording: Recording, fromNs: UInt64? = nil, toNs: UInt64? = nil) {
    origin = .recording(recording, fromNs: fromNs, toNs: toNs)
    limits = nil
  }

  /// Runs until the time is over, or SIGINT or SIGTERM ends it early; the report is made all the same.
  ///
  /// - Throws: ``RecordingError``.
  public func run() async throws -> End {
    switch origin {
    case .live(let source, let interval, let intervals):
      return try await StopFlag.bySignals { stop in
        try await take(LiveFeed(source: source, interval: interval, stop: stop), intervals: intervals)
      }
    case .recording(let recording, let fromNs, let toNs):
      let feed = try RecordedFeed(recording, fromNs: fromNs, toNs: toNs)
      return try await take(feed, intervals: feed.count - 1)
    }
  }

  private func take(_ feed: some ReadingFeed, intervals: Int) async throws -> End {
    var board = MonitorBoard(limits: limits)
    var builder = PeriodBuilder(intervals: intervals)
    var readings = 0
    var hasAnswer = false
    while readings <= intervals, let next = try await feed.next() {
      // The first has nothing before it, wherever it stands in a recording.
      let beginsAnew = next.beginsAnew || readings == 0
      board.take(next)
      builder.take(board, beginsAnew: beginsAnew)
      readings += 1
      hasAnswer = hasAnswer || board.nodes.contains { $0.reading.snapshot != nil }
      // Two readings are enough to tell that nobody is there.
      if readings == 2, !hasAnswer, case .live = origin { return .noNodeAnswers(next.readings) }
    }
    return .done(builder.result())
  }
}
