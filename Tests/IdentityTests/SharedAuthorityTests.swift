import Foundation
import Synchronization
import Testing

@testable import Identity

/// Two machines that share the records of one authority, each with its key.
struct SharedAuthorityTests {
  private static let start = Installation.start

  /// What etcd is to them: a version, and all or nothing.
  private final class Shelf: AuthorityRecords {
    private let kept = Mutex(SharedRecords(version: 0, values: [:]))
    /// The names that the latest change touched.
    let touched = Mutex<Set<String>>([])
    /// Run before a change is looked at, once.
    let between = Mutex<(@Sendable () async throws -> Void)?>(nil)

    var records: SharedRecords { kept.withLock { $0 } }

    func read(unless known: Int64?) async throws -> SharedRecords? {
      kept.withLock { $0.version == known ? nil : $0 }
    }

    func replace(_ change: SharedRecords.Change, of version: Int64) async throws -> Bool {
      let first = between.withLock { between in
        defer { between = nil }
        return between
      }
      try await first?()
      return kept.withLock { kept in
        guard kept.version == version else { return false }
        var values = kept.values.merging(change.written) { $1 }
        for name in change.removed { values[name] = nil }
        touched.withLock { $0 = Set(change.written.keys).union(change.removed) }
        kept = SharedRecords(version: version + 1, values: values)
        return true
      }
    }
  }

  private struct Machine: Sendable {
    let scratch: Scratch
    let authority: SharedAuthority
    let lines: Lines

    var path: String { "\(scratch.path)/authority" }
  }

  /// - Parameter keys: of which machine; nil: it makes the authority.
  private static func machine(_ shelf: Shelf, keys: Machine? = nil) throws -> Machine {
    let scratch = try Scratch()
    let lines = Lines()
    let path = "\(scratch.path)/authority"
    if let keys {
      try FileManager.default.copyItem(atPath: keys.path, toPath: path)
    } else {
      try AuthorityStore(directory: path, audit: Audit { _ in }).create(at: start)
    }
    return Machine(
      scratch: scratch,
      authority: SharedAuthority(directory: path, records: shelf, audit: Audit { lines.add($0) }), lines: lines)
  }

  private static func pair() async throws -> (Shelf, Machine, Machine) {
    let shelf = Shelf()
    let first = try machine(shelf)
    #expect(try await first.authority.share(mayBegin: true))
    let second = try machine(shelf, keys: first)
    #expect(try await !second.authority.share(mayBegin: false))
    return (shelf, first, second)
  }

  @Test("a token of one machine lets in at the other, once, however many come at the same moment")
  func token() async throws {
    let (_, first, second) = try await Self.pair()
    let token = try await first.authority.perform {
      try $0.tokens.create(for: .node("edge"), lifetime: .seconds(900), at: Self.start)
    }
    let admitted = await withTaskGroup(of: Bool.self) { group in
      for place in 0..<24 {
        let authority = (place % 2 == 0 ? first : second).authority
        group.addTask {
          guard let request = try? IdentityKey().request() else { return false }
          let role = try? await authority.perform {
            try $0.admit(request, secret: token.secret, name: "edge", at: Self.start).role
          }
          return role == .node("edge")
        }
      }
      return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
    }
    #expect(admitted == 1)
    for machine in [first, second] {
      let holders = try await machine.authority.perform { try $0.holders(at: Self.start) }
      #expect(holders.map(\.role) == [.node("edge")])
    }
    // What was tried in vain because another was quicker is no event.
    let redeemed = (first.lines.all + second.lines.all).filter {
      $0.event == .tokenRedeemed && $0.outcome == .done
    }
    #expect(redeemed.count == 1)
  }

