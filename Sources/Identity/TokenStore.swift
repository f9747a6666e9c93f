import Crypto
import Foundation

/// The tokens that were made and may still be used. Kept are digests of their secrets, so who reads the file cannot join.
public struct TokenStore: Sendable {
  /// A token that waits to be used, without its secret.
  public struct Pending: Hashable, Sendable {
    /// To name it by; says nothing about the secret.
    public let id: String
    public let role: Role
    public let created: Date
    public let expires: Date
  }

  struct Entry: Hashable, Sendable, Codable {
    let secretDigest: CertificateDigest
    let role: Role
    let created: Date
    let expires: Date
    var used: Date?

    var id: String { secretDigest.bytes.prefix(4).hexadecimal }
    func isPending(at now: Date) -> Bool { used == nil && now < expires }
  }

  /// Why a token is not taken. For the audit only: a joiner that learned it could try tokens out.
  enum Refusal: Error, CustomStringConvertible {
    case unknown
    case used(Role, Date)
    case expired(Role, Date)
    case wrongName(Role)

    var description: String {
      switch self {
      case .unknown: "no such token"
      case .used(let role, let date): "the token for \(role) was used at \(date.inWords)"
      case .expired(let role, let date): "the token for \(role) expired at \(date.inWords)"
      case .wrongName(let role): "the token is for \(role)"
      }
    }
  }

  static let file = "tokens.json"

  let directory: StateDirectory
  let audit: Audit

  /// Makes a token with which one machine or person can join under this name, once.
  /// - Parameter lifetime: within ``IdentityLimits/tokenLifetime``.
  public func create(for role: Role, lifetime: Duration, at now: Date) throws -> JoinToken {
    try audit.note(.tokenCreated, role.description, at: now) {
      try role.checkName()
      guard IdentityLimits.tokenLifetime.contains(lifetime) else { throw IdentityError.tokenLifetime(lifetime) }
      return try directory.change { change in
        let token = JoinToken(authority: try AuthorityState.read(directory).signing)
        let kept = try read().filter { $0.expires + IdentityLimits.spentTokenMemory > now }
        let pending = kept.filter { $0.isPending(at: now) }
        guard pending.count < IdentityLimits.tokens else { throw IdentityError.tooManyTokens }
        // Used and expired ones are kept for the audit only: of many, the latest.
        var entries = kept.filter { !$0.isPending(at: now) }.suffix(IdentityLimits.tokens) + pending
        entries.append(
          Entry(
            secretDigest: CertificateDigest(of: token.secret), role: role, created: now.wholeSeconds,
            expires: (now + lifetime).wholeSeconds))
        try change.write(value: entries, to: Self.file)
        return token
      }
    }
  }

  /// Those that may still be used, the oldest first.
  public func list(at now: Date) throws -> [Pending] {
    try read().filter { $0.isPending(at: now) }.map {
      Pending(id: $0.id, role: $0.role, created: $0.created, expires: $0.expires)
    }
  }

  /// Takes back the token with this id.
  /// - Returns: false where there is none.
  @discardableResult
  public func remove(id: String, at now: Date) throws -> Bool {
    let removed = try directory.change { change in
      try remove(in: change) { $0.id == id && $0.isPending(at: now) }
    }
    for entry in removed { audit.done(.tokenRemoved, entry.role.description, at: now) }
    return !removed.isEmpty
  }

  /// Takes a secret and uses the token up. When this returns, that is on the disk.
  /// - Returns: whom it was made for.
  /// - Throws: ``IdentityError/tokenNotValid(name:)``, whatever the cause.
  @discardableResult
  public func redeem(secret: [UInt8], name: String, at now: Date) throws -> Role {
    try redeeming(name, at: now) {
      try directory.change { change in try redeem(secret: secret, name: name, at: now, in: change) }
    }
  }

  /// Runs a body that redeems, writes the cause of a refusal to the audit, and tells the joiner nothing of it.
  func redeeming<Result>(_ name: String, at now: Date, _ body: () throws -> Result) throws -> Result {
    guard Role.isName(name) else {
      audit.refused(.tokenRedeemed, "(no name)", at: now, "what was given as a name is none")
      throw IdentityError.badName
    }
    do {
      return try body()
    } catch let refusal as Refusal {
      audit.refused(.tokenRedeemed, name, at: now, "\(refusal)")
      throw IdentityError.tokenNotValid(name: name)
    }
  }

  func redeem(
    secret: [UInt8], name: String, at now: Date, in change: StateDirectory.Change
  ) throws -> Role {
    var entries = try read()
    let digest = SHA256.hash(data: secret)
    var found: Int?
    // Every entry is looked at, each in constant time, so the time tells nothing about the secrets.
    for index in entries.indices where digest == entries[index].secretDigest.bytes { found = index }
    guard let found else { throw Refusal.unknown }
    let entry = entries[found]
    if let used = entry.used { throw Refusal.used(entry.role, used) }
    guard now < entry.expires else { throw Refusal.expired(entry.role, entry.expires) }
    guard entry.role.name == name else { throw Refusal.wrongName(entry.role) }
    entries[found].used = now.wholeSeconds
    try change.write(value: entries, to: Self.file)
    return entry.role
  }

  /// Takes back those that wait for this name.
  func removePending(for role: Role, at now: Date, in change: StateDirectory.Change) throws -> [Entry] {
    try remove(in: change) { $0.role == role && $0.isPending(at: now) }
  }

  private func remove(
    in change: StateDirectory.Change, where matches: (Entry) -> Bool
  ) throws -> [Entry] {
    let entries = try read()
    let removed = entries.filter(matches)
    if !removed.isEmpty { try change.write(value: entries.filter { !matches($0) }, to: Self.file) }
    return removed
  }

  private func read() throws -> [Entry] {
    try directory.require([Entry].self, in: Self.file)
  }
}
