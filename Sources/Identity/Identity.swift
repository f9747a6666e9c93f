import Foundation

/// What a node or an operator keeps to be known by: its key, its certificate, and whom it trusts.
public struct Identity: Sendable {
  public let key: IdentityKey
  public let certificate: RoleCertificate
  public let trust: TrustBundle

  static let keyFile = "key.pem"
  static let nextKeyFile = "next-key.pem"
  static let certificateFile = "certificate.pem"
  static let trustFile = "trust.pem"

  /// How a certificate stands towards its end.
  public enum Renewal: Hashable, Sendable {
    case notDue(until: Date)
    /// Two thirds of its life are over: renew it, again and again until it works.
    case due(expires: Date)
    /// Too late for a renewal: a new token is needed.
    case expired(Date)
  }

  /// - Throws: ``IdentityError/badCertificate(reason:)``, where the three do not belong together.
  public init(key: IdentityKey, certificate: RoleCertificate, trust: TrustBundle) throws(IdentityError) {
    guard certificate.x509.publicKey == key.publicKey else {
      throw .badCertificate(reason: "it is not for the key that asked for it")
    }
    self.key = key
    self.certificate = certificate
    self.trust = trust
  }

  public var role: Role { certificate.role }

  /// When to renew.
  public func renewal(at now: Date) -> Renewal {
    let end = certificate.notAfter
    guard now <= end else { return .expired(end) }
    let due = certificate.notBefore.addingTimeInterval(end.timeIntervalSince(certificate.notBefore) * 2 / 3)
    return now < due ? .notDue(until: due) : .due(expires: end)
  }

  /// Reads what ``save(to:)`` wrote, also if that was interrupted.
  /// - Throws: ``IdentityError/noIdentity(path:)``, where nothing was saved yet.
  public static func load(from path: String) throws -> Identity {
    let directory = StateDirectory(path: path)
    // Where there is nothing, no lock file is made.
    guard try directory.read(certificateFile) != nil else { throw IdentityError.noIdentity(path: path) }
    return try directory.change { _ in
      let file = directory.path(of: certificateFile)
      guard let encoded = try? PEM.certificates(try text(certificateFile, in: directory)), encoded.count == 1
      else {
        throw IdentityError.damaged(path: file, reason: "it is not PEM of one certificate")
      }
      let certificate = try RoleCertificate(encoded: encoded[0])
      let trust = try TrustBundle(pem: try text(trustFile, in: directory))
      // After an interrupted save the certificate may be for the key beside the old one.
      for name in [keyFile, nextKeyFile] {
        guard let key = try key(name, in: directory) else { continue }
        if let identity = try? Identity(key: key, certificate: certificate, trust: trust) { return identity }
      }
      throw IdentityError.keyMismatch(path: path)
    }
  }

  /// Keeps the identity in a directory, in place of the one before. At each moment the one or the other can be loaded.
  public func save(to path: String) throws {
    try save(to: StateDirectory(path: path))
  }

  func save(to directory: StateDirectory) throws {
    try directory.make()
    try directory.change { change in
      if let former = try directory.read(Self.nextKeyFile, secret: true),
        let held = try? Self.text(Self.certificateFile, in: directory),
        let certificate = try? PEM.certificates(held).first.map(RoleCertificate.init(encoded:)),
        let key = try? IdentityKey(pem: String(decoding: former, as: UTF8.self)),
        certificate.x509.publicKey == key.publicKey
      {
        // A save before was interrupted just before its end: end it, for its key is still in use.
        try change.move(Self.nextKeyFile, to: Self.keyFile)
      }
      try change.write(trust.pem.utf8, to: Self.trustFile)
      try change.write(key.pem.utf8, to: Self.nextKeyFile)
      try change.write(PEM.text(certificate.encoded).utf8, to: Self.certificateFile)
      try change.move(Self.nextKeyFile, to: Self.keyFile)
    }
  }

  private static func text(_ name: String, in directory: StateDirectory) throws(IdentityError) -> String {
    guard let bytes = try directory.read(name) else {
      throw .damaged(path: directory.path(of: name), reason: "it is missing")
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The key in a file; nil where there is no file, or no key in it: the other file may have it.
  private static func key(_ name: String, in directory: StateDirectory) throws(IdentityError) -> IdentityKey? {
    guard let bytes = try directory.read(name, secret: true) else { return nil }
    return try? IdentityKey(pem: String(decoding: bytes, as: UTF8.self))
  }
}
