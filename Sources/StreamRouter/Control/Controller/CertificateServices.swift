import ControlAPI
import Foundation
import GRPCCore
import Identity

/// What both services need of the controller to sign.
struct Signing: Sendable {
  let authority: SharedAuthority
  /// The node on whose machine the controller runs.
  let controller: String
  /// Of the certificates that it gives.
  let lifetime: Duration
  /// Where all controllers are; empty: there is one.
  var controllers: @Sendable () -> [String] = { [] }

  /// A certificate, and whom to trust with it.
  fileprivate func reply(
    _ sign: @Sendable (AuthorityStore) async throws -> RoleCertificate
  ) async throws -> APICertificateReply {
    let (signed, controllers) = (try await signed(sign), controllers())
    return APICertificateReply.with {
      $0.certificate = Data(signed.certificate.encoded)
      $0.trust = signed.trust.certificates.map { Data($0) }
      $0.controller = controller
      $0.controllers = controllers
    }
  }

  func signed(
    _ sign: @Sendable (AuthorityStore) async throws -> RoleCertificate
  ) async throws -> CertificateRenewal.Signed {
    try await authority.perform { authority in
      CertificateRenewal.Signed(certificate: try await sign(authority), trust: try authority.load().trust)
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
      let asked = try CertificateRequest(encoded: [UInt8](request.request))
      return try await signing.reply {
        try await $0.renew(asked, holding: held, at: Date(), lifetime: signing.lifetime)
      }
    } catch let error as ControlError { throw error } catch {
      throw RPCError(code: .permissionDenied, message: "\(error)")
    }
  }
}

/// Lets in who has a token.
struct EnrollmentService: APIEnrollment.SimpleServiceProtocol {
  let signing: Signing

  func join(request: APIJoinRequest, context: ServerContext) async throws -> APICertificateReply {
    do {
      let asked = try CertificateRequest(encoded: [UInt8](request.request))
      return try await signing.reply {
        try $0.admit(
          asked, secret: [UInt8](request.secret), name: request.name, at: Date(), lifetime: signing.lifetime)
      }
    } catch let error as ControlError { throw error } catch {
      throw RPCError(code: .permissionDenied, message: "\(error)")
    }
  }
}
