import Foundation

/// The authority of one installation, in a directory: its keys, the certificates that it signed, tokens, revocations.
/// Nothing is kept in memory, so several processes may use it at once, and what it said it did is on the disk.
public struct AuthorityStore: Sendable {
  static let issuedFile = "issued.json"
  static let revokedFile = "revoked.json"
  static let trustFile = "trust.pem"

  let directory: StateDirectory
  let audit: Audit

  /// - Parameter directory: `authority/` of the installation; the one above it exists.
  public init(directory: String, audit: Audit) {
    self.init(StateDirectory(path: directory), audit: audit)
  }

  init(_ directory: StateDirectory, audit: Audit) {
    self.directory = directory
    self.audit = audit
  }

  /// Whether a file of the directory is one of the records, which several machines can share.
  static func isRecord(_ name: String) -> Bool {
    [AuthorityState.file, issuedFile, revokedFile, TokenStore.file, trustFile].contains(name)
      || name.hasPrefix("ca-") && name.hasSuffix(".pem") && !AuthorityDraft.isKey(name)
  }

  /// The tokens of this authority.
  public var tokens: TokenStore { TokenStore(directory: directory, audit: audit) }

  /// Makes the authority.
  /// - Throws: ``IdentityError/authorityExists(path:)``, and changes nothing, where there is one.
  public func create(at now: Date) throws {
    try audit.note(.authorityCreated, directory.path, at: now) {
      try directory.make()
      try directory.change { change in
        guard try directory.read(AuthorityState.file) == nil else {
          throw IdentityError.authorityExists(path: directory.path)
        }
        let authority = try CertificateAuthority(at: now)
        try change.write(value: IssuedCertificates(), to: Self.issuedFile)
        try change.write(value: Revocations(), to: Self.revokedFile)
        try change.write(value: [TokenStore.Entry](), to: TokenStore.file)
        try keep(authority, in: change)
        // From here on there is an authority.
        try change.write(
          value: AuthorityState(signing: authority.digest, since: now.wholeSeconds), to: AuthorityState.file)
        try tidy(change)
      }
    }
  }

  /// The authority as it is now.
  public func load() throws -> Authority {
    // Where there is none, no lock file is made.
    _ = try AuthorityState.read(directory)
    // With the lock, or a file might go between one reading and the next.
    return try directory.change { _ in try Authority.read(directory) }
  }

  /// What was revoked and would not have expired yet.
  public func revocations() throws -> Revocations {
    try directory.require(Revocations.self, in: Self.revokedFile)
  }

  /// A certificate that was signed and has not expired.
  public struct Holder: Hashable, Sendable {
    public let role: Role
    public let serial: Serial
    public let issued: Date
    public let notAfter: Date
    public let isRevoked: Bool
  }

  /// Who holds certificates, by name, the latest of each name first.
  public func holders(at now: Date) throws -> [Holder] {
    let revocations = try revocations()
    return try directory.require(IssuedCertificates.self, in: Self.issuedFile).valid(at: now).map {
      Holder(
        role: $0.role, serial: $0.serial, issued: $0.issued, notAfter: $0.notAfter,
        isRevoked: revocations.contains($0.serial))
    }.sorted { ($0.role.uri, $1.notAfter) < ($1.role.uri, $0.notAfter) }
  }

  /// What decides about peers now.
  public func verifier() throws -> PeerVerifier {
    PeerVerifier(trust: try load().trust, revocations: try revocations())
  }

  /// Signs a certificate for a name, on the word of the caller: for this machine's own, and for who may do what it
  /// likes with the authority.
  /// - Parameters:
  ///   - admits: whether it is a controller's, see ``RoleCertificate/admits``.
  ///   - lifetime: within ``IdentityLimits/lifetime``.
  public func sign(
    _ request: CertificateRequest, for role: Role, admits: Bool = false, at now: Date,
    lifetime: Duration = IdentityLimits.defaultLifetime
  ) throws -> RoleCertificate {
    try audit.note(.certificateSigned, role.description, at: now) {
      try directory.change { change in
        try sign(request, for: role, admits: admits, at: now, lifetime: lifetime, in: change)
      }
    }
  }

