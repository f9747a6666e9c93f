import Foundation
import GRDB

/// The format of a recording: an SQLite file, one file at rest, that a user copies about as any other.
///
/// `application_id` is ``applicationID``, `user_version` the version of this format. Tables:
///
/// - `session`: one row for each run of a recorder: `topology`, `program` (its version), `startedNs` (since 1970).
/// - `shape`: what readings have beside their figures, as JSON (``ShapedReading``): a node or a relay with all figures 0.
/// - `reading`: one row for each reading of all nodes: its `session`; `timeNs` since 1970, when it was taken; `data` as
///   ``ReadingCoder`` makes it, and its `checksum`; `isFull` is 1 where `data` needs no row before, as the first of a
///   session and one each minute.
///
/// The JSON of shapes is that of snapshots, so a change of that is another version; a recording of version 1 is among the
/// tests.
///
/// Rows are in the order of time by their `id`. Each reading is a transaction: what a recorder that is killed loses is
/// the reading that it was about to write. The journal is a file beside it while a transaction runs, and no
/// write-ahead log, which would stay there as a second and third file after a crash.
enum RecordingFile {
  /// "SRRC".
  static let applicationID: Int32 = 0x5352_5243
  static let version = 1

  /// What the first hundred bytes say (SQLite file format, 1.3), without opening it as a database.
  enum Kind: Hashable { case absent, empty, recording(version: Int), other }

  static func kind(_ path: String) throws(RecordingError) -> Kind {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    if descriptor < 0 {
      if errno == ENOENT { return .absent }
      throw .unreadable(path: path, reason: String(cString: strerror(errno)))
    }
    defer { close(descriptor) }
    var header = [UInt8](repeating: 0, count: 100)
    let count = pread(descriptor, &header, header.count, 0)
    if count < 0 { throw .unreadable(path: path, reason: String(cString: strerror(errno))) }
    if count == 0 { return .empty }
    func number(at offset: Int) -> UInt32 {
      header[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
    guard count == header.count, header.starts(with: Array("SQLite format 3\0".utf8)),
      number(at: 68) == UInt32(bitPattern: applicationID)
    else { return .other }
    return .recording(version: Int(number(at: 60)))
  }

  static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1") { database in
      try database.execute(
        sql: """
          CREATE TABLE session (
            id INTEGER PRIMARY KEY, topology TEXT NOT NULL, program TEXT NOT NULL, startedNs INTEGER NOT NULL);
          CREATE TABLE shape (id INTEGER PRIMARY KEY, json TEXT NOT NULL);
          CREATE TABLE reading (
            id INTEGER PRIMARY KEY, session INTEGER NOT NULL REFERENCES session (id), timeNs INTEGER NOT NULL,
            isFull INTEGER NOT NULL, checksum INTEGER NOT NULL, data BLOB NOT NULL);
          PRAGMA application_id = \(applicationID);
          PRAGMA user_version = \(version);
          """)
    }
    return migrator
  }

  static func configuration(readonly: Bool) -> Configuration {
    var configuration = Configuration()
    configuration.readonly = readonly
    configuration.busyMode = .timeout(2)
    configuration.label = "recording"
    if !readonly {
      // Small pages, of a new file: most readings are 1 to 3 kB, and what is left over in a page is lost.
      configuration.prepareDatabase {
        try $0.execute(sql: "PRAGMA page_size = 1024; PRAGMA synchronous = NORMAL")
      }
    }
    return configuration
  }

  /// An error of the database in words for whoever reads the file.
  static func reading(_ error: any Error, _ path: String) -> RecordingError {
    switch error {
    case let error as RecordingError: return error
    case let error as DatabaseError:
      let code = error.resultCode
      if code == .SQLITE_CANTOPEN || code == .SQLITE_PERM || code == .SQLITE_BUSY || code == .SQLITE_READONLY {
        return .unreadable(path: path, reason: error.message ?? "\(code)")
      }
      return .damaged(path: path, reason: error.message ?? "\(code)")
    default: return .damaged(path: path, reason: "\(error)")
    }
  }

  /// An error of the database in words for whoever records.
  static func writing(_ error: any Error, _ path: String) -> RecordingError {
    switch error {
    case let error as RecordingError: return error
    case let error as DatabaseError:
      let code = error.resultCode
      if code == .SQLITE_NOTADB || code == .SQLITE_CORRUPT {
        return .damaged(path: path, reason: error.message ?? "\(code)")
      }
      if code == .SQLITE_FULL || code == .SQLITE_IOERR {
        return .cannotWrite(
          path: path,
          reason: "the disk or the quota is full, or the disk fails (\(error.message ?? "\(code)")); "
            + "what was recorded before is kept", isPermission: false)
      }
      let isPermission = code == .SQLITE_READONLY || code == .SQLITE_PERM
      return .cannotWrite(path: path, reason: error.message ?? "\(code)", isPermission: isPermission)
    default: return .cannotWrite(path: path, reason: "\(error)", isPermission: false)
    }
  }
}
