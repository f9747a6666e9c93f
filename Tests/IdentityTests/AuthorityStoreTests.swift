import Crypto
import Foundation
import SwiftASN1
import Testing
import X509

@testable import Identity

@Suite struct AuthorityStoreTests {
  private let here: Installation
  private var store: AuthorityStore { here.store }

  init() throws { here = try Installation() }

  @Test func theAuthoritysCertificateSaysThatItIsOne() throws {
    let certificate = try store.load().signing.certificate
    #expect(try certificate.extensions.basicConstraints == .isCertificateAuthority(maxPathLength: 0))
    #expect(try certificate.extensions.keyUsage == KeyUsage(keyCertSign: true, cRLSign: true))
    #expect(try certificate.extensions.subjectKeyIdentifier != nil)
    #expect(certificate.issuer == certificate.subject)
    #expect(certificate.notValidBefore == .after(-300))
    #expect(certificate.notValidAfter == .after(3652 * 86_400))
    #expect(P256.Signing.PublicKey(certificate.publicKey) != nil)
  }

  @Test func anAuthorityIsNotOverwritten() throws {
    let before = try store.load().certificate
    #expect(throws: IdentityError.authorityExists(path: here.path)) { try store.create(at: .after(1)) }
    #expect(try store.load().certificate == before)
  }

  @Test func withoutAnAuthorityTheNextStepIsNamed() throws {
    let path = "\(here.scratch.path)/none"
    let error = #expect(throws: IdentityError.self) {
      try AuthorityStore(directory: path, audit: Audit { _ in }).load()
    }
    #expect(error?.description.contains("streamrouter node init") == true)
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  @Test func filesAreForTheirOwnerOnly() throws {
    _ = try here.identity(.node("edge"))
    #expect(here.scratch.mode("authority") == 0o700)
    let names = try FileManager.default.contentsOfDirectory(atPath: here.path)
    #expect(names.count == 8, "\(names)")
    for name in names { #expect(here.scratch.mode("authority/\(name)") == 0o600, "\(name)") }
  }

  @Test func aDirectoryThatOthersMayReadIsClosed() throws {
    let path = "\(here.scratch.path)/open"
    #expect(mkdir(path, 0o755) == 0)
    try AuthorityStore(directory: path, audit: Audit { _ in }).create(at: .after(0))
    #expect(here.scratch.mode("open") == 0o700)
  }

  @Test func aKeyThatOthersMayReadIsRefused() throws {
    let key = try #require(
      try FileManager.default.contentsOfDirectory(atPath: here.path).first { $0.hasSuffix("key.pem") })
    #expect(chmod("\(here.path)/\(key)", 0o640) == 0)
    #expect(throws: IdentityError.tooOpen(path: "\(here.path)/\(key)", mode: 0o640)) { try store.load() }
  }

