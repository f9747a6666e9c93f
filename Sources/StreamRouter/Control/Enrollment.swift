import Foundation
import Identity
import Logging
import SystemPackage

/// How machines come to belong together: the first one makes the authority, others join with a token of it.
public struct Enrollment: Sendable {
  let state: StatePaths
  let log: Logger

  public init(state: StatePaths, log: Logger) {
    self.state = state
    self.log = log
  }

  var authority: AuthorityStore {
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
  public func createToken(for role: Role, lifetime: Duration) throws -> String {
    try authority.tokens.create(for: role, lifetime: lifetime, at: Date()).text
  }

  /// Tokens that wait to be used.
  public func pendingTokens() throws -> [TokenStore.Pending] { try authority.tokens.list(at: Date()) }

  /// Takes a token back.
  ///
  /// - Returns: Whether it was there.
  public func removeToken(id: String) throws -> Bool { try authority.tokens.remove(id: id, at: Date()) }

  /// Who holds certificates that have not ended.
  public func holders() throws -> [AuthorityStore.Holder] { try authority.holders(at: Date()) }

  /// Shuts a name out: its certificates and tokens count no more.
  ///
  /// - Returns: How many certificates were good until now.
  public func revoke(_ role: Role) throws -> Int { try authority.revoke(role, at: Date()) }
}
