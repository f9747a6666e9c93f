import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Identity
import SwiftASN1
import X509

/// Who calls, and what he may do: by the certificate that the handshake has checked, or by the permissions of the socket.
struct Caller: Sendable {
  enum Listener: Sendable {
    /// Mutual TLS: the certificate's URI says who it is.
    case certificates
    /// The controller's unix socket: whoever may open it is an operator.
    case operators
  }

  let listener: Listener

  /// The node's name.
  ///
  /// - Throws: `permissionDenied` for anybody else.
  func node(_ context: ServerContext) throws -> String {
    guard case .certificates = listener, case .node(let name) = try role(context) else {
      throw RPCError(code: .permissionDenied, message: "only a node may do that")
    }
    return name
  }

  /// The operator's name; nil on the unix socket, where it is not known.
  ///
  /// - Throws: `permissionDenied` for anybody else.
  func mayOperate(_ context: ServerContext) throws -> String? {
    guard case .certificates = listener else { return nil }
    guard case .operator(let name) = try role(context) else {
      throw RPCError(
        code: .permissionDenied,
        message:
          "only an operator may do that: get a token for one ('streamrouter token create --operator NAME')")
    }
    return name
  }

  /// The caller's certificate, DER.
  func certificate(_ context: ServerContext) throws -> [UInt8] {
    guard case .certificates = listener,
      let transport = context.transportSpecific as? HTTP2ServerTransport.Posix.Context,
      // Not `peerCertificate`: only the chain tells that the check was made for this connection.
      let certificate = transport.peerCertificateChain?.leaf
    else { throw Self.unknown }
    var serializer = DER.Serializer()
    try serializer.serialize(certificate)
    return serializer.serializedBytes
  }

  private func role(_ context: ServerContext) throws -> Role {
    guard let role = try? RoleCertificate(encoded: certificate(context)).role else { throw Self.unknown }
    return role
  }

  private static var unknown: RPCError {
    RPCError(code: .unauthenticated, message: "there is no certificate that says who calls")
  }
}
