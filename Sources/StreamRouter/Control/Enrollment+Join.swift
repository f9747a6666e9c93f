import ControlAPI
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Identity

extension Enrollment {
  /// Joins this machine's node, or its operator, to an installation.
  ///
  /// The token's digest is compared with the controller's authority before the secret leaves this machine.
  ///
  /// - Parameters:
  ///   - role: Whom the token was made for.
  ///   - places: Where controllers let in who has a token; the next where one cannot be reached.
  ///   - controllers: Where they listen for those that have joined.
  /// - Throws: ``IdentityError``, ``ControlError``.
  public func join(
    _ role: Role, token text: String, join places: [ControllerAddress], controllers: [ControllerAddress]
  ) async throws {
    let token = try JoinToken(text: text)
    try DurableFile.makeFolder(state.root)
    let key = IdentityKey()
    let reply = try await Self.ask(places, token, role.name, key.request().encoded)
    let signed = try CertificateRenewal.Signed(reply)
    // The controller knows by the secret alone whom the token was made for.
    guard signed.certificate.role == role else {
      throw ControlError.forbidden(
        "the token is for \(signed.certificate.role), not for \(role), and is used up: ask for another one")
    }
    try Identity(key: key, certificate: signed.certificate, trust: signed.trust).save(to: state.identity.string)
    // What was said here first: it is known to be right where this machine stands.
    let told = reply.controllers.compactMap { ControllerAddress($0) }.filter { !controllers.contains($0) }
    try DurableFile.write(
      ControllerNote(addresses: controllers + told, node: reply.controller), to: state.controllerNote)
  }

  private static func ask(
    _ addresses: [ControllerAddress], _ token: JoinToken, _ name: String, _ encoded: [UInt8]
  ) async throws -> APICertificateReply {
    var failure: any Error = ControlError.nothingDeployed
    for address in addresses {
      do {
        return try await ask(
          address, token, name, encoded, patience: .seconds(addresses.count > 1 ? 8 : 15))
      } catch let error as ControlError {
        guard case .unreachable = error else { throw error }
        failure = error
      }
    }
    throw failure
  }

  private static func ask(
    _ address: ControllerAddress, _ token: JoinToken, _ name: String, _ encoded: [UInt8], patience: Duration
  ) async throws -> APICertificateReply {
    let refusal = RefusalNote()
    let security = try TLSSettings.joinClient(token, now: { Date() }) { refusal.note($0) }
    do {
      return try await withGRPCClient(transport: ControlTransport.client(address, security, refusal)) {
        client in
        var options = CallOptions.defaults
        options.timeout = patience
        return try await APIEnrollment.Client(wrapping: client).join(
          .with {
            $0.secret = Data(token.secret)
            $0.name = name
            $0.request = Data(encoded)
          }, options: options)
      }
    } catch let error as RPCError {
      guard error.code != .permissionDenied else { throw ControlError.forbidden(error.message) }
      guard error.code != .aborted else { throw ControlError.notNow(error.message) }
      throw ControlError.unreachable(controller: address.description, reason: refusal.text(of: error))
    }
  }
}
