import Crypto
import Foundation
import SwiftASN1
import X509

/// What a joiner asks a certificate with: its public key, signed with the private one (PKCS #10, RFC 2986). Names in it
/// are ignored: the token, or the certificate to be renewed, says who it is for.
public struct CertificateRequest: Sendable {
  /// DER.
  public let encoded: [UInt8]
  let publicKey: Certificate.PublicKey

  /// - Throws: ``IdentityError/badRequest(reason:)``, also where who asks does not hold the key.
  public init(encoded: [UInt8]) throws(IdentityError) {
    guard encoded.count <= IdentityLimits.encodedBytes else {
      throw .badRequest(reason: "it has more than \(IdentityLimits.encodedBytes) bytes")
    }
    guard let request = try? CertificateSigningRequest(derEncoded: encoded) else {
      throw .badRequest(reason: "it cannot be read")
    }
    guard P256.Signing.PublicKey(request.publicKey) != nil else {
      throw .badRequest(reason: "its key is not of the curve P-256")
    }
    guard request.publicKey.isValidSignature(request.signature, for: request) else {
      throw .badRequest(reason: "it is not signed with the key in it")
    }
    self.encoded = encoded
    publicKey = request.publicKey
  }
}

/// The private key of a node or an operator. Printing it shows nothing.
public struct IdentityKey: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  let p256: P256.Signing.PrivateKey

  /// A new one.
  public init() { p256 = P256.Signing.PrivateKey() }

  init(pem: String) throws { p256 = try P256.Signing.PrivateKey(pemRepresentation: pem) }

  /// For the file and for the TLS library, nothing else.
  var pem: String { p256.pemRepresentation + "\n" }

  var publicKey: Certificate.PublicKey { Certificate.PublicKey(p256.publicKey) }

  /// Asks for a certificate for this key.
  public func request() throws -> CertificateRequest {
    let request = try CertificateSigningRequest(
      version: .v1, subject: DistinguishedName(), privateKey: Certificate.PrivateKey(p256),
      attributes: CertificateSigningRequest.Attributes())
    var serializer = DER.Serializer()
    try serializer.serialize(request)
    return try CertificateRequest(encoded: serializer.serializedBytes)
  }

  public var description: String { "(private key)" }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}
