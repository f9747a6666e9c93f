import Foundation
import Identity

/// Who holds certificates of an installation.
public struct HolderDocument: Hashable, Sendable, Codable {
  public struct Holder: Hashable, Sendable, Codable {
    /// `node` or `operator`.
    public var kind: String
    public var name: String
    /// Certificates that count.
    public var certificates: Int
    /// Those that were revoked and have not ended.
    public var revoked: Int
    /// When the latest that counts ends; nil: none counts.
    public var until: Date?
  }

  public var holders: [Holder]

  /// - Parameter holders: The latest of each name first.
  public init(_ holders: [AuthorityStore.Holder]) {
    self.holders = Dictionary(grouping: holders, by: \.role).sorted { $0.key.uri < $1.key.uri }.map {
      role, all in
      let good = all.filter { !$0.isRevoked }
      let kind = if case .node = role { "node" } else { "operator" }
      return Holder(
        kind: kind, name: role.name, certificates: good.count, revoked: all.count - good.count,
        until: good.map(\.notAfter).max())
    }
  }

  public var text: String {
    guard !holders.isEmpty else { return "nobody holds a certificate" }
    var rows = [["KIND", "NAME", "UNTIL", "CERTIFICATES"]]
    for holder in holders {
      rows.append([
        holder.kind, holder.name, holder.until?.formatted(.iso8601) ?? "revoked",
        "\(holder.certificates)" + (holder.revoked == 0 ? "" : ", \(holder.revoked) revoked"),
      ])
    }
    return AlignedColumns.lines(rows).joined(separator: "\n")
  }
}

/// How far the exchange of an authority is.
public struct RotationDocument: Hashable, Sendable, Codable {
  /// `settled`, `begun` or `switched`.
  public var phase: String
  public var since: Date
  /// Who is not ready for the next step: `node edge`.
  public var behind: [String]

  public init(_ state: Enrollment.RotationState) {
    phase = state.phase.rawValue
    since = state.since
    behind = state.behind.map(\.description)
  }

  public var text: String {
    let next = ["begun": "switch", "switched": "finish"][phase]
    var lines = ["\(phase) since \(since.formatted(.iso8601))"]
    if let next {
      lines.append(
        behind.isEmpty
          ? "nobody is behind; next:\n  streamrouter authority rotate \(next)"
          : "behind, and needed for '\(next)': \(behind.joined(separator: ", "))")
    }
    return lines.joined(separator: "\n")
  }
}
