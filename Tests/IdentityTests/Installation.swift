import Foundation
import Synchronization

@testable import Identity

/// A directory for one test, removed with it.
final class Scratch: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/sr-identity-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw IdentityError.file(path: "/tmp", action: "use", errno: errno) }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func mode(_ name: String) -> UInt32 {
    var status = stat()
    return stat("\(path)/\(name)", &status) == 0 ? status.st_mode & 0o7777 : 0
  }
}

/// An authority in a directory of its own, made at ``start``, and what it told the audit.
final class Installation: Sendable {
  static let start = Date(timeIntervalSince1970: 1_800_000_000)

  let scratch: Scratch
  let store: AuthorityStore
  private let lines = Lines()

  /// - Parameter afterChange: called with the path of the authority's directory after each change to it.
  init(afterChange: @escaping @Sendable (String) -> Void = { _ in }) throws {
    let scratch = try Scratch()
    self.scratch = scratch
    let lines = lines
    let path = "\(scratch.path)/authority"
    store = AuthorityStore(
      StateDirectory(path: path, afterChange: { afterChange(path) }), audit: Audit { lines.add($0) })
    try store.create(at: Self.start)
  }

  /// What the audit was told, oldest first.
  var audit: [AuditLine] { lines.all }

  var path: String { store.directory.path }

  /// A certificate for this role, with its key.
  func identity(_ role: Role, admits: Bool = false, at now: Date = start) throws -> Identity {
    let key = IdentityKey()
    let certificate = try store.sign(key.request(), for: role, admits: admits, at: now)
    return try Identity(key: key, certificate: certificate, trust: store.load().trust)
  }

  func text(of name: String) throws -> String {
    try String(contentsOfFile: "\(path)/\(name)", encoding: .utf8)
  }
}

/// Audit lines, added from any thread.
final class Lines: Sendable {
  private let lines = Mutex<[AuditLine]>([])
  func add(_ line: AuditLine) { lines.withLock { $0.append(line) } }
  var all: [AuditLine] { lines.withLock { $0 } }
}

extension Date {
  /// Seconds after ``Installation/start``.
  static func after(_ seconds: TimeInterval) -> Date { Installation.start.addingTimeInterval(seconds) }
}

/// Copies of a directory, each as it was after one change: what a crash at that moment would leave.
final class Snapshots: Sendable {
  private let taken = Mutex<[Scratch]>([])

  func take(_ path: String) {
    // A failure here shows as a missing copy: tests count them.
    guard let scratch = try? Scratch() else { return }
    try? FileManager.default.copyItem(atPath: path, toPath: "\(scratch.path)/copy")
    taken.withLock { $0.append(scratch) }
  }

  func clear() { taken.withLock { $0 = [] } }

  var all: [String] { taken.withLock { $0.map { "\($0.path)/copy" } } }
}
