import Foundation

/// The certificates that no longer count though they have not expired.
public struct Revocations: Hashable, Sendable {
  /// One certificate that was withdrawn.
  public struct Entry: Hashable, Sendable, Codable {
    public let serial: Serial
    /// Whose it was; nil where its serial alone was given and nothing is noted of it.
    public let role: Role?
    public let revoked: Date
    /// When the certificate ends by itself; nil where that is not known.
    public let notAfter: Date?
  }

  public private(set) var entries: [Entry]
  private var serials: Set<Serial>

  public init() {
    entries = []
    serials = []
  }

  public func contains(_ serial: Serial) -> Bool { serials.contains(serial) }

  public func isRevoked(_ certificate: RoleCertificate) -> Bool { contains(certificate.serial) }

  /// Adds the certificate, unless it is there.
  mutating func revoke(_ entry: Entry) {
    if serials.insert(entry.serial).inserted { entries.append(entry) }
  }

  /// Forgets certificates that have expired well before: they are refused for that.
  mutating func prune(at now: Date) {
    entries.removeAll { entry in entry.notAfter.map { $0 + IdentityLimits.spentTokenMemory < now } ?? false }
    serials = Set(entries.map(\.serial))
  }
}

extension Revocations: Codable {
  public init(from decoder: any Decoder) throws {
    self.init()
    for entry in try decoder.singleValueContainer().decode([Entry].self) { revoke(entry) }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(entries)
  }
}
