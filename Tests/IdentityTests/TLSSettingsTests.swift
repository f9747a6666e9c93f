import Crypto
import Foundation
import NIOSSL
import Subprocess
import Synchronization
import TestSupport
import Testing
import X509

@testable import Identity

@Suite struct TLSSettingsTests {
  private let here: Installation
  private let control: Identity
  private let edge: Identity
  private let refusals = Refusals()

  init() throws {
    here = try Installation()
    control = try here.identity(.node("control"), admits: true)
    edge = try here.identity(.node("edge"))
  }

  private func server(
    _ identity: Identity? = nil, verifier: (@Sendable () -> PeerVerifier)? = nil, at now: Date = .after(1)
  ) throws -> TLSSettings {
    let current = try here.store.verifier()
    let refusals = refusals
    return try .server(
      identity ?? control, verifier: verifier ?? { current }, now: { now }, refused: { refusals.add($0) })
  }

  private func client(
    _ identity: Identity? = nil, expecting: Role = .node("control"), at now: Date = .after(1)
  ) throws -> TLSSettings {
    let identity = identity ?? edge
    let refusals = refusals
    return try .client(
      identity, expecting: expecting, verifier: { PeerVerifier(trust: identity.trust) }, now: { now },
      refused: { refusals.add($0) })
  }

  /// One client and one server of these settings, or of what was made of them.
  private func meet(
    _ server: TLSSettings, _ client: @escaping @Sendable () throws -> NIOSSLClientHandler
  ) async throws -> (outcome: Loopback.Outcome, roles: [Role?]) {
    let loopback = try await Loopback { try server.serverHandler() }
    let outcome = try await loopback.connect(client)
    let roles = loopback.greetedRoles
    try await loopback.stop()
    return (outcome, roles)
  }

  @Test func whoIsKnownOnBothSidesIsLetIn() async throws {
    let client = try client()
    let met = try await meet(server()) { try client.clientHandler() }
    #expect(met.outcome.greeted, "\(met.outcome.error ?? "")")
    #expect(met.roles == [.node("edge")])
    #expect(refusals.all.isEmpty)
    let anna = try here.identity(.operator("anna"))
    let operatorsClient = try self.client(anna)
    #expect(try await meet(server()) { try operatorsClient.clientHandler() }.roles == [.operator("anna")])
  }

  // MARK: Clients that a server refuses

  /// What the server said of a client that had this certificate, after making sure that it did not greet it.
  private func refusal(of presented: Identity, server: TLSSettings? = nil) async throws -> PeerRefusal? {
    // It trusts the server whatever its own installation is, or the client would be the one to refuse.
    let trust = control.trust
    let client = try TLSSettings.client(
      presented, expecting: .node("control"), verifier: { PeerVerifier(trust: trust) }, now: { .after(1) },
      refused: { Issue.record("the client refused: \($0)") })
    let met = try await meet(server ?? self.server()) { try client.clientHandler() }
    #expect(!met.outcome.greeted)
    #expect(met.roles.isEmpty)
    #expect(refusals.all.count == 1)
    return refusals.all.first
  }

  @Test func aClientOfAnotherAuthorityIsRefused() async throws {
    let other = try Installation()
    #expect(try await refusal(of: other.identity(.node("edge"))) == .notSignedByUs)
  }

  @Test func aClientWithAForgedCertificateIsRefused() async throws {
    let key = IdentityKey()
    let authority = try here.store.load().signing
    let forged = try Forge.certificate(
      issuer: authority.certificate.subject, signedWith: key.p256, for: key.p256)
    let identity = try Identity(key: key, certificate: RoleCertificate(encoded: forged), trust: control.trust)
    #expect(try await refusal(of: identity) == .notSignedByUs)
  }

  @Test func anExpiredClientIsRefused() async throws {
    let end = Date.after(30 * 86_400)
    let late = try server(at: end.addingTimeInterval(1))
    #expect(try await refusal(of: edge, server: late) == .expired(.node("edge"), at: end))
  }

