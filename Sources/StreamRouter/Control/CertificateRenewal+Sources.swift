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
        return try await signing.signed { authority in
          held.notAfter < Date()
            ? try authority.sign(
              request, for: held.role, admits: held.admits, at: Date(), lifetime: signing.lifetime)
            : try await authority.renew(
              request, holding: held.encoded, at: Date(), lifetime: signing.lifetime)
        }
      }, log: log)
  }

  /// Over a connection of its own to a controller, whichever answers.
  static func over(_ current: CurrentIdentity, _ places: ControllerPlaces, log: Logger) -> CertificateRenewal {
    CertificateRenewal(
      current: current,
      sign: { request in
        var failure: any Error = ControlError.nothingDeployed
        let addresses = places.addresses
        for address in addresses {
          do {
            return try await ask(
              address, request, current, places, patience: .seconds(addresses.count > 1 ? 8 : 15))
          } catch let error as ControlError {
            // Another controller may have what this one lacks, as the key of an authority that was exchanged.
            failure = error
          }
          try Task.checkCancellation()
        }
        throw failure
      }, log: log)
  }

  private static func ask(
    _ address: ControllerAddress, _ request: CertificateRequest, _ current: CurrentIdentity,
    _ places: ControllerPlaces, patience: Duration
  ) async throws -> Signed {
    let refusal = RefusalNote()
    let security = try current.client(expecting: places.controller, refusal)
    let encoded = request.encoded
    do {
      return try await withGRPCClient(transport: ControlTransport.client(address, security, refusal)) {
        client in
        var options = CallOptions.defaults
        options.timeout = patience
        let reply = try await APICertificates.Client(wrapping: client).renew(
          .with { $0.request = Data(encoded) }, options: options)
        return try Signed(reply)
      }
    } catch let error as RPCError {
      if error.code == .permissionDenied { throw ControlError.forbidden(error.message) }
      throw ControlError.unreachable(controller: "\(address)", reason: refusal.text(of: error))
    }
  }
}
