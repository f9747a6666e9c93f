import Foundation
import SystemPackage

/// The few file operations of the lab, with its errors.
enum LabFiles {
  /// The whole file as text, bytes that are not UTF-8 replaced; nil where it cannot be read. Works for files of
  /// /proc, whose size reads as 0.
  static func read(_ path: FilePath) -> String? {
    guard let data = FileManager.default.contents(atPath: path.string) else { return nil }
    return String(decoding: data, as: UTF8.self)
  }

  /// The names in a folder; none where there is no such folder.
  static func list(_ folder: FilePath) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder.string)) ?? []).sorted()
  }

  static func exists(_ path: FilePath) -> Bool { FileManager.default.fileExists(atPath: path.string) }

  static func makeFolder(_ path: FilePath) throws {
    do {
      try FileManager.default.createDirectory(atPath: path.string, withIntermediateDirectories: true)
    } catch {
      throw LabError.failed(
        operation: "making the folder", subject: path.string,
        reason: "\(error.localizedDescription); STREAMROUTER_RUNTIME_DIR names another place")
    }
  }

  /// Removes a folder with all that is in it; nothing happens where it is not there.
  static func removeTree(_ path: FilePath) throws {
    guard exists(path) else { return }
    do {
      try FileManager.default.removeItem(atPath: path.string)
    } catch {
      guard exists(path) else { return }
      throw LabError.failed(
        operation: "removing", subject: path.string, reason: error.localizedDescription)
    }
  }

  /// Writes a file so that a reader, or a crash, meets the old or the new content and nothing in between.
  static func replace(_ path: FilePath, with data: Data) throws {
    do {
      try data.write(to: URL(fileURLWithPath: path.string), options: .atomic)
    } catch {
      throw LabError.failed(operation: "writing", subject: path.string, reason: error.localizedDescription)
    }
  }

  /// The last lines of a text file.
  static func tail(_ path: FilePath, lines: Int) -> String {
    (read(path) ?? "").split(separator: "\n").suffix(lines).map { "  " + $0 }.joined(separator: "\n")
  }

  /// The path from the root, links followed; the path itself where there is no such file.
  static func absolute(_ path: FilePath) -> FilePath {
    guard let resolved = realpath(path.string, nil) else {
      return FilePath(URL(fileURLWithPath: path.string).path)
    }
    defer { free(resolved) }
    return FilePath(String(cString: resolved))
  }

  /// This program's own file.
  static func ownExecutable() throws -> FilePath {
    let link = "/proc/self/exe"
    guard let path = try? FileManager.default.destinationOfSymbolicLink(atPath: link) else {
      throw LabError.failed(operation: "reading", subject: link, reason: "is /proc mounted?")
    }
    // The kernel says so where the file was replaced while it runs, as by a build.
    let deleted = " (deleted)"
    return FilePath(path.hasSuffix(deleted) ? String(path.dropLast(deleted.count)) : path)
  }

  /// The command `streamrouter`: this program, or the one that was built beside the tests.
  static func ownProgram() throws -> FilePath {
    let own = try ownExecutable()
    guard own.lastComponent?.string != "streamrouter" else { return own }
    let beside = own.removingLastComponent().appending("streamrouter")
    return exists(beside) ? beside : own
  }

  static func environment() -> [String] {
    ProcessInfo.processInfo.environment.map { "\($0.key)=\($0.value)" }
  }

  /// Lends strings as the null-terminated array of C strings that exec and spawn want.
  static func withCStrings<Result>(
    _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
  ) -> Result {
    let copies = strings.map { strdup($0) } + [nil]
    defer { for copy in copies { free(copy) } }
    return body(copies)
  }
}
