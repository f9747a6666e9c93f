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
    /// Nothing: for what is recorded only.
    case silence

    /// Whether it goes on until it is ended.
    var hasNoEnd: Bool { self == .jsonl || self == .events || self == .eventObjects || self == .silence }
  }

  /// How it ended.
  public enum End: Hashable, Sendable {
    case done
    /// The reader of the output went away.
    case outputClosed
    /// No node answered; nothing was written.
    case noNodeAnswers([NodeReading])
  }

  /// Where the readings come from.
  private enum Origin: Sendable {
    case live(any SnapshotSource, interval: Duration, Recorder?)
    case recording(Recording)
  }

  private let origin: Origin
  /// nil goes on as long as there are readings.
  private let count: Int?
  private let format: Format
  private let style: MonitorStyle
  private let order: MonitorOrder

  /// `count` intervals are reported, without one: jsonl and events have no end, all others one. `sort` is one of
  /// ``MonitorColumn/sortable``. With a recorder, SIGINT and SIGTERM end it as if all had been reported.
  public init(
    source: any SnapshotSource, format: Format, interval: Duration, count: Int? = nil, style: MonitorStyle,
    sort: String? = nil, filter: String = "", columns: ColumnChoice = ColumnChoice(), recorder: Recorder? = nil
  ) {
    origin = .live(source, interval: interval, recorder)
    self.count = count ?? (format.hasNoEnd ? nil : 1)
    self.format = format
    self.style = style
    order = MonitorOrder(sort: sort, filter: filter, columns: columns)
  }

  /// Reports a recording without waiting: `count` intervals, without one all of them; table and json only the last.
  public init(
    recording: Recording, format: Format, count: Int? = nil, style: MonitorStyle, sort: String? = nil,
    filter: String = "", columns: ColumnChoice = ColumnChoice()
  ) {
    origin = .recording(recording)
    self.count = count
    self.format = format
    self.style = style
    order = MonitorOrder(sort: sort, filter: filter, columns: columns)
  }

  /// `write` takes text for stdout and says whether the reader is still there. Throws `CancellationError`, and
  /// ``RecordingError`` where a recording is damaged.
  public func run(write: @Sendable (String) throws -> Bool) async throws -> End {
    switch origin {
    case .recording(let recording): return try await play(RecordedFeed(recording), write)
    case .live(let source, let interval, nil):
      return try await watch(LiveFeed(source: source, interval: interval), write)
    case .live(let source, let interval, let recorder?):
      return try await StopFlag.bySignals { stop in
        let feed = LiveFeed(source: source, interval: interval, recorder: recorder, stop: stop)
        return try await watch(feed, write)
      }
    }
  }

  private func watch(_ feed: LiveFeed, _ write: @Sendable (String) throws -> Bool) async throws -> End {
    var board = MonitorBoard()
    guard let first = try await feed.next() else { return .done }
    board.take(first)
    var written = 0
    while count.map({ written < $0 }) ?? true, let next = try await feed.next() {
      board.take(next)
      if written == 0, !first.readings.contains(where: \.isFresh), !board.anyNodeUp {
        return .noNodeAnswers(next.readings)
      }
      guard try write(try text(board, index: written)) else { return .outputClosed }
      written += 1
    }
    return .done
  }

  private func play(_ feed: RecordedFeed, _ write: @Sendable (String) throws -> Bool) async throws -> End {
    var board = MonitorBoard()
    var written = 0
    let onlyLast = count == nil && (format == .table || format == .json)
    while count.map({ written < $0 }) ?? true, let next = try await feed.next() {
      board.take(next)
      // One reading makes no interval.
      if next.beginsAnew || onlyLast { continue }
      guard try write(try text(board, index: written)) else { return .outputClosed }
      written += 1
    }
    // Also where a single reading is all that there is.
    if written == 0, !(try write(try text(board, index: 0))) { return .outputClosed }
    return .done
  }

  private func text(_ board: MonitorBoard, index: Int) throws -> String {
    switch format {
    case .silence: ""
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
