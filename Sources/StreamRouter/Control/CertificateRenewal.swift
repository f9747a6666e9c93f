import Foundation
import Identity
import Logging

/// Takes the next certificate of this node or controller, with a new key, and whom to trust with it. The session that is
/// open goes on; the next connection uses the new one.
struct CertificateRenewal: Sendable {
  /// What an authority gave.
  struct Signed: Sendable {
    var certificate: RoleCertificate
    var trust: TrustBundle
  }

  let current: CurrentIdentity
  /// Has the request signed.
  let sign: @Sendable (CertificateRequest) async throws -> Signed
  var now: @Sendable () -> Date = { Date() }
  let log: Logger

  /// Renews, due or not.
  ///
  /// - Throws: where it did not work, or what came does not fit; then the former identity stays.
  func renew() async throws {
    let former = current.identity
    let key = IdentityKey()
    let signed = try await sign(key.request())
    _ = try await PeerVerifier(trust: signed.trust).certificate(
      of: [signed.certificate.encoded], expecting: former.role, at: now())
    try current.replace(Identity(key: key, certificate: signed.certificate, trust: signed.trust))
    log.info("the certificate is renewed, until \(signed.certificate.notAfter.formatted(.iso8601))")
    if former.trust != signed.trust {
      let count = signed.trust.certificates.count
      log.notice("trusted from now on: \(count == 1 ? "one authority" : "both authorities")")
    }
  }
}
