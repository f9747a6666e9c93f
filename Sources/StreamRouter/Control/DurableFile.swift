import Foundation
import SystemPackage

/// Files that a node and a controller find again after a crash at any moment: the old content or the new, on the disk when
/// the call returns.
enum DurableFile {
  static func read<Value: Decodable>(_ path: FilePath, as type: Value.Type) throws -> Value? {
    guard FileManager.default.fileExists(atPath: path.string) else { return nil }
    guard let data = FileManager.default.contents(atPath: path.string) else {
      throw ControlError.unreadable(path: path.string, reason: "permission denied")
    }
    do { return try JSONDecoder().decode(type, from: data) } catch {
      throw ControlError.unreadable(path: path.string, reason: "it is damaged, or of another version")
    }
  }

  static func write(_ value: some Encodable, to path: FilePath) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    try write([UInt8](encoder.encode(value)), to: path)
  }

  /// Into a file beside it, flushed, and renamed over the former.
  static func write(_ bytes: [UInt8], to path: FilePath) throws {
    let beside = FilePath(path.string + ".new")
    do {
      let file = try FileDescriptor.open(
        beside, .writeOnly, options: [.create, .truncate, .closeOnExec], permissions: [.ownerReadWrite])
      try file.closeAfter {
        try file.writeAll(bytes)
        try flush(file)
      }
      guard rename(beside.string, path.string) == 0 else { throw Errno(rawValue: errno) }
      try flush(directoryOf: path)
    } catch let error as Errno {
      unlink(beside.string)
      throw ControlError.unwritable(path: path.string, reason: reason(error))
    }
  }

  /// With what to do, where it is known.
  private static func reason(_ error: Errno) -> String {
    switch error {
    case .noSpace, .diskQuotaExceeded: "\(error); make room there"
    case .readOnlyFileSystem: "\(error); make it writable again"
    default: "\(error)"
    }
  }

  static func remove(_ path: FilePath) throws {
    guard unlink(path.string) == 0 || errno == ENOENT else {
      throw ControlError.unwritable(path: path.string, reason: reason(Errno(rawValue: errno)))
    }
    try? flush(directoryOf: path)
  }

  static func makeFolder(_ path: FilePath) throws {
    do {
      try FileManager.default.createDirectory(
        atPath: path.string, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw ControlError.unwritable(path: path.string, reason: error.localizedDescription)
    }
  }

  private static func flush(directoryOf path: FilePath) throws {
    let folder = try FileDescriptor.open(
      path.removingLastComponent(), .readOnly, options: [.directory, .closeOnExec])
    try folder.closeAfter { try flush(folder) }
  }

  private static func flush(_ file: FileDescriptor) throws {
    guard fsync(file.rawValue) == 0 else { throw Errno(rawValue: errno) }
  }
}
