import Topology

/// A topology as it was deployed: what the store keeps of it.
struct Revision: Hashable, Sendable, Codable {
  /// Counted from 1.
  var number: UInt64
  /// Nanoseconds since 1970.
  var timeNs: UInt64
  /// Who deployed it.
  var who: String
  /// What the file was called, for messages.
  var file: String
  /// The topology's name.
  var topology: String
  /// The file's text; empty where everything was destroyed.
  var yaml: String
  /// The content hashes of the extensions that it names.
  var extensions: [String: String]
  /// Changes over the revision before.
  var changes: Int
  /// Ports at which hops listen otherwise than the file alone would have it, by stream and node: those at which they
  /// listened before. nil: none.
  var ports: [String: [String: UInt16]]?

  var isEmpty: Bool { yaml.isEmpty }

  /// The parts of all nodes; none where everything was destroyed.
  func parts() throws -> [String: NodePart] {
    guard !isEmpty else { return [:] }
    return try Topology.decode(yaml: yaml, file: file).parts(
      revision: number, contents: extensions, ports: ports ?? [:])
  }
}

/// A deploy under way, or one that waits to be confirmed.
struct Deployment: Hashable, Sendable, Codable {
  enum Phase: String, Hashable, Sendable, Codable {
    /// Nothing has changed on any node: after a crash it is given up.
    case preparing
    /// Every node that takes part has prepared, and some may have changed: after a crash it is carried through.
    case committing
    /// Some node failed, and the others go back: after a crash they go on going back.
    case reverting
    /// It runs, and is given up unless it is confirmed.
    case unconfirmed
  }

  var revision: Revision
  /// The revision before, 0 for none.
  var former: UInt64
  var phase: Phase
  /// Nodes that take part.
  var nodes: [String]
  /// Nodes that follow when they are back.
  var absent: [String]
  /// Seconds in which it has to be confirmed; 0: it is kept at once.
  var confirmSeconds: UInt32
  /// Nanoseconds since 1970; nil until it runs.
  var confirmUntilNs: UInt64?
}
