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
  ///   - join: Where the controller lets in who has a token.
  ///   - controller: Where it listens for those that have joined.
  /// - Throws: ``IdentityError``, ``ControlError``.
  public func join(
    _ role: Role, token text: String, join: ControllerAddress, controller: ControllerAddress
  ) async throws {
    let token = try JoinToken(text: text)
    try DurableFile.makeFolder(state.root)
    let key = IdentityKey()
    let reply = try await Self.ask(join, token, role.name, key.request().encoded)
    let signed = try CertificateRenewal.Signed(reply)
    // The controller knows by the secret alone whom the token was made for.
    guard signed.certificate.role == role else {
      throw ControlError.forbidden(
        "the token is for \(signed.certificate.role), not for \(role), and is used up: ask for another one")
    }
    try Identity(key: key, certificate: signed.certificate, trust: signed.trust).save(to: state.identity.string)
    try DurableFile.write(ControllerNote(address: controller, node: reply.controller), to: state.controllerNote)
  }

  private static func ask(
    _ address: ControllerAddress, _ token: JoinToken, _ name: String, _ encoded: [UInt8]
  ) async throws -> APICertificateReply {
    let refusal = RefusalNote()
    let security = try TLSSettings.joinClient(token, now: { Date() }) { refusal.note($0) }
    do {
      return try await withGRPCClient(transport: ControlTransport.client(address, security, refusal)) {
        client in
        var options = CallOptions.defaults
        options.timeout = .seconds(15)
        return try await APIEnrollment.Client(wrapping: client).join(
          .with {
            $0.secret = Data(token.secret)
            $0.name = name
            $0.request = Data(encoded)
          }, options: options)
      }
    } catch let error as RPCError {
      guard error.code != .permissionDenied else { throw ControlError.forbidden(error.message) }
      throw ControlError.unreachable(controller: address.description, reason: refusal.text(of: error))
    }
  }
}
