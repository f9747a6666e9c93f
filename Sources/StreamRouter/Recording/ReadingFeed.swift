/// Where a report gets the readings of all nodes from, one after the other: the nodes themselves, or a recording.
protocol ReadingFeed: Sendable {
  /// Waits until the next is due. nil: there is no further one.
  func next() async throws -> TimedReadings?
}

/// Reads the nodes an interval apart, and records what they say where a recorder is given.
actor LiveFeed: ReadingFeed {
  private let source: any SnapshotSource
  private let interval: Duration
  private let recorder: Recorder?
  private let stop: StopFlag?
  /// nil before the first reading.
  private var plan: ReadingPlan?

  /// - Parameter stop: Ends it, once set; nil goes on for ever.
  init(
    source: any SnapshotSource, interval: Duration, recorder: Recorder? = nil, stop: StopFlag? = nil
  ) {
    self.source = source
    self.interval = interval
    self.recorder = recorder
    self.stop = stop
  }

  func next() async throws -> TimedReadings? {
    if let due = plan?.next {
      if let stop {
        while !stop.isSet, .now < due {
          try await Task.sleep(until: min(due, .now + .milliseconds(50)), clock: .continuous)
        }
        if stop.isSet { return nil }
      } else {
        try await Task.sleep(until: due, clock: .continuous)
      }
      plan?.advance()
    }
    let readings = await source.read()
    let timeNs = MonitorClock.nowNs()
    await recorder?.record(readings, timeNs: timeNs)
    let isFirst = plan == nil
    if isFirst { plan = ReadingPlan(interval: interval) }
    return TimedReadings(timeNs: timeNs, readings: readings, beginsAnew: isFirst)
  }
}

/// Gives the readings of a recording without waiting.
actor RecordedFeed: ReadingFeed {
  private var cursor: RecordingCursor
  private let end: Int
  /// How many readings lie in the span.
  nonisolated let count: Int

  /// Readings in a span of time, nanoseconds since 1970.
  ///
  /// - Throws: ``RecordingError`` where none lies in it.
  init(_ recording: Recording, fromNs: UInt64? = nil, toNs: UInt64? = nil) throws {
    cursor = recording.cursor()
    let entries = recording.entries
    let first = fromNs.map { from in entries.firstIndex { $0.timeNs >= from } ?? entries.count } ?? 0
    let last = toNs.map { to in entries.lastIndex { $0.timeNs <= to } ?? -1 } ?? entries.count - 1
    guard last >= first else {
      throw RecordingError.empty(
        path: recording.path,
        reason:
          "no reading lies in that time; it goes from \(MonitorDocument.text(timeNs: recording.startNs)) to "
          + MonitorDocument.text(timeNs: recording.endNs))
    }
    end = last + 1
    count = end - first
    _ = try cursor.seek(first)
  }

  func next() async throws -> TimedReadings? {
    // Nothing else here waits: a report of hours must be able to end.
    try Task.checkCancellation()
    return cursor.index < end ? try cursor.next() : nil
  }
}

extension MonitorBoard {
  /// Takes one reading of a feed.
  mutating func take(_ timed: TimedReadings) {
    if timed.beginsAnew { beginAnew() }
    take(timed.readings, timeNs: timed.timeNs)
  }
}
