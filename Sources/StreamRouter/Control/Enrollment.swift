import ControlAPI
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Identity
import Logging
import Synchronization
import SystemPackage

/// How machines come to belong together: the first one makes the authority, others join with a token of it.
public struct Enrollment: Sendable {
  let state: StatePaths
  let log: Logger

  public init(state: StatePaths, log: Logger) {
    self.state = state
    self.log = log
  }

  private var authority: AuthorityStore {
    AuthorityStore(directory: state.authority.string, audit: Audit { [log] in log.info("\($0)") })
  }

  /// Makes this machine's node the one where the controller runs.
  ///
  /// - Parameter address: Where its nodes will find it.
  /// - Throws: ``IdentityError`` where there is an authority already; then nothing changes.
  public func initialize(node: String, address: ControllerAddress) throws {
    try DurableFile.makeFolder(state.root)
    try authority.create(at: Date())
    try issue(.node(node), admits: true, to: state)
    try DurableFile.write(ControllerNote(address: address, node: node), to: state.controllerNote)
  }

  /// Makes the identity of a further node on a machine that has the authority at hand, as a lab does.
  func issue(node: String, controller: ControllerNote, to other: StatePaths) throws {
    try DurableFile.makeFolder(other.root)
    try issue(.node(node), admits: false, to: other)
    try DurableFile.write(controller, to: other.controllerNote)
  }

  private func issue(_ role: Role, admits: Bool, to state: StatePaths) throws {
    let key = IdentityKey()
    let certificate = try authority.sign(key.request(), for: role, admits: admits, at: Date())
    try Identity(key: key, certificate: certificate, trust: authority.load().trust).save(
      to: state.identity.string)
  }

  /// - Returns: The token's text, which is nowhere else.
  public func createToken(node: String, lifetime: Duration) throws -> String {
    try authority.tokens.create(for: .node(node), lifetime: lifetime, at: Date()).text
  }

  /// Tokens that wait to be used.
  public func pendingTokens() throws -> [TokenStore.Pending] { try authority.tokens.list(at: Date()) }

  /// Shuts a node out: its certificates and tokens count no more.
  ///
  /// - Returns: How many certificates were good until now.
  public func revoke(node: String) throws -> Int { try authority.revoke(.node(node), at: Date()) }

  /// Joins this machine to an installation.
  ///
  /// The token's digest is compared with the controller's authority before the secret leaves this machine.
  ///
  /// - Parameters:
  ///   - name: The node's name, as the token was made for.
  ///   - join: Where the controller lets nodes join.
  ///   - controller: Where it listens for those that have.
  /// - Throws: ``IdentityError``, ``ControlError``.
  public func join(
    name: String, token text: String, join: ControllerAddress, controller: ControllerAddress
  ) async throws {
    let token = try JoinToken(text: text)
    try DurableFile.makeFolder(state.root)
    let key = IdentityKey()
    let refusal = RefusalNote()
    let security = try TLSSettings.joinClient(token, now: { Date() }) { refusal.note("\($0)") }
    let request = APIJoinRequest.with {
      $0.secret = Data(token.secret)
      $0.name = name
    }
    let reply: APICertificateReply
    do {
      let encoded = try key.request().encoded
      reply = try await withGRPCClient(transport: ControlTransport.client(join, security)) { client in
        var options = CallOptions.defaults
        options.timeout = .seconds(15)
        return try await APIEnrollment.Client(wrapping: client).join(
          .with {
            $0 = request
            $0.request = Data(encoded)
          }, options: options)
      }
    } catch let error as RPCError {
      if let reason = refusal.text {
        throw ControlError.unreachable(controller: join.description, reason: reason)
      }
      guard error.code != .permissionDenied else { throw ControlError.forbidden(error.message) }
      throw ControlError.unreachable(controller: join.description, reason: error.message)
    }
    let identity = try Identity(
      key: key, certificate: RoleCertificate(encoded: [UInt8](reply.certificate)),
      trust: TrustBundle(certificates: reply.trust.map { [UInt8]($0) }))
    try identity.save(to: state.identity.string)
    try DurableFile.write(ControllerNote(address: controller, node: reply.controller), to: state.controllerNote)
  }
}

/// Why a handshake failed, which gRPC does not say.
private final class RefusalNote: Sendable {
  private let noted = Mutex<String?>(nil)

  var text: String? { noted.withLock { $0 } }
  func note(_ reason: String) { noted.withLock { $0 = reason } }
}
