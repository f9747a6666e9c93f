import Foundation
import SwiftASN1
import X509

/// The authorities whose certificates count: one, or two while the authority is exchanged.
public struct TrustBundle: Hashable, Sendable {
  /// DER, the one that signs now first.
  public let certificates: [[UInt8]]
  let x509: [Certificate]

  /// - Throws: ``IdentityError/badCertificate(reason:)``, unless it is one or two certificates of authorities.
  public init(certificates: [[UInt8]]) throws(IdentityError) {
    guard (1...2).contains(certificates.count), Set(certificates).count == certificates.count else {
      throw .badCertificate(reason: "a trust bundle holds one or two certificates, not \(certificates.count)")
    }
    var parsed: [Certificate] = []
    for certificate in certificates {
      guard let certificate = try? Certificate(encoded: certificate) else {
        throw .badCertificate(reason: "a certificate of the trust bundle cannot be read")
      }
      guard case .isCertificateAuthority = try? certificate.extensions.basicConstraints,
        certificate.publicKey.isValidSignature(certificate.signature, for: certificate)
      else { throw .badCertificate(reason: "a certificate of the trust bundle is not an authority's") }
      parsed.append(certificate)
    }
    self.certificates = certificates
    x509 = parsed
  }

  /// Reads PEM.
  public init(pem: String) throws(IdentityError) {
    guard let certificates = try? PEM.certificates(pem) else {
      throw .badCertificate(reason: "the trust bundle is not PEM of certificates")
    }
    try self.init(certificates: certificates)
  }

  public var pem: String { certificates.map(PEM.text).joined() }
}
