import Foundation
import SwiftASN1
@_spi(FixedExpiryValidationTime) import X509

/// Decides who a peer is, by the certificates that it presents. A value: whoever follows revocations and rotations makes
/// a new one.
public struct PeerVerifier: Sendable {
  private let trust: TrustBundle
  private let revocations: Revocations
  private let roots: CertificateStore

  public init(trust: TrustBundle, revocations: Revocations = Revocations()) {
    self.trust = trust
    self.revocations = revocations
    roots = CertificateStore(trust.x509)
  }

  /// Who the peer is.
  /// - Parameters:
  ///   - presented: DER, the peer's own first. The others are ignored: no other authority may vouch for a peer.
  ///   - expected: whom it must be; nil for anyone with a certificate of ours.
  public func certificate(
    of presented: [[UInt8]], expecting expected: Role? = nil, at now: Date
  ) async throws(PeerRefusal) -> RoleCertificate {
    guard let encoded = presented.first else { throw .noCertificate }
    guard presented.count <= IdentityLimits.presentedCertificates else {
      throw .tooManyCertificates(presented.count)
    }
    guard let leaf = try? Certificate(encoded: encoded) else { throw .unreadable }
    var verifier = Verifier(rootCertificates: roots) { RFC5280Policy(fixedExpiryValidationTime: now) }
    // No intermediates are offered to it, so the chain is the peer's certificate and one of ours.
    guard case .validCertificate = await verifier.validate(leaf: leaf, intermediates: CertificateStore()) else {
      throw cause(leaf, encoded, at: now)
    }
    let certificate = try RoleCertificate(leaf, encoded: encoded)
    guard !revocations.contains(certificate.serial) else {
      throw .revoked(certificate.role, certificate.serial)
    }
    if let expected, certificate.role != expected {
      throw .wrongRole(expected: expected, presented: certificate.role)
    }
    return certificate
  }

  /// As ``certificate(of:expecting:at:)``, for who needs only the role.
  public func role(
    of presented: [[UInt8]], expecting expected: Role? = nil, at now: Date
  ) async throws(PeerRefusal) -> Role {
    try await certificate(of: presented, expecting: expected, at: now).role
  }

  /// Why a certificate was refused. What it says about itself counts only if one of ours signed it.
  private func cause(_ leaf: Certificate, _ encoded: [UInt8], at now: Date) -> PeerRefusal {
    let signer = trust.x509.first {
      $0.subject == leaf.issuer && $0.publicKey.isValidSignature(leaf.signature, for: leaf)
    }
    guard let signer, let certificate = try? RoleCertificate(leaf, encoded: encoded) else {
      return .notSignedByUs
    }
    let second = now.wholeSeconds
    if second > leaf.notValidAfter { return .expired(certificate.role, at: leaf.notValidAfter) }
    if second < leaf.notValidBefore {
      let early = leaf.notValidBefore.timeIntervalSince(second)
      return .notYetValid(certificate.role, by: .seconds(early))
    }
    if second > signer.notValidAfter || second < signer.notValidBefore {
      return .authorityOutOfTime(from: signer.notValidBefore, to: signer.notValidAfter)
    }
    return .notSignedByUs
  }
}
