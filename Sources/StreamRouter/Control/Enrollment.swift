import Foundation
import Identity
import Logging
import SystemPackage

/// How machines come to belong together: the first one makes the authority, others join with a token of it.
public struct Enrollment: Sendable {
  let state: StatePaths
  let log: Logger
  /// Where its records are at hand already; nil: in this machine's files.
  private let records: AuthorityStore?

  public init(state: StatePaths, log: Logger) {
    self.init(state: state, log: log, records: nil)
  }

  private init(state: StatePaths, log: Logger, records: AuthorityStore?) {
    self.state = state
    self.log = log
    self.records = records
  }

  private var audit: Audit { Audit { [log] in log.info("\($0)") } }

  var authority: AuthorityStore {
    records ?? AuthorityStore(directory: state.authority.string, audit: audit)
  }

  /// Does something with the authority, whose records are in files of this machine, or in etcd where controllers share them.
  ///
  /// - Parameter body: Is run again where another machine changed the records meanwhile.
  /// - Throws: ``ControlError`` where etcd does not answer; then nothing was done.
  public func perform<Result: Sendable>(
    _ body: @escaping @Sendable (Enrollment) async throws -> Result
  ) async throws -> Result {
    guard let note = try RecordsNote.read(state) else { return try await body(self) }
    return try await note.place(state).withClient { client in
      let shared = SharedAuthority(
        directory: state.authority.string, records: EtcdRecords(client), audit: audit)
      return try await shared.perform { authority in
        try await body(Enrollment(state: state, log: log, records: authority))
      }
    }
  }

  /// Makes this machine's node the one where the controller runs.
  ///
  /// - Parameter addresses: Where its node will find controllers.
  /// - Throws: ``IdentityError`` where there is an authority already; then nothing changes.
  public func initialize(node: String, addresses: [ControllerAddress]) throws {
    try DurableFile.makeFolder(state.root)
    try authority.create(at: Date())
    try issue(.node(node), admits: true, to: state)
    try DurableFile.write(ControllerNote(addresses: addresses, node: node), to: state.controllerNote)
  }

  /// Makes this machine one of a further controller: the authority's folder was brought here, its records are in etcd.
  ///
  /// - Parameters:
  ///   - node: The name of its node, which may have joined before.
  ///   - addresses: Where that finds controllers.
  /// - Throws: ``ControlError``, ``IdentityError``; then nothing changes.
  public func addController(node: String, addresses: [ControllerAddress]) async throws {
    guard FileManager.default.fileExists(atPath: state.authority.string) else {
      throw ControlError.unreadable(
        path: state.authority.string, reason: "it is not there: copy it from the first controller's machine")
    }
    guard try RecordsNote.read(state) != nil else {
      throw ControlError.unreadable(
        path: state.recordsNote.string,
        reason:
          "it is not there, so the authority is one controller's alone: start that one with --store etcd://..., and copy its folder then"
      )
    }
    if let held = try? Identity.load(from: state.identity.string), held.role != .node(node) {
      throw ControlError.forbidden("\(state.identity) is \(held.role)'s: give --name \(held.role.name)")
    }
    let identity = try await perform { try $0.identity(.node(node), admits: true) }
    try identity.save(to: state.identity.string)
    try DurableFile.write(ControllerNote(addresses: addresses, node: node), to: state.controllerNote)
  }

  /// Makes the identity of a further node on a machine that has the authority at hand, as a lab does.
  func issue(node: String, controller: ControllerNote, to other: StatePaths) throws {
    try DurableFile.makeFolder(other.root)
    try issue(.node(node), admits: false, to: other)
    try DurableFile.write(controller, to: other.controllerNote)
  }

  private func issue(_ role: Role, admits: Bool, to state: StatePaths) throws {
    try identity(role, admits: admits).save(to: state.identity.string)
  }

  private func identity(_ role: Role, admits: Bool) throws -> Identity {
    let key = IdentityKey()
    let certificate = try authority.sign(key.request(), for: role, admits: admits, at: Date())
    return try Identity(key: key, certificate: certificate, trust: authority.load().trust)
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
