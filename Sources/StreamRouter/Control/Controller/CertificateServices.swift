import ControlAPI
import Foundation
import GRPCCore
import Identity

/// Renews the certificates of who has one.
struct CertificateService: APICertificates.SimpleServiceProtocol {
  let authority: AuthorityStore
  /// The node on whose machine the controller runs.
  let controller: String
  let caller: Caller

  func renew(request: APIRenewRequest, context: ServerContext) async throws -> APICertificateReply {
    let held = try caller.certificate(context)
    do {
      let certificate = try await authority.renew(
        CertificateRequest(encoded: [UInt8](request.request)), holding: held, at: Date())
      return try APICertificateReply(certificate, authority, controller)
    } catch { throw RPCError(code: .permissionDenied, message: "\(error)") }
  }
}

/// Lets in who has a token.
struct EnrollmentService: APIEnrollment.SimpleServiceProtocol {
  let authority: AuthorityStore
  let controller: String

  func join(request: APIJoinRequest, context: ServerContext) async throws -> APICertificateReply {
    do {
      let certificate = try authority.admit(
        CertificateRequest(encoded: [UInt8](request.request)), secret: [UInt8](request.secret),
        name: request.name,
        at: Date())
      return try APICertificateReply(certificate, authority, controller)
    } catch { throw RPCError(code: .permissionDenied, message: "\(error)") }
  }
}

extension APICertificateReply {
  fileprivate init(_ certificate: RoleCertificate, _ authority: AuthorityStore, _ controller: String) throws {
    self.init()
    self.certificate = Data(certificate.encoded)
    trust = try authority.load().trust.certificates.map { Data($0) }
    self.controller = controller
  }
}
