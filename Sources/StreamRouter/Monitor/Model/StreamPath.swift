import Topology

/// The way of one stream as the monitor's rows tell it: where it enters, each link and hop, each sink. A tree, as a hop
/// may send to several.
struct StreamPath {
  enum Place: Hashable {
    /// From outside, to the row with this index.
    case entry(to: Int)
    /// From row to row.
    case link(from: Int, to: Int)
    case hop(Int)
    /// A sink outside the overlay, or on the node itself, and the row that sends to it.
    case sink(RelaySink, from: Int)
    /// A sink that is a hop of which nothing is known.
    case unknownHop(RelaySink, from: Int)
  }

  struct Step: Hashable {
    var place: Place
    /// How many branches lead here.
    var depth: Int
  }

  /// Rows of the stream.
  let rows: [MonitorRow]
  /// As they are drawn, from top to bottom.
  private(set) var steps: [Step] = []

  init(stream: String, rows all: [MonitorRow]) {
    rows = all.filter { $0.relay.stream == stream }.sorted {
      ($0.relay.hop, $0.node) < ($1.relay.hop, $1.node)
    }
    let byNode = Dictionary(
      rows.enumerated().map { ($0.element.node, $0.offset) }, uniquingKeysWith: { first, _ in first })
    let fed = Set(rows.flatMap { row in row.relay.sinks.filter { $0.kind == .node }.map(\.name) })
    var visited: Set<Int> = []
    for index in rows.indices where !fed.contains(rows[index].node) {
      steps.append(Step(place: .entry(to: index), depth: 0))
      walk(index, depth: 0, byNode, &visited)
    }
    // What the snapshots of different moments leave without a beginning is shown all the same.
    for index in rows.indices where !visited.contains(index) {
      steps.append(Step(place: .entry(to: index), depth: 0))
      walk(index, depth: 0, byNode, &visited)
    }
  }

  private mutating func walk(_ index: Int, depth: Int, _ byNode: [String: Int], _ visited: inout Set<Int>) {
    guard visited.insert(index).inserted else { return }
    steps.append(Step(place: .hop(index), depth: depth))
    let sinks = rows[index].relay.sinks
    for (place, sink) in sinks.enumerated() {
      // The last goes straight on, so that a chain stays in one column.
      let below = place == sinks.count - 1 ? depth : depth + 1
      if sink.kind != .node {
        steps.append(Step(place: .sink(sink, from: index), depth: below))
      } else if let next = byNode[sink.name] {
        steps.append(Step(place: .link(from: index, to: next), depth: below))
        walk(next, depth: below, byNode, &visited)
      } else {
        steps.append(Step(place: .unknownHop(sink, from: index), depth: below))
      }
    }
  }

  /// Delay variation that a place adds itself, in seconds; nil where it is not known.
  func addedSeconds(_ place: Place) -> Double? {
    switch place {
    case .hop(let index): rows[index].addedSeconds
    case .link(_, let to): rows[to].linkAddedSeconds
    case .entry, .sink, .unknownHop: nil
    }
  }

  /// The place that adds clearly the most: a step of the histograms (25 %) more than any other. nil where none does.
  var worst: Place? {
    let added = steps.compactMap { step in addedSeconds(step.place).map { (step.place, $0) } }
      .sorted { $0.1 > $1.1 }
    guard let first = added.first, first.1 > 0, added.count > 1, first.1 > added[1].1 * 1.25 else {
      return nil
    }
    return first.0
  }

  /// The hops in the order in which they are drawn.
  var hops: [MonitorRow.ID] {
    steps.compactMap { if case .hop(let index) = $0.place { rows[index].id } else { nil } }
  }
}
