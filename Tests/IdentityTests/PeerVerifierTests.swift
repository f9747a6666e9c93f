import Crypto
import Foundation
import TestSupport
import Testing
import X509

@testable import Identity

@Suite struct PeerVerifierTests {
  private let here: Installation
  private let edge: Identity

  init() throws {
    here = try Installation()
    edge = try here.identity(.node("edge"))
  }

  private func verifier() throws -> PeerVerifier { try here.store.verifier() }

  private func refusal(
    _ presented: [[UInt8]], expecting expected: Role? = nil, at now: Date = .after(0)
  ) async throws -> PeerRefusal? {
    let verifier = try verifier()
    do throws(PeerRefusal) {
      _ = try await verifier.role(of: presented, expecting: expected, at: now)
      return nil
    } catch {
      return error
    }
  }

  @Test func aPeerIsWhoItsCertificateNames() async throws {
    let anna = try here.identity(.operator("anna"))
    #expect(try await verifier().role(of: [edge.certificate.encoded], at: .after(0)) == .node("edge"))
    #expect(try await verifier().role(of: [anna.certificate.encoded], at: .after(0)) == .operator("anna"))
    // What a controller shows: its authority after its own.
    let chain = try [edge.certificate.encoded, here.store.load().certificate]
    #expect(try await verifier().role(of: chain, expecting: .node("edge"), at: .after(0)) == .node("edge"))
  }

  /// A clock that is five minutes behind is taken, six are not; one that is ahead only meets the end earlier.
  @Test func clocksMayDiffer() async throws {
    let chain = [edge.certificate.encoded]
    #expect(try await refusal(chain, at: .after(-300)) == nil)
    #expect(try await refusal(chain, at: .after(300)) == nil)
    #expect(try await refusal(chain, at: .after(360)) == nil)
    #expect(try await refusal(chain, at: .after(-301)) == .notYetValid(.node("edge"), by: .seconds(1)))
    let early = try #require(try await refusal(chain, at: .after(-360)))
    #expect(early == .notYetValid(.node("edge"), by: .seconds(60)))
    #expect(early.description.contains("in 60 s; compare the clocks"))
  }

  @Test func anExpiredCertificateSaysWhenItDid() async throws {
    let end = Date.after(30 * 86_400)
    #expect(try await refusal([edge.certificate.encoded], at: end) == nil)
    let expired = try #require(try await refusal([edge.certificate.encoded], at: end.addingTimeInterval(1)))
    #expect(expired == .expired(.node("edge"), at: end))
    #expect(expired.description.contains("2027-02-14T08:00:00Z"))
  }

