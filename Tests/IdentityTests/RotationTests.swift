import Foundation
import Testing

@testable import Identity

@Suite struct RotationTests {
  private let here: Installation
  private var store: AuthorityStore { here.store }

  init() throws { here = try Installation() }

  /// Read anew from the disk, as after a crash.
  private var reloaded: AuthorityStore { AuthorityStore(directory: here.path, audit: Audit { _ in }) }

  private func accepts(_ identity: Identity, at now: Date) async throws -> Bool {
    (try? await reloaded.verifier().role(of: [identity.certificate.encoded], at: now)) == identity.role
  }

  @Test func anAuthorityIsExchanged() async throws {
    let first = try store.load().certificate
    let old = try here.identity(.node("edge"))
    #expect(try reloaded.load().phase == .settled)

    try store.beginRotation(at: .after(100))
    let begun = try reloaded.load()
    #expect(begun.phase == .begun)
    #expect(begun.since == .after(100))
    #expect(begun.certificate == first)
    #expect(begun.trust.certificates.count == 2)
    let second = try #require(begun.trust.certificates.last)
    // Still signed by the first, and known to who trusts only that.
    let between = try here.identity(.node("core"), at: .after(101))
    #expect(
      try await PeerVerifier(trust: old.trust).role(of: [between.certificate.encoded], at: .after(101))
        == .node("core"))
    #expect(try await accepts(old, at: .after(101)))

    try store.switchRotation(at: .after(200))
    let switched = try reloaded.load()
    #expect(switched.phase == .switched)
    #expect(switched.certificate == second)
    #expect(Set(switched.trust.certificates) == [first, second])
    let new = try here.identity(.node("new"), at: .after(201))
    #expect(
      try await PeerVerifier(trust: begun.trust).role(of: [new.certificate.encoded], at: .after(201))
        == .node("new"))
    await #expect(throws: PeerRefusal.notSignedByUs) {
      try await PeerVerifier(trust: old.trust).role(of: [new.certificate.encoded], at: .after(201))
    }
    #expect(try await accepts(old, at: .after(201)))
    let token = try store.tokens.create(for: .node("late"), lifetime: .seconds(900), at: .after(201))
    #expect(token.names(second))

    #expect(throws: IdentityError.notRenewed([.node("core"), .node("edge")])) {
      try store.finishRotation(at: .after(300))
    }
    _ = try await store.renew(IdentityKey().request(), holding: old.certificate.encoded, at: .after(301))
    #expect(throws: IdentityError.notRenewed([.node("core")])) { try store.finishRotation(at: .after(302)) }
    #expect(try reloaded.load().phase == .switched)
    try store.revoke(.node("core"), at: .after(303))
    try store.finishRotation(at: .after(304))
    let finished = try reloaded.load()
    #expect(finished.phase == .settled)
    #expect(finished.trust.certificates == [second])
    #expect(try await !accepts(old, at: .after(305)))
    #expect(try await accepts(new, at: .after(305)))
    #expect(try TrustBundle(pem: here.text(of: "trust.pem")) == finished.trust)
  }

  @Test func whatIsForcedDropsWhoDidNotRenew() async throws {
    let old = try here.identity(.node("edge"))
    try store.beginRotation(at: .after(1))
    try store.switchRotation(at: .after(2))
    try store.finishRotation(at: .after(3), force: true)
    #expect(try await !accepts(old, at: .after(4)))
  }

  @Test func expiredCertificatesDoNotHoldItUp() throws {
    _ = try here.identity(.node("edge"))
    try store.beginRotation(at: .after(1))
    try store.switchRotation(at: .after(2))
    try store.finishRotation(at: .after(30 * 86_400 + 1))
    #expect(try store.load().phase == .settled)
  }

  @Test func stepsMayBeRepeatedAndNotSkipped() throws {
    #expect(throws: IdentityError.noRotation) { try store.switchRotation(at: .after(1)) }
    try store.finishRotation(at: .after(1))
    try store.beginRotation(at: .after(1))
    let begun = try store.load().trust
    try store.beginRotation(at: .after(2))
    #expect(try store.load().trust == begun)
    #expect(try store.load().since == .after(1))
    #expect(throws: IdentityError.rotationNotSwitched) { try store.finishRotation(at: .after(3)) }
    try store.switchRotation(at: .after(4))
    let switched = try store.load().trust
    try store.switchRotation(at: .after(5))
    #expect(try store.load().trust == switched)
    #expect(throws: IdentityError.rotationUnfinished) { try store.beginRotation(at: .after(6)) }
    try store.finishRotation(at: .after(7))
    try store.finishRotation(at: .after(8))
    #expect(try store.load().trust.certificates == [switched.certificates[0]])
    try store.beginRotation(at: .after(9))
    #expect(try store.load().trust.certificates.count == 2)
  }

  @Test func keysThatSignNoMoreAreRemoved() throws {
    func keys() throws -> Int {
      try FileManager.default.contentsOfDirectory(atPath: here.path).count { $0.hasSuffix(".key.pem") }
    }
    #expect(try keys() == 1)
    try store.beginRotation(at: .after(1))
    #expect(try keys() == 2)
    try store.switchRotation(at: .after(2))
    #expect(try keys() == 1)
    try store.finishRotation(at: .after(3), force: true)
    #expect(try keys() == 1)
    #expect(try FileManager.default.contentsOfDirectory(atPath: here.path).count { $0.hasPrefix("ca-") } == 2)
  }

  /// Every state that was ever on the disk can be read, signs what it trusts, and is led to the end by the same steps.
  @Test func aCrashAtAnyMomentLeavesAStateThatGoesOn() async throws {
    let states = Snapshots()
    let here = try Installation(afterChange: { states.take($0) })
    let created = states.all.count
    try here.store.beginRotation(at: .after(1))
    try here.store.switchRotation(at: .after(2))
    try here.store.finishRotation(at: .after(3), force: true)
    let all = states.all
    // Key, certificate, state, bundle; state, bundle, a key less; state, bundle, a certificate less.
    #expect(all.count - created == 10)
    var phases: [RotationPhase] = []
    for path in all.dropFirst(created) {
      let store = AuthorityStore(directory: path, audit: Audit { _ in })
      phases.append(try store.load().phase)
      let certificate = try store.sign(IdentityKey().request(), for: .node("edge"), at: .after(4))
      #expect(try await store.verifier().role(of: [certificate.encoded], at: .after(4)) == .node("edge"))
      if try store.load().phase != .switched { try store.beginRotation(at: .after(5)) }
      try store.switchRotation(at: .after(6))
      try store.finishRotation(at: .after(7), force: true)
      let end = try store.load()
      #expect(end.phase == .settled)
      #expect(try String(contentsOfFile: "\(path)/trust.pem", encoding: .utf8) == end.trust.pem)
      let names = try FileManager.default.contentsOfDirectory(atPath: path)
      #expect(names.count { $0.hasPrefix("ca-") } == 2, "\(names)")
    }
    #expect(Set(phases) == [.settled, .begun, .switched])
  }

  /// Before its state is written there is no authority, and making it again works.
  @Test func aCrashWhileItIsMadeLeavesNoneOrAWholeOne() throws {
    let states = Snapshots()
    _ = try Installation(afterChange: { states.take($0) })
    var none = 0
    for path in states.all {
      let store = AuthorityStore(directory: path, audit: Audit { _ in })
      do {
        _ = try store.load()
      } catch IdentityError.noAuthority {
        none += 1
        try store.create(at: .after(1))
      }
      #expect(try store.load().phase == .settled)
    }
    #expect(none == 5)
    #expect(states.all.count == 7)
  }
}
