import ControlAPI
import Foundation
import GRPCCore
import Identity

/// What both services need of the controller to sign.
struct Signing: Sendable {
  let authority: AuthorityStore
  /// The node on whose machine the controller runs.
  let controller: String
  /// Of the certificates that it gives.
  let lifetime: Duration

  fileprivate func reply(_ certificate: RoleCertificate) throws -> APICertificateReply {
    let trust = try authority.load().trust.certificates
    return APICertificateReply.with {
      $0.certificate = Data(certificate.encoded)
      $0.trust = trust.map { Data($0) }
      $0.controller = controller
    }
  }
}

/// Renews the certificates of who has one.
struct CertificateService: APICertificates.SimpleServiceProtocol {
  let signing: Signing
  let caller: Caller

  func renew(request: APIRenewRequest, context: ServerContext) async throws -> APICertificateReply {
    let held = try caller.certificate(context)
    do {
      return try signing.reply(
        await signing.authority.renew(
          CertificateRequest(encoded: [UInt8](request.request)), holding: held, at: Date(),
          lifetime: signing.lifetime))
    } catch { throw RPCError(code: .permissionDenied, message: "\(error)") }
  }
}

/// Lets in who has a token.
struct EnrollmentService: APIEnrollment.SimpleServiceProtocol {
  let signing: Signing

  func join(request: APIJoinRequest, context: ServerContext) async throws -> APICertificateReply {
    do {
      return try signing.reply(
        signing.authority.admit(
          CertificateRequest(encoded: [UInt8](request.request)), secret: [UInt8](request.secret),
          name: request.name, at: Date(), lifetime: signing.lifetime))
    } catch { throw RPCError(code: .permissionDenied, message: "\(error)") }
  }
}