  @Test func anAuthorityThatIsOutOfTimeIsNamed() async throws {
    let authority = try here.store.load().signing
    let leaf = try Forge.certificate(
      issuer: authority.certificate.subject, signedWith: authority.key.p256, lifetime: 5000 * 86_400)
    #expect(
      try await refusal([leaf], at: .after(4000 * 86_400))
        == .authorityOutOfTime(from: .after(-300), to: .after(3652 * 86_400)))
  }

  @Test func whatIsRevokedIsRefused() async throws {
    let before = try verifier()
    try here.store.revoke(.node("edge"), at: .after(1))
    #expect(
      try await refusal([edge.certificate.encoded], at: .after(2))
        == .revoked(.node("edge"), edge.certificate.serial))
    // A verifier is a value: it knows what was revoked when it was made.
    #expect(try await before.role(of: [edge.certificate.encoded], at: .after(2)) == .node("edge"))
  }

  @Test func anotherThanExpectedIsRefused() async throws {
    let chain = [edge.certificate.encoded]
    #expect(
      try await refusal(chain, expecting: .node("core"))
        == .wrongRole(expected: .node("core"), presented: .node("edge")))
    #expect(
      try await refusal(chain, expecting: .operator("edge"))
        == .wrongRole(expected: .operator("edge"), presented: .node("edge")))
  }

  @Test func strangersAreRefused() async throws {
    let other = try Installation()
    let authority = try here.store.load().signing
    #expect(try await refusal([]) == .noCertificate)
    #expect(try await refusal([[]]) == .unreadable)
    #expect(try await refusal([edge.certificate.encoded.dropLast()]) == .unreadable)
    #expect(try await refusal(.init(repeating: edge.certificate.encoded, count: 9)) == .tooManyCertificates(9))
    // Of another installation, alone or with our authority, or with its own, behind it.
    let stranger = try other.identity(.node("edge")).certificate.encoded
    #expect(try await refusal([stranger]) == .notSignedByUs)
    #expect(try await refusal([stranger, authority.encoded]) == .notSignedByUs)
    #expect(try await refusal([stranger, other.store.load().certificate]) == .notSignedByUs)
    #expect(try await refusal([stranger, edge.certificate.encoded]) == .notSignedByUs)
    // Signed by itself, and by one who takes our authority's name.
    let own = P256.Signing.PrivateKey()
    let name = try DistinguishedName { CommonName("edge") }
    #expect(try await refusal([Forge.certificate(issuer: name, signedWith: own, for: own)]) == .notSignedByUs)
    #expect(
      try await refusal([Forge.certificate(issuer: authority.certificate.subject, signedWith: own)])
        == .notSignedByUs)
    // Signed with the key of a node.
    #expect(
      try await refusal([
        Forge.certificate(issuer: edge.certificate.x509.subject, signedWith: edge.key.p256),
        edge.certificate.encoded,
      ]) == .notSignedByUs)
  }

  @Test func noIntermediateAuthorityVouchesForAnyone() async throws {
    let authority = try here.store.load().signing
    let intermediate = try Forge(name: "between", signedBy: authority)
    let encoded = try intermediate.certificate.encoded()
    #expect(try await refusal([intermediate.certificate(), encoded]) == .notSignedByUs)
    #expect(try await refusal([intermediate.certificate(), encoded, authority.encoded]) == .notSignedByUs)
    // One in the authority's own name, which the limit on the length of a chain does not count (RFC 5280 section 4.2.1.9).
    let namesake = try Forge(subject: authority.certificate.subject, signedBy: authority)
    let behind = try namesake.certificate.encoded()
    #expect(try await refusal([namesake.certificate(), behind]) == .notSignedByUs)
    #expect(try await refusal([namesake.certificate(), behind, authority.encoded]) == .notSignedByUs)
    // The authorities themselves name nobody.
    #expect(try await refusal([encoded]) == .noIdentity)
    #expect(try await refusal([authority.encoded]) == .noIdentity)
  }

  @Test(
    arguments: [
      (
        [
          .uniformResourceIdentifier("streamrouter://node/edge"),
          .uniformResourceIdentifier("streamrouter://node/core"),
        ], 2
      ),
      (
        [
          .uniformResourceIdentifier("streamrouter://node/edge"),
          .uniformResourceIdentifier("streamrouter://node/edge"),
        ], 2
      ),
      ([.uniformResourceIdentifier("streamrouter://node/edge"), .dnsName("edge")], 2),
      ([], 0), ([.dnsName("streamrouter://node/edge")], 1), ([.rfc822Name("streamrouter://node/edge")], 1),
      ([.uniformResourceIdentifier("spiffe://lab/node/edge")], 1),
      ([.uniformResourceIdentifier("streamrouter://node/edge/x")], 1),
      ([.uniformResourceIdentifier("streamrouter://node/EDGE")], 1), ([.uniformResourceIdentifier("")], 1),
    ] as [([GeneralName], Int)])
  func onlyOneURIOfOursIsAnIdentity(names: [GeneralName], count: Int) async throws {
    let authority = try here.store.load().signing
    let leaf = try Forge.certificate(
      issuer: authority.certificate.subject, signedWith: authority.key.p256, names: names)
    #expect(try await refusal([leaf]) == (count > 1 ? .severalIdentities(count) : .noIdentity))
  }

  @Test func otherUsesAreRefused() async throws {
    let authority = try here.store.load().signing
    for usages in [[], [.clientAuth], [.serverAuth], [.codeSigning]] as [[ExtendedKeyUsage.Usage]] {
      let leaf = try Forge.certificate(
        issuer: authority.certificate.subject, signedWith: authority.key.p256, usages: usages)
      #expect(try await refusal([leaf]) == .wrongUse)
    }
    // A critical extension that nobody here knows.
    let unknown = try Forge.certificate(
      issuer: authority.certificate.subject, signedWith: authority.key.p256, criticalUnknown: true)
    #expect(try await refusal([unknown]) == .notSignedByUs)
  }

  /// A certificate with one bit changed, or cut, or random: refused, and nothing traps. One byte there is that may change:
  /// how many bits of the signature's last byte count, which no check of a signature looks at. What was signed is whole.
  @Test func damagedCertificatesAreRefused() async throws {
    var random = SeededRandom()
    let good = edge.certificate.encoded
    for round in 0..<2000 {
      var bytes = good
      switch round % 3 {
      case 0:
        bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 1: bytes.removeSubrange(Int.random(in: 0..<bytes.count, using: &random)...)
      default: bytes = random.bytes(Int.random(in: 0...600, using: &random))
      }
      if try await refusal([bytes]) == nil {
        let accepted = try Certificate(encoded: bytes)
        #expect(
          accepted.tbsCertificateBytes == edge.certificate.x509.tbsCertificateBytes, "seed \(random.seed)")
        #expect(accepted.signature == edge.certificate.x509.signature, "round \(round), seed \(random.seed)")
      }
    }
  }

  @Test func noBitThatWasSignedMayChange() async throws {
    let good = edge.certificate.encoded
    let signed = edge.certificate.x509.tbsCertificateBytes
    // What was signed stands behind the header of the whole, of four bytes.
    #expect(good[4..<(4 + signed.count)].elementsEqual(signed))
    for index in 0..<(4 + signed.count) {
      var bytes = good
      bytes[index] ^= 1 << UInt8(index % 8)
      #expect(try await refusal([bytes]) != nil, "byte \(index)")
    }
  }

  // MARK: Who joins

  @Test func aTokenKnowsItsController() async throws {
    let controller = try here.identity(.node("control"), admits: true).certificate.encoded
    let authority = try here.store.load().certificate
    let token = try here.store.tokens.create(for: .node("new"), lifetime: .seconds(900), at: .after(0))
    #expect(token.names(authority))
    #expect(try await token.controller(in: [controller, authority], at: .after(1)).role == .node("control"))

    func refusal(_ presented: [[UInt8]], at now: Date = .after(1)) async -> PeerRefusal? {
      do throws(PeerRefusal) {
        _ = try await token.controller(in: presented, at: now)
        return nil
      } catch {
        return error
      }
    }
    // The authority's certificate is public: showing it is not enough.
    let other = try Installation()
    let stranger = try other.identity(.node("control"), admits: true).certificate.encoded
    #expect(await refusal([]) == .notTheTokensAuthority)
    #expect(await refusal([controller]) == .notTheTokensAuthority)
    #expect(try await refusal([stranger, other.store.load().certificate]) == .notTheTokensAuthority)
    #expect(await refusal([stranger, authority]) == .notSignedByUs)
    #expect(await refusal([authority]) == .noIdentity)
    #expect(
      await refusal([controller, authority], at: .after(31 * 86_400))
        == .expired(.node("control"), at: .after(30 * 86_400)))
    #expect(await refusal(.init(repeating: authority, count: 9)) == .tooManyCertificates(9))
    // Nor is a node of this installation a controller, or it could take the secrets of who joins.
    #expect(await refusal([edge.certificate.encoded, authority]) == .mayNotAdmit(.node("edge")))
  }
}
