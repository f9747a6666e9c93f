import Topology

/// Judges the streams of a topology by their limits, interval after interval, for a while: `streamrouter check`.
public struct LimitCheck: Sendable {
  /// How it ended.
  public enum End: Sendable {
    case done(LimitCheckReport)
    /// No node answered; nothing was judged.
    case noNodeAnswers([NodeReading])
    /// Nothing is expected of any stream, or not of the one that was named.
    case noLimits
  }

  private let source: any SnapshotSource
  private let limits: [String: StreamLimits]?
  private let stream: String?
  private let interval: Duration
  private let intervals: Int

  /// - Parameters:
  ///   - limits: By stream; nil: what the nodes say.
  ///   - stream: The only stream to judge; nil: all that have limits.
  ///   - seconds: How long; at least one interval is judged.
  public init(
    source: any SnapshotSource, limits: [String: StreamLimits]?, stream: String? = nil, interval: Duration,
    seconds: Double
  ) {
    self.source = source
    self.limits = limits
    self.stream = stream
    self.interval = interval
    intervals = max(1, Int(min(1e9, (seconds / (interval / .seconds(1))).rounded())))
  }

  /// Runs until the time is over, or SIGINT or SIGTERM ends it early; the report is made all the same.
  ///
  /// - Parameter told: Takes each breach when it is seen first.
  public func run(told: @Sendable (LimitBreach) -> Void) async throws -> End {
    try await StopFlag.bySignals { try await run(until: $0, told: told) }
  }

  func run(until stop: StopFlag, told: @Sendable (LimitBreach) -> Void) async throws -> End {
    let expected = limits.map(only)
    if expected?.isEmpty == true { return .noLimits }
    var board = MonitorBoard(limits: expected)
    let first = await source.read()
    board.take(first, timeNs: MonitorClock.nowNs())
    if expected == nil, board.anyNodeUp, known(board).isEmpty { return .noLimits }
    var report = LimitCheckReport(intervalSeconds: interval / .seconds(1), startNs: MonitorClock.nowNs())
    var plan = ReadingPlan(interval: interval)
    while report.intervals < intervals {
      while !stop.isSet, .now < plan.next {
        try await Task.sleep(until: min(plan.next, .now + .milliseconds(50)), clock: .continuous)
      }
      if stop.isSet { break }
      plan.advance()
      let readings = await source.read()
      board.take(readings, timeNs: MonitorClock.nowNs())
      if report.intervals == 0, !first.contains(where: \.isFresh), !board.anyNodeUp {
        return .noNodeAnswers(readings)
      }
      for breach in report.take(board, limits: expected ?? known(board)) { told(breach) }
    }
    return .done(report)
  }

  private func only(_ limits: [String: StreamLimits]) -> [String: StreamLimits] {
    guard let stream else { return limits }
    return limits.filter { $0.key == stream }
  }

  /// What the nodes say that is expected of their streams.
  private func known(_ board: MonitorBoard) -> [String: StreamLimits] {
    only(
      Dictionary(
        board.rows.compactMap { row in row.relay.limits.map { (row.relay.stream, $0) } },
        uniquingKeysWith: { first, _ in first }))
  }
}
