import Foundation

/// Where the records of an authority are kept that several machines share: which authorities there are, the certificates
/// that they signed, tokens, revocations. The whole of them has a version, and a change says which it was made from.
public protocol AuthorityRecords: Sendable {
  /// - Parameter known: the version that the caller has.
  /// - Returns: nil where that is the one that is kept.
  func read(unless known: Int64?) async throws -> SharedRecords?

  /// Keeps a change, if it was made from the version that is kept; all of it or nothing.
  /// - Returns: whether it was.
  func replace(_ change: SharedRecords.Change, of version: Int64) async throws -> Bool
}

/// Records as they are kept: small values by name, so that a change writes a part of them only. Files that are lists are
/// split by whom their entries are about.
public struct SharedRecords: Hashable, Sendable {
  /// What a change writes, and what it removes.
  public struct Change: Hashable, Sendable {
    public var written: [String: [UInt8]] = [:]
    public var removed: [String] = []
    var isEmpty: Bool { written.isEmpty && removed.isEmpty }
  }

  /// 0: there are none yet.
  public let version: Int64
  public let values: [String: [UInt8]]

  public init(version: Int64, values: [String: [UInt8]]) {
    self.version = version
    self.values = values
  }

  /// What `StateDirectory` would hold.
  func files() throws(IdentityError) -> [String: [UInt8]] {
    guard version > 0 else { return [:] }
    var files = values.filter { !$0.key.contains("/") }
    files[AuthorityStore.issuedFile] = try RecordList.issued.joined(values)
    files[AuthorityStore.revokedFile] = try RecordList.revoked.joined(values)
    files[TokenStore.file] = try RecordList.tokens.joined(values)
    return files
  }

  /// What has to be written for these files to be kept.
  func change(to files: [String: [UInt8]]) throws -> Change {
    var wanted: [String: [UInt8]] = [:]
    for (name, bytes) in files {
      switch name {
      case AuthorityStore.issuedFile: try RecordList.issued.split(bytes, over: values, into: &wanted)
      case AuthorityStore.revokedFile: try RecordList.revoked.split(bytes, over: values, into: &wanted)
      case TokenStore.file: try RecordList.tokens.split(bytes, over: values, into: &wanted)
      default: wanted[name] = bytes
      }
    }
    return Change(
      written: wanted.filter { values[$0.key] != $0.value },
      removed: values.keys.filter { wanted[$0] == nil }.sorted())
  }
}

/// A file that is a list, kept as parts of it.
private struct RecordList<Entry: Codable & Hashable & Sendable>: Sendable {
  let folder: String
  let parts: UInt8
  /// What decides about the part; the same text is always in the same one.
  let subject: @Sendable (Entry) -> String
  let precedes: @Sendable (Entry, Entry) -> Bool
  /// Whether entries go only when they have expired. Then they may stay a while longer: what looks at them looks at their
  /// end, and an old installation need not write all parts at once.
  let forgetsExpiredOnly: Bool

  private func part(of entry: Entry) -> String {
    let digest = CertificateDigest(of: Array(subject(entry).utf8))
    return "\(folder)/\([digest.bytes[0] % parts].hexadecimal)"
  }

  private func entries(_ name: String, _ bytes: [UInt8]) throws(IdentityError) -> [Entry] {
    do { return try StateCoding.decode([Entry].self, from: bytes) } catch {
      throw .damaged(path: "the record \(name)", reason: "it is not the JSON that was written")
    }
  }

  func joined(_ values: [String: [UInt8]]) throws(IdentityError) -> [UInt8] {
    var all: [Entry] = []
    for (name, bytes) in values where name.hasPrefix(folder + "/") { all += try entries(name, bytes) }
    do { return try StateCoding.encode(all.sorted(by: precedes)) } catch {
      throw .damaged(path: "the records \(folder)", reason: "\(error)")
    }
  }

  func split(
    _ bytes: [UInt8], over former: [String: [UInt8]], into wanted: inout [String: [UInt8]]
  ) throws {
    let all = Dictionary(grouping: try StateCoding.decode([Entry].self, from: bytes), by: part)
    for name in Set(all.keys).union(former.keys.filter { $0.hasPrefix(folder + "/") }) {
      let now = all[name] ?? []
      if let kept = former[name] {
        let before = Set(try entries(name, kept))
        if before == Set(now) || forgetsExpiredOnly && before.isSuperset(of: now) {
          wanted[name] = kept
          continue
        }
      }
      if !now.isEmpty { wanted[name] = try StateCoding.encode(now) }
    }
  }
}

extension RecordList<IssuedCertificates.Entry> {
  static var issued: Self {
    .init(
      folder: "issued", parts: 32, subject: \.role.uri,
      precedes: { ($0.issued, $0.serial.description) < ($1.issued, $1.serial.description) },
      forgetsExpiredOnly: true)
  }
}

extension RecordList<Revocations.Entry> {
  static var revoked: Self {
    .init(
      folder: "revoked", parts: 16, subject: \.serial.description,
      precedes: { ($0.revoked, $0.serial.description) < ($1.revoked, $1.serial.description) },
      forgetsExpiredOnly: true)
  }
}

extension RecordList<TokenStore.Entry> {
  static var tokens: Self {
    .init(
      folder: "tokens", parts: 16, subject: \.id,
      precedes: { ($0.created, $0.id) < ($1.created, $1.id) }, forgetsExpiredOnly: false)
  }
}