  @Test func aClientFromTheFutureIsRefused() async throws {
    let early = try server(at: .after(-360))
    #expect(try await refusal(of: edge, server: early) == .notYetValid(.node("edge"), by: .seconds(60)))
  }

  @Test func aRevocationCountsFromTheNextHandshake() async throws {
    let store = here.store
    let fallback = try store.verifier()
    let server = try server(verifier: { (try? store.verifier()) ?? fallback })
    let client = try client()
    let loopback = try await Loopback { try server.serverHandler() }
    #expect(try await loopback.connect { try client.clientHandler() }.greeted)
    try store.revoke(.node("edge"), at: .after(1))
    #expect(try await !loopback.connect { try client.clientHandler() }.greeted)
    #expect(refusals.all == [.revoked(.node("edge"), edge.certificate.serial)])
    #expect(loopback.greetedRoles == [.node("edge")])
    try await loopback.stop()
  }

  @Test func aClientWithoutACertificateIsRefused() async throws {
    let token = JoinToken(authority: CertificateDigest(of: []))
    var configuration = try TLSSettings.joinClient(token, now: { .after(1) }, refused: { _ in }).configuration
    configuration.certificateVerification = .none
    let stranger = configuration
    let met = try await meet(server()) {
      try NIOSSLClientHandler(context: NIOSSLContext(configuration: stranger), serverHostname: nil)
    }
    #expect(!met.outcome.greeted)
    #expect(met.outcome.error?.contains("CERTIFICATE_REQUIRED") == true, "\(met.outcome.error ?? "")")
    #expect(met.roles.isEmpty)
  }

  // MARK: Servers that a client refuses

  @Test func aServerThatIsNotTheExpectedOneIsRefused() async throws {
    let client = try client()
    let met = try await meet(server(edge)) { try client.clientHandler() }
    #expect(!met.outcome.greeted && met.roles.isEmpty)
    #expect(refusals.all == [.wrongRole(expected: .node("control"), presented: .node("edge"))])
  }

  @Test func aServerOfAnotherAuthorityIsRefused() async throws {
    let client = try client()
    let other = try Installation()
    let met = try await meet(server(other.identity(.node("control")))) { try client.clientHandler() }
    #expect(!met.outcome.greeted && met.roles.isEmpty)
    #expect(refusals.all == [.notSignedByUs])
  }

  // MARK: Versions

  @Test(arguments: [true, false])
  func olderVersionsAreRefused(clientIsOld: Bool) async throws {
    let server = try server()
    let client = try client()
    func older(_ configuration: TLSConfiguration) -> TLSConfiguration {
      var configuration = configuration
      configuration.minimumTLSVersion = .tlsv1
      configuration.maximumTLSVersion = .tlsv12
      return configuration
    }
    let old = (client: older(client.configuration), server: older(server.configuration))
    let loopback = try await Loopback {
      guard !clientIsOld else { return try server.serverHandler() }
      return NIOSSLServerHandler(
        context: try NIOSSLContext(configuration: old.server),
        customVerificationCallbackWithMetadata: server.verify)
    }
    let outcome = try await loopback.connect {
      guard clientIsOld else { return try client.clientHandler() }
      return try NIOSSLClientHandler(
        context: NIOSSLContext(configuration: old.client), serverHostname: nil,
        customVerificationCallbackWithMetadata: client.verify)
    }
    #expect(!outcome.greeted)
    #expect(outcome.error?.contains("PROTOCOL_VERSION") == true, "\(outcome.error ?? "")")
    #expect(loopback.greetedRoles.isEmpty)
    try await loopback.stop()
  }

  // MARK: Joining

  private func joinClient() throws -> (token: JoinToken, settings: TLSSettings) {
    let token = try here.store.tokens.create(for: .node("new"), lifetime: .seconds(900), at: .after(0))
    let refusals = refusals
    return (token, try .joinClient(token, now: { .after(1) }, refused: { refusals.add($0) }))
  }

