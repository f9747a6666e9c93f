import Topology

/// What an operator wants deployed.
struct DeployOrder: Hashable, Sendable {
  enum Wanted: Hashable, Sendable {
    /// The text of a topology file, and the content hashes of the extensions that it names.
    case topology(yaml: String, extensions: [String: String])
    /// A former revision.
    case revision(UInt64)
    case nothing
  }

  var wanted: Wanted
  /// What the file is called, for messages.
  var file: String
  var who: String
  /// Goes on without nodes that do not answer.
  var partial = false
  /// Seconds in which it has to be confirmed; 0: it is kept at once.
  var confirmSeconds: UInt32 = 0
}

/// What a deploy would do.
struct DeployPlan: Sendable {
  /// The revision in force, nil for none.
  var former: Revision?
  var wanted: Revision
  /// What each node is to run; emptied parts for nodes that are no longer named.
  var parts: [String: NodePart]
  /// What each node runs by the revision in force.
  var formerParts: [String: NodePart]
  var plan: Plan
  var interruptions: [Int: String]

  /// Nodes in the order of the topology, those that are no longer named behind.
  var nodes: [String]
  /// Places in the plan, by node.
  private var places: [String: [Int]]

  /// Whether anything would change, limits and scheduling included.
  var isEmpty: Bool {
    plan.isEmpty && former?.isEmpty == wanted.isEmpty
      && parts.allSatisfy { node, part in
        var part = part
        part.revision = formerParts[node]?.revision ?? 0
        return part == formerParts[node]
      }
  }

  /// - Parameters:
  ///   - former: The revision in force.
  ///   - wanted: Its number need not be given yet.
  init(from former: Revision?, to wanted: Revision) throws {
    self.former = former
    var wanted = wanted
    formerParts = try former?.parts() ?? [:]
    let topology =
      wanted.isEmpty ? nil : try Topology.decode(yaml: wanted.yaml, file: wanted.file)
    if wanted.ports == nil, let topology, !formerParts.isEmpty {
      let kept = topology.ports(keeping: formerParts.values.flatMap(\.relays))
      wanted.ports = kept.isEmpty ? nil : kept
    }
    var parts =
      try topology?.parts(
        revision: wanted.number, contents: wanted.extensions, ports: wanted.ports ?? [:]) ?? [:]
    var nodes = topology?.nodes.map(\.name) ?? []
    for (node, part) in formerParts.sorted(by: { $0.key < $1.key }) where parts[node] == nil {
      var emptied = part.emptied()
      emptied.revision = wanted.number
      parts[node] = emptied
      nodes.append(node)
    }
    self.parts = parts
    self.nodes = nodes
    plan = Plan(
      from: nodes.flatMap { [formerParts] in formerParts[$0]?.relays ?? [] },
      to: nodes.flatMap { parts[$0]?.relays ?? [] })
    interruptions = plan.interruptions()
    places = Dictionary(grouping: plan.changes.indices) { [plan] in plan.changes[$0].node }
    wanted.changes = plan.changes.count
    self.wanted = wanted
  }

  /// The changes on one node, in their order, each with why packets can be lost by it.
  func changes(on node: String) -> [(change: Change, interrupts: String?)] {
    (places[node] ?? []).map { (plan.changes[$0], interruptions[$0]) }
  }

  /// What it changes on a node that counts only later; nil: nothing.
  func note(on node: String) -> String? {
    guard let former = formerParts[node], let part = parts[node], former.engine != part.engine else {
      return nil
    }
    let streams = Set(part.relays.map(\.stream))
    let staying = former.relays.count { streams.contains($0.stream) }
    guard staying > 0 else { return nil }
    return
      "engine \(former.engine.rawValue) becomes \(part.engine.rawValue): for \(Figure.plural(staying, "relay")) that \(staying == 1 ? "runs" : "run") it counts once the node's daemon is started again"
  }

  /// The steps: hops at which some node begins or changes a relay, the farthest first, with those nodes.
  var steps: [(hop: Int, nodes: [String])] {
    var found: [Int: [String]] = [:]
    for node in nodes {
      for hop in transition(of: node).hops { found[hop, default: []].append(node) }
    }
    return found.sorted { $0.key > $1.key }.map { ($0.key, $0.value) }
  }

  func transition(of node: String) -> Transition {
    Transition(from: formerParts[node]?.relays ?? [], to: parts[node]?.relays ?? [])
  }

  /// Nodes that relay something before or after.
  var busyNodes: [String] {
    nodes.filter { formerParts[$0]?.relays.isEmpty == false || parts[$0]?.relays.isEmpty == false }
  }
}

extension Change {
  /// The relay as it is after the change, or was before it ended.
  var relay: Relay {
    switch self {
    case .add(let relay), .remove(let relay): relay
    case .replace(_, let relay): relay
    }
  }

  var node: String { relay.node }
}
