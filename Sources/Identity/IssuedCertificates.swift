import Foundation

/// The certificates that were signed and have not expired, so that a name can be revoked and an authority dropped.
struct IssuedCertificates: Hashable, Sendable {
  struct Entry: Hashable, Sendable, Codable {
    let serial: Serial
    let role: Role
    let issued: Date
    let notAfter: Date
    let authority: CertificateDigest
  }

  private(set) var entries: [Entry] = []

  func valid(at now: Date) -> [Entry] { entries.filter { $0.notAfter >= now.wholeSeconds } }

  /// Notes a certificate and forgets those that have expired.
  mutating func add(_ entry: Entry, at now: Date) {
    entries = valid(at: now) + [entry]
  }

  subscript(serial: Serial) -> Entry? { entries.first { $0.serial == serial } }
}

extension IssuedCertificates: Codable {
  init(from decoder: any Decoder) throws {
    entries = try decoder.singleValueContainer().decode([Entry].self)
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(entries)
  }
}
