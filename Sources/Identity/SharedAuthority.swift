import Foundation
import Synchronization

/// The authority of an installation, wherever its records are: in the files of the one controller, or where several share
/// them. Its keys are files in any case.
///
/// Shared between tasks; what it holds is the latest reading, so that unchanged records are not fetched again.
public final class SharedAuthority: Sendable {
  /// How often a change is made anew where another machine was quicker.
  private static let attempts = 20

  private let directory: StateDirectory
  private let records: (any AuthorityRecords)?
  private let audit: Audit
  private let latest = Mutex<(records: SharedRecords, files: [String: [UInt8]])?>(nil)

  /// - Parameters:
  ///   - directory: `authority/` of this machine.
  ///   - records: nil: they are files in it.
  public init(directory: String, records: (any AuthorityRecords)? = nil, audit: Audit) {
    self.directory = StateDirectory(path: directory)
    self.records = records
    self.audit = audit
  }

  /// Whether several machines have the records in common.
  public var isShared: Bool { records != nil }

  /// Does something with the authority. Shared records are read before, and what was changed is kept when this returns:
  /// nobody hears of a certificate or a token before.
  /// - Parameter body: run again where another machine changed the records meanwhile.
  public func perform<Result: Sendable>(
    _ body: @Sendable (AuthorityStore) async throws -> Result
  ) async throws -> Result {
    guard let records else { return try await body(AuthorityStore(directory, audit: audit)) }
    for _ in 0..<Self.attempts {
      let (read, files) = try await reading(records)
      let draft = AuthorityDraft(files)
      let lines = Mutex<[AuditLine]>([])
      var directory = directory
      directory.draft = draft
      let store = AuthorityStore(directory, audit: Audit { line in lines.withLock { $0.append(line) } })
      let outcome: Swift.Result<Result, any Error>
      do { outcome = .success(try await body(store)) } catch { outcome = .failure(error) }
      // Also where it failed: a token that was used up before is used up.
      let change = try read.change(to: draft.files)
      if !change.isEmpty {
        guard try await records.replace(change, of: read.version) else { continue }
        // Only now, and only with a change: a key that no record names may be the one of a step that another process of this
        // machine is about to keep, which comes too late now, and makes another.
        let directory = self.directory
        try directory.change { change in for key in draft.spentKeys { try change.remove(key) } }
      }
      for line in lines.withLock({ $0 }) { audit.write(line) }
      return try outcome.get()
    }
    throw IdentityError.contended
  }

  private func reading(_ records: any AuthorityRecords) async throws -> (SharedRecords, [String: [UInt8]]) {
    let known = latest.withLock { $0 }
    guard let read = try await records.read(unless: known?.records.version) else {
      if let known { return known }
      return (SharedRecords(version: 0, values: [:]), [:])
    }
    let files = try read.files()
    latest.withLock { $0 = (read, files) }
    return (read, files)
  }

  /// Sees whether the shared records are those of the authority whose key is on this machine; where there are none yet, those
  /// in this machine's files become them.
  /// - Parameter mayBegin: whether records may be begun.
  /// - Returns: whether they were.
  /// - Throws: ``IdentityError/keyElsewhere(path:)``, ``IdentityError/noRecords(path:)``.
  @discardableResult
  public func share(mayBegin: Bool) async throws -> Bool {
    guard let records else { return false }
    for _ in 0..<Self.attempts {
      let (read, files) = try await reading(records)
      guard files[AuthorityState.file] == nil else {
        _ = try await perform { try $0.load().signing }
        return false
      }
      guard mayBegin else { throw IdentityError.noRecords(path: directory.path) }
      let directory = self.directory
      let own = try directory.change { _ in
        // With its key, or this machine has nothing to begin with.
        _ = try Authority.read(directory)
        var own: [String: [UInt8]] = [:]
        for name in try directory.names() {
          guard AuthorityStore.isRecord(name) else { continue }
          own[name] = try directory.read(name)
        }
        return own
      }
      if try await records.replace(read.change(to: own), of: read.version) { return true }
    }
    throw IdentityError.contended
  }
}
