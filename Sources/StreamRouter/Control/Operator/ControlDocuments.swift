import ControlAPI
import Foundation

/// What a deploy would change, as `plan` prints it.
public struct PlanDocument: Hashable, Sendable, Codable {
  public struct Change: Hashable, Sendable, Codable {
    public var kind: String
    public var stream: String
    public var text: String
    /// Why packets can be lost by it; nil where none are.
    public var interrupts: String?
  }

  public struct Node: Hashable, Sendable, Codable {
    public var node: String
    public var isConnected: Bool
    public var changes: [Change]
    /// What the deploy changes that counts only later; nil: nothing.
    public var note: String?
  }

  public var topology: String
  /// The revision in force, 0 for none.
  public var revision: UInt64
  public var hasChanges: Bool
  public var nodes: [Node]

  init(_ reply: APIPlanReply) {
    topology = reply.topology
    revision = reply.revision
    hasChanges = !reply.isEmpty
    nodes = reply.nodes.map { node in
      Node(
        node: node.node, isConnected: node.reachable,
        changes: node.changes.map {
          Change(
            kind: "\($0.kind)", stream: $0.stream, text: $0.text,
            interrupts: $0.interrupts.isEmpty ? nil : $0.interrupts)
        }, note: node.note.isEmpty ? nil : node.note)
    }
  }

  public var text: String {
    guard hasChanges else { return "nothing changes: revision \(revision) is in force" }
    var lines: [String] = []
    for node in nodes where !node.changes.isEmpty || !node.isConnected || node.note != nil {
      lines.append("node \(node.node)" + (node.isConnected ? "" : " (not connected)"))
      for change in node.changes {
        let sign = ["add": "+", "replace": "~", "remove": "-"][change.kind] ?? "?"
        lines.append("  \(sign) \(change.text)")
        if let interrupts = change.interrupts { lines.append("    interrupts: \(interrupts)") }
      }
      if let note = node.note { lines.append("  later: \(note)") }
    }
    let changes = nodes.flatMap(\.changes)
    if changes.isEmpty { lines.append("no relay changes; limits, probes or ways of running do") }
    let counts = [("add", "to add"), ("replace", "to replace"), ("remove", "to remove")].compactMap {
      kind, word in
      let count = changes.count { $0.kind == kind }
      return count == 0 ? nil : "\(count) \(word)"
    }
    let interrupted = changes.count { $0.interrupts != nil }
    lines.append(
      "plan: \(counts.isEmpty ? "no relay" : counts.joined(separator: ", ")) on \(nodes.count { !$0.changes.isEmpty }) of \(Figure.plural(nodes.count, "node"))"
        + (interrupted == 0 ? "; no packet is lost by it" : "; \(interrupted) can lose packets"))
    return lines.joined(separator: "\n")
  }
}

/// What a deploy did.
public struct DeployDocument: Hashable, Sendable, Codable {
  public var topology: String
  public var revision: UInt64
  public var nodes: Int
  public var changes: Int
  /// Nodes that follow when they are back.
  public var absent: [String]
  /// Streams of which packets were seen at every hop after the change.
  public var verified: [String]
  /// Streams of which no packet came in at the first hop.
  public var idle: [String]
  /// Nanoseconds since 1970; nil: it is kept.
  public var confirmUntilNs: UInt64?

  init(_ done: APIDeployDone) {
    topology = done.topology
    revision = done.revision
    nodes = Int(done.nodes)
    changes = Int(done.changes)
    absent = done.absent
    verified = done.verified
    idle = done.idle
    confirmUntilNs = done.confirmUntilNs == 0 ? nil : done.confirmUntilNs
  }

  public var text: String {
    let now = realtimeNs()
    guard changes > 0 || !absent.isEmpty || confirmUntilNs != nil else {
      return revision == 0
        ? "nothing to do"
        : "revision \(revision) is in force on \(Figure.plural(nodes, "node")); no relay changed"
    }
    var lines = ["revision \(revision): \(Figure.plural(changes, "change")) on \(Figure.plural(nodes, "node"))"]
    if !verified.isEmpty { lines.append("packets arrive at every hop of: \(Deployer.names(verified))") }
    if !idle.isEmpty { lines.append("nobody sends yet: \(Deployer.names(idle))") }
    if !absent.isEmpty { lines.append("not there, and follow when they are back: \(Deployer.names(absent))") }
    if let until = confirmUntilNs {
      let left = until > now ? (until - now) / 1_000_000_000 : 0
      lines.append("it is given up in \(left) s unless you confirm it:\n  streamrouter confirm")
    } else {
      lines.append("next:\n  streamrouter status\n  streamrouter monitor --topology \(topology)")
    }
    return lines.joined(separator: "\n")
  }
}