  @Test func aCertificateSaysWhoItIsForAndNothingElse() throws {
    let key = IdentityKey()
    let certificate = try store.sign(
      key.request(), for: .node("edge"), at: .after(0.7), lifetime: .seconds(3600))
    let x509 = certificate.x509
    #expect(certificate.role == .node("edge"))
    #expect(x509.publicKey == key.publicKey)
    #expect(certificate.notBefore == .after(-300))
    #expect(certificate.notAfter == .after(3600))
    #expect(try x509.extensions.basicConstraints == .notCertificateAuthority)
    #expect(
      try x509.extensions.subjectAlternativeNames
        == .init([.uniformResourceIdentifier("streamrouter://node/edge")]))
    #expect(try Set(x509.extensions.extendedKeyUsage ?? .init()) == [.clientAuth, .serverAuth])
    #expect((14...17).contains(x509.serialNumber.bytes.count))
    #expect(!certificate.admits)
    let other = try store.sign(key.request(), for: .node("edge"), at: .after(0))
    #expect(other.serial != certificate.serial)
    #expect(other.notAfter == .after(30 * 86_400))
  }

  @Test(arguments: [0, 3599, 365 * 86_400 + 1])
  func lifetimesHaveLimits(seconds: Int) throws {
    #expect(throws: IdentityError.lifetime(.seconds(seconds))) {
      try store.sign(IdentityKey().request(), for: .node("edge"), at: .after(0), lifetime: .seconds(seconds))
    }
  }

  @Test func noCertificateOutlivesTheAuthority() throws {
    let end = Date.after(3652 * 86_400)
    let late = try store.sign(IdentityKey().request(), for: .node("edge"), at: end.addingTimeInterval(-3600))
    #expect(late.notAfter == end)
    #expect(throws: IdentityError.authorityEnds(end)) {
      try store.sign(IdentityKey().request(), for: .node("edge"), at: end.addingTimeInterval(-3599))
    }
  }

  @Test(arguments: ["", "Edge", "a b", "../x", "a\0", String(repeating: "a", count: 33)])
  func namesAreChecked(name: String) throws {
    #expect(throws: IdentityError.badName) {
      try store.sign(IdentityKey().request(), for: .node(name), at: .after(0))
    }
  }

  @Test func aNameHasALimitOfCertificates() throws {
    for _ in 0..<IdentityLimits.certificatesPerRole { _ = try here.identity(.node("edge")) }
    #expect(throws: IdentityError.tooManyCertificates(.node("edge"))) { try here.identity(.node("edge")) }
    _ = try here.identity(.operator("edge"))
    // Those that are revoked or expired do not count.
    _ = try here.identity(.node("edge"), at: .after(31 * 86_400))
    try store.revoke(.node("edge"), at: .after(1))
    _ = try here.identity(.node("edge"))
  }

  // MARK: Requests

  @Test func aRequestMustBeSignedWithItsKey() throws {
    let good = try IdentityKey().request().encoded
    #expect(throws: Never.self) { try CertificateRequest(encoded: good) }
    var broken = good
    broken[broken.count - 1] ^= 1
    #expect(throws: IdentityError.badRequest(reason: "it is not signed with the key in it")) {
      try CertificateRequest(encoded: broken)
    }
    // Another's key, signed with one's own.
    let thief = P256.Signing.PrivateKey()
    let victim = IdentityKey()
    let honest = try CertificateSigningRequest(
      version: .v1, subject: .init(), privateKey: .init(thief), attributes: .init())
    let stolen = try CertificateSigningRequest(
      version: .v1, subject: .init(), publicKey: victim.publicKey, attributes: .init(),
      signatureAlgorithm: .ecdsaWithSHA256, signature: honest.signature)
    var serializer = DER.Serializer()
    try serializer.serialize(stolen)
    #expect(throws: IdentityError.badRequest(reason: "it is not signed with the key in it")) {
      try CertificateRequest(encoded: serializer.serializedBytes)
    }
  }

  @Test func requestsOfOtherFormAreRefused() throws {
    let good = try IdentityKey().request().encoded
    for length in 0..<good.count {
      #expect(throws: IdentityError.self) { try CertificateRequest(encoded: Array(good.prefix(length))) }
    }
    #expect(throws: IdentityError.self) {
      try CertificateRequest(encoded: Array(repeating: 0x30, count: 1 << 20))
    }
    let curve = P384.Signing.PrivateKey()
    var serializer = DER.Serializer()
    try serializer.serialize(
      CertificateSigningRequest(version: .v1, subject: .init(), privateKey: .init(curve), attributes: .init()))
    #expect(throws: IdentityError.badRequest(reason: "its key is not of the curve P-256")) {
      try CertificateRequest(encoded: serializer.serializedBytes)
    }
  }

  @Test func namesInARequestAreIgnored() throws {
    let key = P256.Signing.PrivateKey()
    let wish = SubjectAlternativeNames([.uniformResourceIdentifier("streamrouter://operator/root")])
    let request = try CertificateSigningRequest(
      version: .v1, subject: DistinguishedName { CommonName("root") }, privateKey: .init(key),
      attributes: .init([.init(ExtensionRequest(extensions: Certificate.Extensions { wish }))]))
    var serializer = DER.Serializer()
    try serializer.serialize(request)
    let certificate = try store.sign(
      CertificateRequest(encoded: serializer.serializedBytes), for: .node("edge"), at: .after(0))
    #expect(certificate.role == .node("edge"))
    #expect(!"\(certificate.x509)".contains("root"))
  }

  // MARK: Joining and renewing

  @Test func whoHasATokenGetsItsName() throws {
    let token = try store.tokens.create(for: .operator("anna"), lifetime: .seconds(900), at: .after(0))
    let certificate = try store.admit(
      IdentityKey().request(), secret: token.secret, name: "anna", at: .after(1))
    #expect(certificate.role == .operator("anna"))
    #expect(!certificate.admits)
    #expect(
      here.audit.suffix(2).map(\.description) == [
        "2027-01-15T08:00:01Z token-redeemed operator anna: done",
        "2027-01-15T08:00:01Z certificate-signed operator anna: done",
      ])
    #expect(throws: IdentityError.tokenNotValid(name: "anna")) {
      try store.admit(IdentityKey().request(), secret: token.secret, name: "anna", at: .after(2))
    }
  }

  /// If this machine stops at any moment of a join, the token is either whole, or gone; it never gives two certificates.
  @Test func aCrashWhileJoiningLeavesNoTokenThatWorksTwice() throws {
    let states = Snapshots()
    let here = try Installation(afterChange: { states.take($0) })
    let token = try here.store.tokens.create(for: .node("edge"), lifetime: .seconds(900), at: .after(0))
    states.clear()
    _ = try here.store.admit(IdentityKey().request(), secret: token.secret, name: "edge", at: .after(1))
    #expect(states.all.count == 2)
    for path in states.all {
      let crashed = AuthorityStore(directory: path, audit: Audit { _ in })
      #expect(throws: IdentityError.tokenNotValid(name: "edge")) {
        try crashed.admit(IdentityKey().request(), secret: token.secret, name: "edge", at: .after(2))
      }
    }
  }

  @Test func aCertificateIsRenewedForItsName() async throws {
    let old = try here.identity(.node("edge"), admits: true)
    let renewed = try await store.renew(
      IdentityKey().request(), holding: old.certificate.encoded, at: .after(86_400))
    #expect(renewed.role == .node("edge"))
    #expect(renewed.admits)
    #expect(renewed.notAfter == .after(31 * 86_400))
    #expect(here.audit.last?.event == .certificateRenewed)
  }

  @Test func noBadCertificateIsRenewed() async throws {
    let request = try IdentityKey().request()
    let revoked = try here.identity(.node("edge"))
    try store.revoke(.node("edge"), at: .after(1))
    await #expect(throws: PeerRefusal.revoked(.node("edge"), revoked.certificate.serial)) {
      try await store.renew(request, holding: revoked.certificate.encoded, at: .after(2))
    }
    let expired = try here.identity(.node("core"))
    await #expect(throws: PeerRefusal.expired(.node("core"), at: .after(30 * 86_400))) {
      try await store.renew(request, holding: expired.certificate.encoded, at: .after(30 * 86_400 + 1))
    }
    await #expect(throws: PeerRefusal.notSignedByUs) {
      try await store.renew(request, holding: Forge().certificate(), at: .after(1))
    }
    let told = here.audit.filter { $0.event == .certificateRenewed }
    #expect(told.count == 3 && told.allSatisfy { $0.outcome != .done })
    #expect(told.first?.description.contains("of node edge is revoked") == true)
  }

  // MARK: Revoking

  @Test func revokingANameRevokesAllItHad() throws {
    let first = try here.identity(.node("edge")).certificate
    let second = try here.identity(.node("edge")).certificate
    let other = try here.identity(.operator("edge")).certificate
    let token = try store.tokens.create(for: .node("edge"), lifetime: .seconds(900), at: .after(0))
    #expect(try store.revoke(.node("edge"), at: .after(10)) == 2)
    #expect(try store.revoke(.node("edge"), at: .after(11)) == 0)
    let revocations = try store.revocations()
    #expect(revocations.isRevoked(first) && revocations.isRevoked(second))
    #expect(!revocations.isRevoked(other))
    // A token that waited for it is gone; with a new one it joins again, and the old ones stay revoked.
    #expect(throws: IdentityError.tokenNotValid(name: "edge")) {
      try store.admit(IdentityKey().request(), secret: token.secret, name: "edge", at: .after(12))
    }
    let again = try store.tokens.create(for: .node("edge"), lifetime: .seconds(900), at: .after(10))
    let third = try store.admit(IdentityKey().request(), secret: again.secret, name: "edge", at: .after(10))
    #expect(try !store.revocations().isRevoked(third))
    #expect(try store.revocations().isRevoked(first))
  }

  @Test func oneCertificateIsRevokedByItsSerial() throws {
    let first = try here.identity(.node("edge")).certificate
    let second = try here.identity(.node("edge")).certificate
    let serial = try #require(Serial(first.serial.description.uppercased()))
    try store.revoke(serial, at: .after(1))
    try store.revoke(try #require(Serial("00:0a:ff")), at: .after(1))
    let revocations = try store.revocations()
    #expect(revocations.isRevoked(first))
    #expect(!revocations.isRevoked(second))
    #expect(revocations.contains(try #require(Serial("aff"))))
    #expect(Serial("") == nil && Serial("xyz") == nil && Serial(String(repeating: "a", count: 41)) == nil)
  }

  @Test func expiredRevocationsAreForgotten() throws {
    _ = try here.identity(.node("edge"))
    try store.revoke(.node("edge"), at: .after(1))
    try store.revoke(.node("core"), at: .after(30 * 86_400 + 2))
    #expect(try store.revocations().entries.count == 1)
    try store.revoke(.node("core"), at: .after(31 * 86_400 + 2))
    #expect(try store.revocations().entries.isEmpty)
  }
}