  @Test func whoJoinsKnowsTheControllerByItsToken() async throws {
    let joiner = try joinClient().settings
    let server = try TLSSettings.joinServer(control, authority: here.store.load().certificate)
    let met = try await meet(server) { try joiner.clientHandler() }
    #expect(met.outcome.greeted, "\(met.outcome.error ?? "")")
    #expect(met.roles == [nil])
    #expect(refusals.all.isEmpty)
  }

  @Test func whoJoinsRefusesEveryoneElse() async throws {
    let joiner = try joinClient().settings
    let other = try Installation()
    let authority = try here.store.load().certificate
    let otherControl = try other.identity(.node("control"), admits: true)
    let servers: [(TLSSettings, PeerRefusal)] = [
      (try .joinServer(otherControl, authority: other.store.load().certificate), .notTheTokensAuthority),
      (try .joinServer(otherControl, authority: authority), .notSignedByUs),
      (try .joinServer(edge, authority: authority), .mayNotAdmit(.node("edge"))),
    ]
    for (server, refusal) in servers {
      let met = try await meet(server) { try joiner.clientHandler() }
      #expect(!met.outcome.greeted && met.roles.isEmpty)
      #expect(refusals.all.last == refusal)
    }
  }

  // MARK: What is no peer at all

  @Test func garbageLeavesTheServerServing() async throws {
    var random = SeededRandom()
    let server = try server()
    let client = try client()
    let loopback = try await Loopback { try server.serverHandler() }
    for round in 0..<200 {
      // A record of a handshake with a random body every other time; sometimes nothing.
      let body = random.bytes(Int.random(in: 0...300, using: &random))
      try await loopback.send(
        round % 2 == 0 ? body : [22, 3, 1, UInt8(body.count >> 8), UInt8(body.count & 255)] + body)
    }
    #expect(try await loopback.connect { try client.clientHandler() }.greeted)
    #expect(loopback.greetedRoles == [.node("edge")], "seed \(random.seed)")
    try await loopback.stop()
  }

  /// A session that is resumed asks for no certificate. With one context for all connections, as TLS is mostly set up, a
  /// client gets in again without showing one, and has no role; with ours it does not.
  @Test(arguments: [true, false])
  func noSessionIsResumed(sharedContext: Bool) async throws {
    let server = try server()
    let shared = try NIOSSLContext(configuration: server.configuration)
    let loopback = try await Loopback {
      guard sharedContext else { return try server.serverHandler() }
      return NIOSSLServerHandler(context: shared, customVerificationCallbackWithMetadata: server.verify)
    }
    let scratch = here.scratch.path
    try edge.save(to: "\(scratch)/edge")
    func connect(_ arguments: String) async throws -> String {
      let command = """
        (sleep 0.5; echo Q) | openssl s_client -tls1_3 -alpn h2 -connect 127.0.0.1:\(loopback.port) \(arguments) 2>&1
        """
      let result = try await Subprocess.run(
        .name("sh"), arguments: ["-c", command], output: .string(limit: 1 << 20), error: .discarded)
      return result.standardOutput
    }
    let first = try await connect(
      "-cert \(scratch)/edge/certificate.pem -key \(scratch)/edge/key.pem -sess_out \(scratch)/session")
    #expect(first.contains(Loopback.greeting), "\(first)")
    #expect(FileManager.default.fileExists(atPath: "\(scratch)/session"))
    let again = try await connect("-sess_in \(scratch)/session")
    #expect(again.contains("Reused, TLSv1.3") == sharedContext, "\(again)")
    #expect(again.contains(Loopback.greeting) == sharedContext)
    #expect(loopback.greetedRoles == (sharedContext ? [.node("edge"), nil] : [.node("edge")]))
    try await loopback.stop()
  }
}

/// What was refused, told from any thread.
private final class Refusals: Sendable {
  private let refusals = Mutex<[PeerRefusal]>([])
  func add(_ refusal: PeerRefusal) { refusals.withLock { $0.append(refusal) } }
  var all: [PeerRefusal] { refusals.withLock { $0 } }
}
