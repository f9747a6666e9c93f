import Foundation
import NIOCore
import NIOSSL

/// One side of a connection between nodes and operators: TLS 1.3, and a peer that ``PeerVerifier`` or ``JoinToken`` lets
/// in. Host names do not count: peers are known by the names in their certificates.
public struct TLSSettings: Sendable {
  /// For who sets TLS up by other means than ``serverHandler()`` and ``clientHandler()``; ``verify(_:_:)`` belongs to it.
  public let configuration: TLSConfiguration
  private let check: @Sendable ([[UInt8]]) async throws(PeerRefusal) -> RoleCertificate
  private let refused: @Sendable (PeerRefusal) -> Void

  /// Who serves nodes and operators: each must show a certificate.
  /// - Parameters:
  ///   - verifier: asked for each handshake, so that a revocation counts from the next one on.
  ///   - now: the time of a handshake.
  ///   - refused: told why a peer was not let in; the peer itself only sees the handshake fail.
  public static func server(
    _ identity: Identity, verifier: @escaping @Sendable () -> PeerVerifier,
    now: @escaping @Sendable () -> Date, refused: @escaping @Sendable (PeerRefusal) -> Void
  ) throws -> TLSSettings {
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: [.certificate(try certificate(identity.certificate.encoded))],
      privateKey: .privateKey(try key(identity)))
    configuration.certificateVerification = .noHostnameVerification
    return TLSSettings(configuration, refused) { presented throws(PeerRefusal) in
      try await verifier().certificate(of: presented, at: now())
    }
  }

  /// Who calls a node, and tells who it is by its own certificate.
  /// - Parameters:
  ///   - expected: whose certificate the other side must show.
  ///   - orController: whether that of any controller of the installation will do.
  public static func client(
    _ identity: Identity, expecting expected: Role, orController: Bool = false,
    verifier: @escaping @Sendable () -> PeerVerifier, now: @escaping @Sendable () -> Date,
    refused: @escaping @Sendable (PeerRefusal) -> Void
  ) throws -> TLSSettings {
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.certificateChain = [.certificate(try certificate(identity.certificate.encoded))]
    configuration.privateKey = .privateKey(try key(identity))
    return TLSSettings(configuration, refused) { presented throws(PeerRefusal) in
      let certificate = try await verifier().certificate(of: presented, at: now())
      guard certificate.role == expected || orController && certificate.admits else {
        throw .wrongRole(expected: expected, presented: certificate.role)
      }
      return certificate
    }
  }

  /// A controller that lets in who joins: they have no certificate yet, and are known by their token.
  /// - Parameter authority: ``Authority/certificate``, which joiners compare with their token.
  public static func joinServer(_ identity: Identity, authority: [UInt8]) throws -> TLSSettings {
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: [
        .certificate(try certificate(identity.certificate.encoded)), .certificate(try certificate(authority)),
      ],
      privateKey: .privateKey(try key(identity)))
    configuration.certificateVerification = .none
    // No certificate is asked for, so this is not called.
    return TLSSettings(configuration, { _ in }) { _ throws(PeerRefusal) in throw .noCertificate }
  }

  /// Who joins: the other side must show the authority that the token names, and a controller's certificate of it.
  /// The secret may be sent once the handshake is done.
  public static func joinClient(
    _ token: JoinToken, now: @escaping @Sendable () -> Date, refused: @escaping @Sendable (PeerRefusal) -> Void
  ) throws -> TLSSettings {
    TLSSettings(.makeClientConfiguration(), refused) { presented throws(PeerRefusal) in
      try await token.controller(in: presented, at: now())
    }
  }

  private init(
    _ configuration: TLSConfiguration, _ refused: @escaping @Sendable (PeerRefusal) -> Void,
    _ check: @escaping @Sendable ([[UInt8]]) async throws(PeerRefusal) -> RoleCertificate
  ) {
    var configuration = configuration
    configuration.minimumTLSVersion = .tlsv13
    configuration.maximumTLSVersion = .tlsv13
    configuration.applicationProtocols = ["h2"]
    // Who else signs certificates on this machine does not matter: the check is ours alone.
    configuration.trustRoots = .certificates([])
    if configuration.certificateVerification == .fullVerification {
      configuration.certificateVerification = .noHostnameVerification
    }
    self.configuration = configuration
    self.refused = refused
    self.check = check
  }

  /// Decides about the peer of a handshake. Whoever needs its role takes it from the chain that comes with the result, by
  /// ``RoleCertificate/init(validated:)``: a connection where this did not run has none.
  public func verify(
    _ presented: [NIOSSLCertificate], _ promise: EventLoopPromise<NIOSSLVerificationResultWithMetadata>
  ) {
    // The library's bridge from an event loop to async code; the handshake waits for it.
    promise.completeWithTask {
      do throws(PeerRefusal) {
        var encoded: [[UInt8]] = []
        // One more than may be shown, so that too many are seen as such.
        for certificate in presented.prefix(IdentityLimits.presentedCertificates + 1) {
          guard let bytes = try? certificate.toDERBytes() else { throw .unreadable }
          encoded.append(bytes)
        }
        _ = try await check(encoded)
        return .certificateVerified(VerificationMetadata(ValidatedCertificateChain([presented[0]])))
      } catch {
        refused(error)
        return .failed
      }
    }
  }

  /// TLS of one connection that was accepted. Each has a context of its own: a session could otherwise be resumed on
  /// another connection, which asks for no certificate, so a peer that was revoked meanwhile would get in.
  public func serverHandler() throws -> NIOSSLServerHandler {
    NIOSSLServerHandler(
      context: try NIOSSLContext(configuration: configuration), customVerificationCallbackWithMetadata: verify)
  }

  /// TLS of one connection that was made.
  public func clientHandler() throws -> NIOSSLClientHandler {
    try NIOSSLClientHandler(
      context: NIOSSLContext(configuration: configuration), serverHostname: nil,
      customVerificationCallbackWithMetadata: verify)
  }

  private static func certificate(_ encoded: [UInt8]) throws -> NIOSSLCertificate {
    try NIOSSLCertificate(bytes: encoded, format: .der)
  }

  private static func key(_ identity: Identity) throws -> NIOSSLPrivateKey {
    try NIOSSLPrivateKey(bytes: Array(identity.key.pem.utf8), format: .pem)
  }
}

extension RoleCertificate {
  /// Whom a handshake has found the peer to be.
  /// - Parameter validated: what ``TLSSettings/verify(_:_:)`` gave back for this connection.
  public init(validated: NIOSSL.ValidatedCertificateChain) throws {
    guard let leaf = validated.first else { throw PeerRefusal.noCertificate }
    try self.init(encoded: leaf.toDERBytes())
  }
}
