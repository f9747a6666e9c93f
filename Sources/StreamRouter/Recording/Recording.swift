import Foundation
import GRDB

/// One reading of all nodes at a time.
public struct TimedReadings: Hashable, Sendable {
  /// When it was taken, nanoseconds since 1970.
  public var timeNs: UInt64
  public var readings: [NodeReading]
  /// Nothing lies between it and the one before: rates and events begin anew.
  public var beginsAnew: Bool

  public init(timeNs: UInt64, readings: [NodeReading], beginsAnew: Bool = false) {
    self.timeNs = timeNs
    self.readings = readings
    self.beginsAnew = beginsAnew
  }
}

/// A recording that can be read from any of its readings on. Reads what was there when it was opened.
public struct Recording: Sendable {
  /// Where one reading is, and when it was.
  struct Entry: Hashable, Sendable {
    var id: Int64
    var session: Int64
    var timeNs: UInt64
    var isFull: Bool
  }

  public let path: String
  public let topology: String
  /// In the order of their recording; at least one.
  let entries: [Entry]
  fileprivate let queue: DatabaseQueue

  public var startNs: UInt64 { entries[0].timeNs }
  public var endNs: UInt64 { entries[entries.count - 1].timeNs }

  /// - Throws: ``RecordingError``.
  public init(path: String) throws {
    self.path = path
    switch try RecordingFile.kind(path) {
    case .absent: throw RecordingError.unreadable(path: path, reason: String(cString: strerror(ENOENT)))
    case .recording(RecordingFile.version): break
    case .recording(let found):
      throw RecordingError.otherVersion(path: path, found: found, known: RecordingFile.version)
    case .empty, .other: throw RecordingError.notARecording(path: path)
    }
    do {
      queue = try Self.open(path)
      (topology, entries) = try queue.read { database in
        let topology = try String.fetchOne(database, sql: "SELECT topology FROM session ORDER BY id LIMIT 1")
        let rows = try Row.fetchCursor(
          database, sql: "SELECT id, session, timeNs, isFull FROM reading ORDER BY id")
        var entries: [Entry] = []
        while let row = try rows.next() {
          // Columns of a damaged file hold anything.
          guard let id = Int64.fromDatabaseValue(row[0]), let session = Int64.fromDatabaseValue(row[1]),
            let time = Int64.fromDatabaseValue(row[2]), time >= 0, time <= Int64(Plausible.lastNs),
            let isFull = Int64.fromDatabaseValue(row[3])
          else { throw RecordingError.damaged(path: path, reason: "row \(entries.count + 1) of table reading") }
          entries.append(Entry(id: id, session: session, timeNs: UInt64(time), isFull: isFull != 0))
        }
        return (topology ?? "", entries)
      }
    } catch {
      throw RecordingFile.reading(error, path)
    }
    guard !entries.isEmpty else { throw RecordingError.empty(path: path, reason: "no reading was recorded") }
  }

  /// A recorder that was killed in the middle of a transaction leaves a journal, which only one who may write can undo.
  private static func open(_ path: String) throws -> DatabaseQueue {
    do {
      let queue = try DatabaseQueue(path: path, configuration: RecordingFile.configuration(readonly: true))
      try queue.read { _ = try Int.fetchOne($0, sql: "SELECT count(*) FROM session") }
      return queue
    } catch let error as DatabaseError where error.resultCode == .SQLITE_READONLY {
      return try DatabaseQueue(path: path, configuration: RecordingFile.configuration(readonly: false))
    }
  }

  /// The latest reading that is not later than `timeNs`; the first where all are.
  func index(at timeNs: UInt64) -> Int {
    // Clocks are set back now and then: from the end, so that the latest of two counts.
    entries.lastIndex { $0.timeNs <= timeNs } ?? 0
  }

  /// A cursor before the first reading.
  func cursor() -> RecordingCursor { RecordingCursor(self) }
}

/// Goes through a recording, reading by reading.
struct RecordingCursor {
  let recording: Recording
  /// The reading that ``next()`` gives.
  private(set) var index = 0
  private var decoder = ReadingDecoder()

  fileprivate init(_ recording: Recording) { self.recording = recording }

  /// Has ``next()`` go on at a reading; those before it that it is recorded by are read as well, and given back, so that
  /// what is played has rates and a past.
  mutating func seek(_ target: Int) throws -> [TimedReadings] {
    let entries = recording.entries
    var start = max(0, min(target, entries.count))
    // The first of a session is full too, so this never leads into another session.
    while start > 0, start == entries.count || !entries[start].isFull { start -= 1 }
    // At least the one before, for the rates; its own past comes with it.
    if start == target, start > 0, entries[start - 1].session == entries[start].session {
      start -= 1
      while start > 0, !entries[start].isFull { start -= 1 }
    }
    index = start
    decoder = ReadingDecoder()
    var passed: [TimedReadings] = []
    while index < target, let next = try next() { passed.append(next) }
    return passed
  }

  /// nil at the end.
  ///
  /// - Throws: ``RecordingError``.
  mutating func next() throws -> TimedReadings? {
    guard index < recording.entries.count else { return nil }
    let entry = recording.entries[index]
    let path = recording.path
    func damage(_ what: String) -> RecordingError {
      .damaged(
        path: path, reason: "\(what) of reading \(index + 1), \(MonitorDocument.text(timeNs: entry.timeNs))")
    }
    do {
      var decoder = self.decoder
      let readings = try recording.queue.read { database in
        guard
          let row = try Row.fetchOne(
            database.cachedStatement(sql: "SELECT checksum, data FROM reading WHERE id = ?"),
            arguments: [entry.id]),
          let expected = Int64.fromDatabaseValue(row[0]), let data = Data.fromDatabaseValue(row[1])
        else { throw damage("the row") }
        let bytes = Array(data)
        guard checksum(bytes) == expected else { throw damage("the checksum") }
        return try decoder.decode(bytes, isFull: entry.isFull) { id in
          try String.fetchOne(
            database.cachedStatement(sql: "SELECT json FROM shape WHERE id = ?"), arguments: [id])
        }
      }
      self.decoder = decoder
      let isFirst = index == 0 || recording.entries[index - 1].session != entry.session
      index += 1
      return TimedReadings(timeNs: entry.timeNs, readings: readings, beginsAnew: isFirst)
    } catch is ByteReader.Damage {
      throw damage("the data")
    } catch {
      throw RecordingFile.reading(error, path)
    }
  }
}
