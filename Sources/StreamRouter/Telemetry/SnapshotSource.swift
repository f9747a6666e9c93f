/// The latest that is known of one node: an answer, or how long it has been silent.
public struct NodeReading: Hashable, Sendable, Codable {
  public var node: String
  /// The last answer; nil where the node has never answered.
  public var snapshot: NodeSnapshot?
  /// Seconds since that answer; nil while the node answers.
  public var staleSeconds: Double?
  /// Why there is no fresh answer.
  public var problem: String?

  public init(node: String, snapshot: NodeSnapshot?, staleSeconds: Double? = nil, problem: String? = nil) {
    self.node = node
    self.snapshot = snapshot
    self.staleSeconds = staleSeconds
    self.problem = problem
  }
}

/// Where the monitor and the JSON output get their readings from.
public protocol SnapshotSource: Sendable {
  /// One reading for each node of the topology, in its order; never waits longer than about a second for a node.
  func read() async -> [NodeReading]
}