  /// Lets in who joins with the secret of a token: uses the token up, and then signs a certificate for the name that the
  /// token is bound to. If this machine stops between the two, the token is gone and nobody has got in.
  /// - Throws: ``IdentityError/tokenNotValid(name:)``, whatever is wrong with the token.
  public func admit(
    _ request: CertificateRequest, secret: [UInt8], name: String, at now: Date,
    lifetime: Duration = IdentityLimits.defaultLifetime
  ) throws -> RoleCertificate {
    try tokens.redeeming(name, at: now) {
      try directory.change { change in
        let role = try tokens.redeem(secret: secret, name: name, at: now, in: change)
        audit.done(.tokenRedeemed, role.description, at: now)
        return try audit.note(.certificateSigned, role.description, at: now) {
          try sign(request, for: role, admits: false, at: now, lifetime: lifetime, in: change)
        }
      }
    }
  }

  /// Signs the certificate that follows one which is still good, for the same name.
  /// - Parameter held: DER, what the peer presented and proved in the handshake to hold.
  /// - Throws: ``PeerRefusal``, where that is no good certificate (any more).
  public func renew(
    _ request: CertificateRequest, holding held: [UInt8], at now: Date,
    lifetime: Duration = IdentityLimits.defaultLifetime
  ) async throws -> RoleCertificate {
    let old: RoleCertificate
    do {
      old = try await verifier().certificate(of: [held], at: now)
    } catch {
      audit.refused(.certificateRenewed, "(no good certificate)", at: now, "\(error)")
      throw error
    }
    return try audit.note(.certificateRenewed, old.role.description, at: now) {
      try directory.change { change in
        // Again, with the lock: a revocation that came between would be escaped by the new certificate.
        guard try !revocations().isRevoked(old) else { throw PeerRefusal.revoked(old.role, old.serial) }
        return try sign(request, for: old.role, admits: old.admits, at: now, lifetime: lifetime, in: change)
      }
    }
  }

  private func sign(
    _ request: CertificateRequest, for role: Role, admits: Bool, at now: Date, lifetime: Duration,
    in change: StateDirectory.Change
  ) throws -> RoleCertificate {
    let authority = try Authority.read(directory).signing
    var issued = try directory.require(IssuedCertificates.self, in: Self.issuedFile)
    let revocations = try revocations()
    let valid = issued.valid(at: now).count { $0.role == role && !revocations.contains($0.serial) }
    guard valid < IdentityLimits.certificatesPerRole else { throw IdentityError.tooManyCertificates(role) }
    let certificate = try authority.sign(request, for: role, admits: admits, at: now, lifetime: lifetime)
    issued.add(
      IssuedCertificates.Entry(
        serial: certificate.serial, role: role, issued: now.wholeSeconds, notAfter: certificate.notAfter,
        authority: authority.digest), at: now)
    // Before anyone has the certificate: it can be revoked by name from its first moment.
    try change.write(value: issued, to: Self.issuedFile)
    return certificate
  }

  /// Revokes all certificates of a name that were signed so far, and takes back the tokens that wait for it. It may join
  /// again with a new token.
  /// - Returns: how many certificates were revoked that were good until now.
  @discardableResult
  public func revoke(_ role: Role, at now: Date) throws -> Int {
    try audit.note(.certificateRevoked, role.description, at: now) {
      try role.checkName()
      return try directory.change { change in
        _ = try tokens.removePending(for: role, at: now, in: change)
        let issued = try directory.require(IssuedCertificates.self, in: Self.issuedFile)
        return try revoke(issued.valid(at: now).filter { $0.role == role }, at: now, in: change)
      }
    }
  }

  /// Revokes one certificate, also one that is not noted here.
  public func revoke(_ serial: Serial, at now: Date) throws {
    try audit.note(.certificateRevoked, "serial \(serial)", at: now) {
      try directory.change { change in
        let issued = try directory.require(IssuedCertificates.self, in: Self.issuedFile)
        if let entry = issued[serial] {
          _ = try revoke([entry], at: now, in: change)
        } else {
          var revocations = try revocations()
          revocations.revoke(.init(serial: serial, role: nil, revoked: now.wholeSeconds, notAfter: nil))
          try change.write(value: revocations, to: Self.revokedFile)
        }
      }
    }
  }

  private func revoke(
    _ entries: [IssuedCertificates.Entry], at now: Date, in change: StateDirectory.Change
  ) throws -> Int {
    var revocations = try revocations()
    revocations.prune(at: now)
    let new = entries.filter { !revocations.contains($0.serial) }
    for entry in new {
      revocations.revoke(
        .init(serial: entry.serial, role: entry.role, revoked: now.wholeSeconds, notAfter: entry.notAfter))
    }
    try change.write(value: revocations, to: Self.revokedFile)
    return new.count
  }
}
