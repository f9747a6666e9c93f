import Crypto
import Foundation
import X509

@testable import Identity

/// Makes certificates that no authority of ours makes.
struct Forge {
  let key = P256.Signing.PrivateKey()
  let name: DistinguishedName
  let certificate: Certificate

  /// An authority that nobody trusts, or, signed by another, an intermediate one.
  init(
    name: String = "stranger", subject: DistinguishedName? = nil, signedBy signer: CertificateAuthority? = nil,
    isAuthority: Bool = true,
    at now: Date = Installation.start
  ) throws {
    let subject = try subject ?? DistinguishedName { CommonName(name) }
    self.name = subject
    certificate = try Certificate(
      version: .v3, serialNumber: Serial.random(), publicKey: .init(key.publicKey), notValidBefore: now,
      notValidAfter: now.addingTimeInterval(1e8), issuer: signer?.certificate.subject ?? subject,
      subject: subject,
      signatureAlgorithm: .ecdsaWithSHA256,
      extensions: Certificate.Extensions {
        if isAuthority { Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil)) }
      },
      issuerPrivateKey: .init(signer?.key.p256 ?? key))
  }

  /// A certificate in the name of `issuer`, signed with `key`.
  static func certificate(
    issuer: DistinguishedName, signedWith key: P256.Signing.PrivateKey,
    for holder: P256.Signing.PrivateKey = .init(),
    names: [GeneralName] = [.uniformResourceIdentifier("streamrouter://node/edge")],
    usages: [ExtendedKeyUsage.Usage] = [.clientAuth, .serverAuth], from start: Date = Installation.start,
    lifetime: TimeInterval = 86_400, criticalUnknown: Bool = false
  ) throws -> [UInt8] {
    try Certificate(
      version: .v3, serialNumber: Serial.random(), publicKey: .init(holder.publicKey), notValidBefore: start,
      notValidAfter: start.addingTimeInterval(lifetime), issuer: issuer,
      subject: DistinguishedName { CommonName("edge") }, signatureAlgorithm: .ecdsaWithSHA256,
      extensions: Certificate.Extensions {
        if !names.isEmpty { SubjectAlternativeNames(names) }
        if !usages.isEmpty { try ExtendedKeyUsage(usages) }
        if criticalUnknown {
          Certificate.Extension(oid: [1, 3, 6, 1, 4, 1, 99999, 1], critical: true, value: [5, 0])
        }
      },
      issuerPrivateKey: .init(key)
    ).encoded()
  }

  /// One that this forge signs.
  func certificate(names: [GeneralName] = [.uniformResourceIdentifier("streamrouter://node/edge")]) throws
    -> [UInt8]
  {
    try Self.certificate(issuer: name, signedWith: key, names: names)
  }
}
