import Crypto
import Foundation
import X509

/// A key that signs certificates, with its own certificate. A value without files: ``AuthorityStore`` keeps it.
struct CertificateAuthority: Sendable {
  let key: IdentityKey
  let certificate: Certificate
  /// DER.
  let encoded: [UInt8]

  var digest: CertificateDigest { CertificateDigest(of: encoded) }

  /// A new one, signed by itself.
  init(at now: Date) throws {
    key = IdentityKey()
    let identifier = SubjectKeyIdentifier(hash: key.publicKey)
    // Two authorities of one installation differ in name, so that a person can tell them apart.
    let name = try DistinguishedName {
      CommonName("StreamRouter authority \(identifier.keyIdentifier.prefix(4).hexadecimal)")
    }
    certificate = try Certificate(
      version: .v3, serialNumber: Serial.random(), publicKey: key.publicKey,
      notValidBefore: (now - IdentityLimits.clockSkew).wholeSeconds,
      notValidAfter: (now + IdentityLimits.authorityLifetime).wholeSeconds, issuer: name, subject: name,
      signatureAlgorithm: .ecdsaWithSHA256,
      extensions: Certificate.Extensions {
        Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
        Critical(KeyUsage(keyCertSign: true, cRLSign: true))
        identifier
      },
      issuerPrivateKey: Certificate.PrivateKey(key.p256))
    encoded = try certificate.encoded()
  }

  /// One that was kept.
  init(key: IdentityKey, encoded: [UInt8]) throws {
    self.key = key
    self.encoded = encoded
    certificate = try Certificate(encoded: encoded)
    guard certificate.publicKey == key.publicKey else {
      throw IdentityError.badCertificate(reason: "it is not for the key beside it")
    }
  }

  /// A certificate for the key that was asked for, with the name that the caller has found to be right.
  /// - Parameter admits: whether it is a controller's, see ``RoleCertificate/admits``.
  func sign(
    _ request: CertificateRequest, for role: Role, admits: Bool, at now: Date, lifetime: Duration
  ) throws(IdentityError) -> RoleCertificate {
    try role.checkName()
    guard IdentityLimits.lifetime.contains(lifetime) else { throw .lifetime(lifetime) }
    // A certificate that outlives its authority would fail before its end.
    let end = min((now + lifetime).wholeSeconds, certificate.notValidAfter)
    guard end >= (now + IdentityLimits.lifetime.lowerBound).wholeSeconds else {
      throw .authorityEnds(certificate.notValidAfter)
    }
    do {
      let usages: [ExtendedKeyUsage.Usage] =
        [.clientAuth, .serverAuth] + (admits ? [.init(oid: RoleCertificate.registrationAuthority)] : [])
      let signed = try Certificate(
        version: .v3, serialNumber: Serial.random(), publicKey: request.publicKey,
        notValidBefore: (now - IdentityLimits.clockSkew).wholeSeconds, notValidAfter: end,
        issuer: certificate.subject, subject: DistinguishedName { CommonName(role.name) },
        signatureAlgorithm: .ecdsaWithSHA256,
        extensions: Certificate.Extensions {
          Critical(BasicConstraints.notCertificateAuthority)
          Critical(KeyUsage(digitalSignature: true))
          try ExtendedKeyUsage(usages)
          SubjectAlternativeNames([.uniformResourceIdentifier(role.uri)])
          SubjectKeyIdentifier(hash: request.publicKey)
          AuthorityKeyIdentifier(
            keyIdentifier: try certificate.extensions.subjectKeyIdentifier?.keyIdentifier)
        },
        issuerPrivateKey: Certificate.PrivateKey(key.p256))
      return try RoleCertificate(encoded: signed.encoded())
    } catch {
      throw .badCertificate(reason: "\(error)")
    }
  }
}
