import Crypto
import Foundation

/// What an operator hands to who joins: which authority to expect, and a secret that works once.
///
/// `SRJT1-` with SHA-256 of the authority's certificate, and 128 random bits, both in base32. The fixed beginning lets
/// scanners for leaked secrets find it. Printing a token shows its beginning only: ``text`` is the one way to the rest.
public struct JoinToken: Hashable, Sendable {
  static let prefix = "SRJT1"

  let authority: CertificateDigest
  /// Sent to the controller, after ``controller(in:at:)`` has found that it is one.
  public let secret: [UInt8]

  /// The whole token, for whom it was made.
  public var text: String {
    "\(Self.prefix)-\(Base32.encode(authority.bytes))-\(Base32.encode(secret))"
  }

  /// A new one.
  init(authority: CertificateDigest) {
    var generator = SystemRandomNumberGenerator()
    self.authority = authority
    secret = (0..<IdentityLimits.secretBytes).map { _ in UInt8.random(in: 0 ... .max, using: &generator) }
  }

  /// Reads a token; space around it, as a file has it, does not count.
  /// - Throws: ``IdentityError/token(_:)``, which says what is wrong without repeating the text.
  public init(text: String) throws(IdentityError) {
    let text = text.trimmingCharacters(in: .whitespacesAndNewlines)
    guard text.utf8.count <= IdentityLimits.tokenTextBytes, text.utf8.starts(with: Self.prefix.utf8) else {
      throw .token(.prefix)
    }
    let parts = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
    guard parts[0].elementsEqual(Self.prefix.utf8) else { throw .token(.prefix) }
    guard parts.count == 3 else { throw .token(.parts(parts.count)) }
    authority = CertificateDigest(bytes: try Self.bytes(SHA256.byteCount, of: parts[1], "digest"))
    secret = try Self.bytes(IdentityLimits.secretBytes, of: parts[2], "secret")
  }

  private static func bytes(
    _ count: Int, of text: Substring.UTF8View, _ part: String
  ) throws(IdentityError) -> [UInt8] {
    let length = Base32.length(ofBytes: count)
    guard text.count == length else {
      throw .token(.length(part: part, is: text.count, shouldBe: length))
    }
    guard let bytes = Base32.decode(text) else { throw .token(.characters(part: part)) }
    return bytes
  }

  /// Whether this is the certificate of the authority that the token names.
  /// - Parameter certificate: DER.
  public func names(_ certificate: [UInt8]) -> Bool { CertificateDigest(of: certificate) == authority }

  /// Decides whether the secret may be sent to who presents these certificates: one of them is the authority that the
  /// token names, and the first one is a controller's, signed by it.
  /// - Parameter presented: DER, the peer's own first.
  /// - Returns: the controller's certificate.
  public func controller(in presented: [[UInt8]], at now: Date) async throws(PeerRefusal) -> RoleCertificate {
    guard presented.count <= IdentityLimits.presentedCertificates else {
      throw .tooManyCertificates(presented.count)
    }
    guard let authority = presented.first(where: names), let trust = try? TrustBundle(certificates: [authority])
    else { throw .notTheTokensAuthority }
    let certificate = try await PeerVerifier(trust: trust).certificate(of: presented, at: now)
    guard certificate.admits else { throw .mayNotAdmit(certificate.role) }
    return certificate
  }
}

extension JoinToken: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "\(Self.prefix)-…" }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}
