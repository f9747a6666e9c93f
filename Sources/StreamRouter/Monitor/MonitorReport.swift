/// The monitor without a live view: takes readings an interval apart and writes what lies between them.
public struct MonitorReport: Sendable {
  public enum Format: String, Sendable, CaseIterable {
    /// Columns for people.
    case table
    /// One JSON document.
    case json
    /// One JSON object a line for each interval.
    case jsonl
    case csv
    /// One line for each event, as it is seen.
    case events
    /// One JSON object a line for each event.
    case eventObjects

    /// Whether it goes on until it is ended.
    var hasNoEnd: Bool { self == .jsonl || self == .events || self == .eventObjects }
  }

  /// How it ended.
  public enum End: Hashable, Sendable {
    case done
    /// The reader of the output went away.
    case outputClosed
    /// No node answered; nothing was written.
    case noNodeAnswers([NodeReading])
  }

  private let source: any SnapshotSource
  private let interval: Duration
  /// nil goes on for ever.
  private let count: Int?
  private let format: Format
  private let style: MonitorStyle
  private let order: MonitorOrder

  /// `count` intervals are reported, without one: jsonl and events have no end, all others one. `sort` is one of
  /// ``MonitorColumn/sortable``.
  public init(
    source: any SnapshotSource, format: Format, interval: Duration, count: Int? = nil, style: MonitorStyle,
    sort: String? = nil, filter: String = "", columns: ColumnChoice = ColumnChoice()
  ) {
    self.source = source
    self.format = format
    self.interval = interval
    self.count = count ?? (format.hasNoEnd ? nil : 1)
    self.style = style
    order = MonitorOrder(sort: sort, filter: filter, columns: columns)
  }

  /// `write` takes text for stdout and says whether the reader is still there. Throws `CancellationError`.
  public func run(write: @Sendable (String) throws -> Bool) async throws -> End {
    var board = MonitorBoard()
    let first = await source.read()
    board.take(first, timeNs: MonitorClock.nowNs())
    var written = 0
    var plan = ReadingPlan(interval: interval)
    while count.map({ written < $0 }) ?? true {
      try await Task.sleep(until: plan.next, clock: .continuous)
      plan.advance()
      let readings = await source.read()
      board.take(readings, timeNs: MonitorClock.nowNs())
      if written == 0, !first.contains(where: \.isFresh), !board.anyNodeUp { return .noNodeAnswers(readings) }
      guard try write(try text(board, index: written)) else { return .outputClosed }
      written += 1
    }
    return .done
  }

  private func text(_ board: MonitorBoard, index: Int) throws -> String {
    switch format {
    case .table: (index > 0 ? "\n" : "") + TableReport.text(board, order: order, style: style)
    case .json: try MonitorDocument(board, order: order).json(pretty: true) + "\n"
    case .jsonl: try MonitorDocument(board, order: order).json(pretty: false) + "\n"
    case .events:
      board.events.suffix(board.newEvents).map {
        "\(MonitorDocument.text(timeNs: $0.timeNs))  \($0.kind.rawValue)  \($0.place): \($0.text)\n"
      }.joined()
    case .eventObjects:
      try board.events.suffix(board.newEvents).map {
        try MonitorDocument.json(MonitorEvent.Document($0), pretty: false) + "\n"
      }.joined()
    case .csv: (index == 0 ? CSVReport.header(order.columns) : "") + CSVReport.body(board, order: order)
    }
  }
}