public struct StatusDocument: Hashable, Sendable, Codable {
  public struct Node: Hashable, Sendable, Codable {
    public var node: String
    /// `connected`, `silent` (it was, once), or `absent` (never heard of since the controller started).
    public var state: String
    public var revision: UInt64
    /// Nanoseconds since 1970; nil: never.
    public var heardNs: UInt64?
    public var version: String
    public var problem: String?
    /// Whether the revision in force names it.
    public var isNamed: Bool
    /// How far its clock is ahead of the controller's; nil: not known.
    public var clockOffsetNs: Int64?
    /// How far that can be wrong.
    public var clockErrorNs: UInt64?

    /// `+1.2ms ±80us`.
    fileprivate var clock: String {
      guard let clockOffsetNs, let clockErrorNs else { return "-" }
      let offset = Figure.duration(seconds: Double(clockOffsetNs.magnitude) / 1e9)
      return
        "\(clockOffsetNs < 0 ? "-" : "+")\(offset) ±\(Figure.duration(seconds: Double(clockErrorNs) / 1e9))"
    }
  }

  public var topology: String?
  public var revision: UInt64
  public var confirmUntilNs: UInt64?
  public var lockedBy: String?
  public var nodes: [Node]

  init(_ reply: APIStatusReply) {
    topology = reply.topology.isEmpty ? nil : reply.topology
    revision = reply.revision
    confirmUntilNs = reply.confirmUntilNs == 0 ? nil : reply.confirmUntilNs
    lockedBy = reply.lockedBy.isEmpty ? nil : reply.lockedBy
    nodes = reply.nodes.map {
      Node(
        node: $0.node, state: $0.connected ? "connected" : $0.heardNs == 0 ? "absent" : "silent",
        revision: $0.revision, heardNs: $0.heardNs == 0 ? nil : $0.heardNs, version: $0.version,
        problem: $0.problem.isEmpty ? nil : $0.problem, isNamed: $0.isNamed,
        clockOffsetNs: $0.clockErrorNs == 0 ? nil : $0.clockOffsetNs,
        clockErrorNs: $0.clockErrorNs == 0 ? nil : $0.clockErrorNs)
    }
  }

  /// Whether every node that is named runs the revision in force.
  public var isWhole: Bool {
    nodes.allSatisfy { !$0.isNamed || $0.state == "connected" && $0.revision == revision && $0.problem == nil }
  }

  public var text: String {
    let now = realtimeNs()
    var lines = [topology.map { "topology \($0), revision \(revision)" } ?? "nothing is deployed"]
    if let lockedBy { lines.append("under way: \(lockedBy)") }
    if let until = confirmUntilNs {
      lines.append("waits to be confirmed for \(until > now ? (until - now) / 1_000_000_000 : 0) s more")
    }
    if !nodes.isEmpty {
      var rows = [["NODE", "STATE", "REVISION", "HEARD", "CLOCK", "VERSION", "PROBLEM"]]
      for node in nodes {
        let age = node.heardNs.map { $0 > now ? 0 : (now - $0) / 1_000_000_000 }
        rows.append([
          node.node, node.isNamed ? node.state : node.state + ", not named",
          node.revision == 0 ? "-" : "\(node.revision)",
          age.map { "\($0) s ago" } ?? "never", node.clock, node.version.isEmpty ? "-" : node.version,
          node.problem ?? "-",
        ])
      }
      lines += AlignedColumns.lines(rows)
    }
    return lines.joined(separator: "\n")
  }
}

public struct HistoryDocument: Hashable, Sendable, Codable {
  public struct Revision: Hashable, Sendable, Codable {
    public var number: UInt64
    public var timeNs: UInt64
    public var who: String
    public var file: String
    public var topology: String?
    public var changes: Int
    /// `in force`, `kept`, `unconfirmed`, `refused`, `destroyed`.
    public var outcome: String
  }

  /// The latest first.
  public var revisions: [Revision]

  init(_ reply: APIHistoryReply) {
    revisions = reply.revisions.map {
      Revision(
        number: $0.number, timeNs: $0.timeNs, who: $0.who, file: $0.file,
        topology: $0.topologyName.isEmpty ? nil : $0.topologyName, changes: Int($0.changes), outcome: $0.outcome
      )
    }
  }

  public var text: String {
    guard !revisions.isEmpty else { return "nothing was deployed yet" }
    var rows = [["REVISION", "TIME", "OUTCOME", "CHANGES", "FILE", "WHO"]]
    for revision in revisions {
      rows.append([
        "\(revision.number)", Deployer.time(revision.timeNs), revision.outcome, "\(revision.changes)",
        revision.file.isEmpty ? "-" : revision.file, revision.who,
      ])
    }
    return AlignedColumns.lines(rows).joined(separator: "\n")
  }
}

public struct EventDocument: Hashable, Sendable, Codable {
  public var timeNs: UInt64
  public var kind: String
  public var node: String?
  public var text: String

  init(_ event: APIEvent) {
    timeNs = event.timeNs
    kind = event.kind
    node = event.node.isEmpty ? nil : event.node
    text = event.text
  }

  public var line: String {
    "\(Deployer.time(timeNs))  \(kind)\(node.map { " \($0)" } ?? ""): \(text)"
  }
}
