import ControlAPI
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Identity
import Logging

extension CertificateRenewal.Signed {
  init(_ reply: APICertificateReply) throws {
    certificate = try RoleCertificate(encoded: [UInt8](reply.certificate))
    trust = try TrustBundle(certificates: reply.trust.map { [UInt8]($0) })
  }
}

extension CertificateRenewal {
  /// A controller's own: it has the authority at hand, so it is never too late.
  static func ofController(_ current: CurrentIdentity, _ signing: Signing, log: Logger) -> CertificateRenewal {
    CertificateRenewal(
      current: current,
      sign: { request in
        let held = current.identity.certificate
        let authority = signing.authority
        let certificate =
          held.notAfter < Date()
          ? try authority.sign(
            request, for: held.role, admits: held.admits, at: Date(), lifetime: signing.lifetime)
          : try await authority.renew(request, holding: held.encoded, at: Date(), lifetime: signing.lifetime)
        return Signed(certificate: certificate, trust: try authority.load().trust)
      }, log: log)
  }

  /// Over a connection of its own to the controller.
  static func over(
    _ current: CurrentIdentity, _ address: ControllerAddress, controller: Role, log: Logger
  ) -> CertificateRenewal {
    CertificateRenewal(
      current: current,
      sign: { request in
        let refusal = RefusalNote()
        let security = try current.client(expecting: controller, refusal)
        let encoded = request.encoded
        do {
          return try await withGRPCClient(transport: ControlTransport.client(address, security, refusal)) {
            client in
            var options = CallOptions.defaults
            options.timeout = .seconds(15)
            return try Signed(
              await APICertificates.Client(wrapping: client).renew(
                .with { $0.request = Data(encoded) }, options: options))
          }
        } catch let error as RPCError {
          if error.code == .permissionDenied { throw ControlError.forbidden(error.message) }
          throw ControlError.unreachable(controller: "\(address)", reason: refusal.text(of: error))
        }
      }, log: log)
  }
}