  @Test("a revocation that comes between the reading and the signing of a renewal is not escaped")
  func revocationBetween() async throws {
    let (shelf, first, second) = try await Self.pair()
    let key = IdentityKey()
    let held = try await first.authority.perform {
      try $0.sign(key.request(), for: .node("edge"), at: Self.start)
    }
    shelf.between.withLock {
      $0 = { _ = try await second.authority.perform { try $0.revoke(.node("edge"), at: Self.start) } }
    }
    let request = try IdentityKey().request()
    await #expect(throws: PeerRefusal.self) {
      try await first.authority.perform { try await $0.renew(request, holding: held.encoded, at: Self.start) }
    }
    let revocations = try await first.authority.perform { try $0.revocations() }
    #expect(revocations.isRevoked(held))
  }

  @Test("a change writes the parts that it is about, and expired certificates alone write none")
  func parts() async throws {
    let (shelf, first, _) = try await Self.pair()
    for number in 0..<200 {
      let request = try IdentityKey().request()
      _ = try await first.authority.perform {
        try $0.sign(request, for: .node("n\(number)"), at: Self.start, lifetime: .seconds(3600))
      }
      #expect(shelf.touched.withLock { $0.count } == 1)
    }
    #expect(try await first.authority.perform { try $0.holders(at: Self.start).count } == 200)
    #expect(shelf.records.values.keys.count { $0.hasPrefix("issued/") } > 20)
    // All 200 have ended by then.
    let later = Self.start.addingTimeInterval(7200)
    let request = try IdentityKey().request()
    _ = try await first.authority.perform { try $0.sign(request, for: .node("late"), at: later) }
    #expect(shelf.touched.withLock { $0.count } == 1)
    #expect(try await first.authority.perform { try $0.holders(at: later).map(\.role) } == [.node("late")])
  }

  @Test("a rotation reaches the other machine, which signs again once it has the new key")
  func rotation() async throws {
    let (_, first, second) = try await Self.pair()
    try await first.authority.perform { try $0.beginRotation(at: Self.start) }
    #expect(try await second.authority.perform { try $0.load().trust.certificates.count } == 2)
    // The second one cannot sign with a key that it lacks, so it may not be the one that switches.
    let refused = await #expect(throws: IdentityError.self) {
      try await second.authority.perform { try $0.switchRotation(at: Self.start) }
    }
    guard case .keyElsewhere(let path) = refused else {
      Issue.record("\(String(describing: refused))")
      return
    }
    try await first.authority.perform { try $0.switchRotation(at: Self.start) }
    let request = try IdentityKey().request()
    await #expect(throws: IdentityError.keyElsewhere(path: path)) {
      try await second.authority.perform { try $0.sign(request, for: .node("edge"), at: Self.start) }
    }
    // It still decides about peers.
    #expect(try await second.authority.perform { try $0.load().trust.certificates.count } == 2)
    let name = try #require(path.split(separator: "/").last)
    try FileManager.default.copyItem(atPath: "\(first.path)/\(name)", toPath: path)
    let signed = try await second.authority.perform { try $0.sign(request, for: .node("edge"), at: Self.start) }
    try await first.authority.perform { try $0.finishRotation(at: Self.start) }
    let verifier = try await first.authority.perform { try $0.verifier() }
    #expect(try await verifier.role(of: [signed.encoded], at: Self.start) == .node("edge"))
    // The former key is of no use any more, and is not on the machine that switched.
    let keys = try FileManager.default.contentsOfDirectory(atPath: first.path).filter {
      $0.hasSuffix(".key.pem")
    }
    #expect(keys == [String(name)])
  }

  @Test("the key of another authority, or records that are gone, are refused at the start")
  func otherAuthority() async throws {
    let (shelf, first, _) = try await Self.pair()
    let stranger = try Self.machine(shelf)
    let refused = await #expect(throws: IdentityError.self) {
      try await stranger.authority.share(mayBegin: true)
    }
    guard case .keyElsewhere = refused else {
      Issue.record("\(String(describing: refused))")
      return
    }
    let empty = SharedAuthority(directory: first.path, records: Shelf(), audit: Audit { _ in })
    await #expect(throws: IdentityError.noRecords(path: first.path)) { try await empty.share(mayBegin: false) }
  }

  @Test("records that are damaged are named, and nothing is taken for empty")
  func damaged() async throws {
    let (shelf, first, _) = try await Self.pair()
    let request = try IdentityKey().request()
    _ = try await first.authority.perform { try $0.sign(request, for: .node("edge"), at: Self.start) }
    let part = try #require(shelf.records.values.keys.first { $0.hasPrefix("issued/") })
    let version = shelf.records.version
    #expect(try await shelf.replace(.init(written: [part: Array("[{".utf8)]), of: version))
    let refused = await #expect(throws: IdentityError.self) {
      try await first.authority.perform { try $0.holders(at: Self.start) }
    }
    #expect("\(String(describing: refused))".contains(part))
  }
}
