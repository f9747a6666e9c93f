/// One hop of a stream's tree of paths.
struct Hop {
  /// Index of the node.
  var node: Int
  /// Index of the link over which the hop is reached; nil at the first.
  var link: Int?
  /// Index in the tree of the hop before; nil at the first.
  var parent: Int?
  /// Hops from the first.
  var distance: Int
  /// Indices in the tree of the hops behind, in the order in which the sinks need them.
  var next: [Int] = []
  /// Indices of the stream's sinks that this hop serves itself.
  var sinks: [Int] = []
}

/// Finds the shortest ways over the links of a topology.
///
/// Among equally short ways it takes the one whose links stand first in the file.
struct PathFinder {
  /// Nodes by name.
  let index: [String: Int]
  private let names: [String]
  private let neighbours: [[(link: Int, node: Int)]]
  /// For each root asked for: the link and the node before, on the way from the root to each node.
  private var ways: [Int: [(link: Int, node: Int)?]] = [:]

  init(_ topology: Topology) {
    names = topology.nodes.map(\.name)
    index = Dictionary(
      names.enumerated().map { ($0.element, $0.offset) }, uniquingKeysWith: { first, _ in first })
    var neighbours = Array(repeating: [(link: Int, node: Int)](), count: names.count)
    for (number, link) in topology.links.enumerated() {
      guard let a = index[link.a], let b = index[link.b], a != b else { continue }
      neighbours[a].append((number, b))
      neighbours[b].append((number, a))
    }
    self.neighbours = neighbours
  }

  /// The tree of paths of a stream that names only known nodes: from its first node over `via` to every sink,
  /// shared as far as the paths share. What is wrong is added to `findings`.
  mutating func tree(of stream: Stream, _ number: Int, _ findings: inout [Finding]) -> [Hop] {
    var tree = [Hop(node: index[stream.from.node] ?? 0, distance: 0)]
    var end = 0
    for (which, name) in stream.via.enumerated() {
      let goal = index[name] ?? 0
      if goal == tree[end].node {
        findings.append(
          Finding(
            place: .via(stream: number, which), message: "\(Words.quote(name)) is where the path already is",
            remedy: "remove it from 'via'"))
        return tree
      }
      guard let last = extend(&tree, from: end, to: goal, shares: false, .via(stream: number, which), &findings)
      else { return tree }
      end = last
    }
    var served: Set<Int> = []
    for (which, sink) in stream.to.enumerated() {
      let place = Place.sink(stream: number, which)
      switch sink {
      case .host: tree[end].sinks.append(which)
      case .node(let port):
        guard let goal = index[port.node],
          let last = extend(&tree, from: end, to: goal, shares: true, place, &findings)
        else { continue }
        if !served.insert(goal).inserted {
          findings.append(
            Finding(
              place: place,
              message: "a second sink of stream \(Words.quote(stream.name)) on node \(Words.quote(port.node))",
              remedy: "keep one: a relay hands each packet up its own node's stack once"))
        }
        tree[last].sinks.append(which)
      }
    }
    return tree
  }

  /// Appends the hops from hop `start` to node `goal`, using those that are there already where `shares` is true.
  /// Returns the last hop, or nil, and reports, where there is no way.
  private mutating func extend(
    _ tree: inout [Hop], from start: Int, to goal: Int, shares: Bool, _ place: Place,
    _ findings: inout [Finding]
  ) -> Int? {
    guard let steps = steps(from: tree[start].node, to: goal) else {
      findings.append(
        Finding(
          place: place,
          message:
            "no links lead from node \(Words.quote(names[tree[start].node])) to \(Words.quote(names[goal]))",
          remedy: "add links, such as " + Words.quote("\(names[tree[start].node]) -- \(names[goal])"),
          cause: .noPath))
      return nil
    }
    var at = start
    for step in steps {
      if shares, let next = tree[at].next.first(where: { tree[$0].node == step.node }) {
        at = next
        continue
      }
      if tree.contains(where: { $0.node == step.node }) {
        findings.append(
          Finding(
            place: place,
            message:
              "the path to \(Words.quote(names[goal])) visits node \(Words.quote(names[step.node])) twice",
            remedy: "order 'via' differently, or leave some of it out"))
        return nil
      }
      tree.append(Hop(node: step.node, link: step.link, parent: at, distance: tree[at].distance + 1))
      tree[at].next.append(tree.count - 1)
      at = tree.count - 1
    }
    return at
  }

  /// The links and nodes from one node to another; nil where no links connect them.
  private mutating func steps(from root: Int, to goal: Int) -> [(link: Int, node: Int)]? {
    let before = before(root)
    var steps: [(link: Int, node: Int)] = []
    var node = goal
    while node != root {
      guard let step = before[node] else { return nil }
      steps.append((step.link, node))
      node = step.node
    }
    return steps.reversed()
  }

  /// Breadth first from the root: nodes are met in the order of the links that lead to them, which settles ties.
  private mutating func before(_ root: Int) -> [(link: Int, node: Int)?] {
    if let known = ways[root] { return known }
    var before: [(link: Int, node: Int)?] = Array(repeating: nil, count: names.count)
    var queue = [root]
    var head = 0
    while head < queue.count {
      let node = queue[head]
      head += 1
      for (link, neighbour) in neighbours[node] where neighbour != root && before[neighbour] == nil {
        before[neighbour] = (link, node)
        queue.append(neighbour)
      }
    }
    ways[root] = before
    return before
  }
}
