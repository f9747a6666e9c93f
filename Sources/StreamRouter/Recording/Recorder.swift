import Foundation
import GRDB

/// Writes readings into a recording, one after the other, until it is closed or the disk is full.
public actor Recorder {
  public nonisolated let path: String
  private let queue: DatabaseQueue
  private let session: Int64
  private let lock: RecordingLock
  private var coder: ReadingCoder
  private var lastFullNs: UInt64?
  private var isClosed = false
  /// Why it stopped; nil while it records.
  public private(set) var problem: RecordingError?

  /// A full reading is written this often, so that one can begin to play in the middle.
  private static let fullNs: UInt64 = 60_000_000_000

  /// Makes the file, or begins another session in a recording of the same topology.
  ///
  /// - Throws: ``RecordingError``.
  public init(path: String, topology: String, startedNs: UInt64) throws {
    self.path = path
    switch try RecordingFile.kind(path) {
    case .absent, .empty, .recording(RecordingFile.version): break
    case .recording(let found):
      throw RecordingError.otherVersion(path: path, found: found, known: RecordingFile.version)
    case .other: throw RecordingError.isTaken(path: path)
    }
    lock = try RecordingLock(path)
    do {
      queue = try DatabaseQueue(path: path, configuration: RecordingFile.configuration(readonly: false))
      try RecordingFile.migrator.migrate(queue)
      (session, coder) = try queue.write { database in
        let found = try String.fetchOne(database, sql: "SELECT topology FROM session ORDER BY id DESC LIMIT 1")
        if let found, found != topology {
          throw RecordingError.otherTopology(path: path, found: found, wanted: topology)
        }
        try database.execute(
          sql: "INSERT INTO session (topology, program, startedNs) VALUES (?, ?, ?)",
          arguments: [topology, Version.current, Int64(clamping: startedNs)])
        let session = database.lastInsertedRowID
        let shape = try Int64.fetchOne(database, sql: "SELECT max(id) FROM shape") ?? 0
        return (session, ReadingCoder(nextShape: shape + 1))
      }
    } catch {
      throw RecordingFile.writing(error, path)
    }
  }

  /// Writes one reading of all nodes, taken at `timeNs` since 1970, on the disk before it returns. Where that fails, it
  /// and all later ones are not recorded, and ``problem`` says why; the recording holds those before.
  public func record(_ readings: [NodeReading], timeNs: UInt64) async {
    guard problem == nil, !isClosed else { return }
    do {
      // A clock that was set back begins anew as well.
      let isFull = lastFullNs.map { timeNs < $0 || timeNs - $0 >= Self.fullNs } ?? true
      if isFull { lastFullNs = timeNs }
      let (bytes, shapes) = try coder.encode(readings, isFull: isFull)
      let session = self.session
      try await queue.write { database in
        for shape in shapes {
          try database.cachedStatement(sql: "INSERT INTO shape (id, json) VALUES (?, ?)")
            .execute(arguments: [shape.id, shape.json])
        }
        try database.cachedStatement(
          sql: "INSERT INTO reading (session, timeNs, isFull, checksum, data) VALUES (?, ?, ?, ?, ?)"
        ).execute(arguments: [session, Int64(clamping: timeNs), isFull, checksum(bytes), Data(bytes)])
      }
    } catch {
      problem = RecordingFile.writing(error, path)
    }
  }

  /// Ends the recording: one file remains.
  ///
  /// - Returns: Why not all was recorded; nil where it was.
  public func close() -> RecordingError? {
    guard !isClosed else { return problem }
    isClosed = true
    do {
      try queue.close()
    } catch {
      problem = problem ?? RecordingFile.writing(error, path)
    }
    lock.release()
    return problem
  }
}

/// Keeps two recorders from one file.
///
/// The descriptor stays open while the database is: closing it would take the database's own locks away, which the kernel
/// keeps by process and file.
private final class RecordingLock: Sendable {
  private let descriptor: Int32

  /// Makes the file where there is none.
  init(_ path: String) throws(RecordingError) {
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    if descriptor < 0 {
      let code = errno
      throw .cannotWrite(
        path: path, reason: String(cString: strerror(code)),
        isPermission: code == EACCES || code == EPERM || code == EROFS)
    }
    if flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      Glibc.close(descriptor)
      throw .isBusy(path: path)
    }
  }

  func release() { flock(descriptor, LOCK_UN) }

  deinit { Glibc.close(descriptor) }
}
