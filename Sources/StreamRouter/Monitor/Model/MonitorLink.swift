/// One link as one of its nodes probes it.
struct MonitorLink: Sendable {
  struct ID: Hashable, Sendable {
    var node: String
    var peer: String
  }

  /// The link's state in one word, the gravest that applies.
  enum Condition: String, Sendable {
    /// The node does not answer; figures are old.
    case stale
    /// It cannot be probed: ``LinkSnapshot/problem`` says why.
    case failed
    /// No test packet was answered lately.
    case silent
    /// None was sent long enough ago.
    case new
    /// Test packets were lost within the window.
    case loss
    case ok
  }

  /// Figures are over so long: one second has but a few test packets.
  static let windowNs: UInt64 = 30_000_000_000
  private static let stepNs: UInt64 = 3_000_000_000

  private struct Past: Sendable {
    var timeNs: UInt64
    var snapshot: LinkSnapshot
  }

  let node: String
  private(set) var snapshot: LinkSnapshot
  /// Over the window; nil after a single reading, and while the node is stale.
  private(set) var rates: LinkRates?
  private(set) var staleSeconds: Double?
  private var past: [Past] = []
  /// When the node took the snapshot, nanoseconds since 1970.
  private(set) var timeNs: UInt64

  var id: ID { ID(node: node, peer: snapshot.peer) }

  /// - Parameters:
  ///   - timeNs: When the node took it, nanoseconds since 1970.
  ///   - before: The same link in the reading before.
  init(node: String, _ snapshot: LinkSnapshot, timeNs: UInt64, staleSeconds: Double?, before: MonitorLink?) {
    self.node = node
    self.snapshot = snapshot
    self.timeNs = timeNs
    self.staleSeconds = staleSeconds
    guard let before, before.snapshot.remote == snapshot.remote, before.snapshot.sent <= snapshot.sent else {
      past = [Past(timeNs: timeNs, snapshot: snapshot)]
      return
    }
    past = before.past.filter { $0.timeNs &+ Self.windowNs >= timeNs }
    if let first = past.first, staleSeconds == nil {
      rates = LinkRates(from: first.snapshot, at: first.timeNs, to: snapshot, at: timeNs)
    }
    if (past.last.map { timeNs >= $0.timeNs &+ Self.stepNs }) ?? true {
      past.append(Past(timeNs: timeNs, snapshot: snapshot))
    }
  }

  var condition: Condition {
    if staleSeconds != nil { return .stale }
    if isSilent { return snapshot.problem == nil ? .silent : .failed }
    guard let rates, snapshot.answered > 0 else { return snapshot.problem == nil ? .new : .failed }
    return rates.lossRatio ?? 0 > 0 ? .loss : .ok
  }

  /// Whether nothing is answered, for whatever reason.
  var isMute: Bool { condition == .silent || condition == .failed }

  /// As long as an answer may take, and three test packets more.
  private var isSilent: Bool {
    let patience = LinkProbeSession.patienceNs + 3 * UInt64(max(1, snapshot.intervalMs)) * 1_000_000
    if snapshot.lastAnswerNs == 0 { return snapshot.lost > 0 }
    return timeNs > snapshot.lastAnswerNs &+ patience
  }

  /// Seconds since the latest answer, by the node's clock; nil before the first.
  var silentSeconds: Double? {
    guard snapshot.lastAnswerNs > 0 else { return nil }
    return timeNs > snapshot.lastAnswerNs ? Double(timeNs - snapshot.lastAnswerNs) / 1e9 : 0
  }
}

/// How far a node's clock is ahead of that of the first node, and how far that can be wrong.
struct NodeClock: Hashable, Sendable {
  var offsetNs: Int64
  var errorNs: UInt64

  /// `+1.20ms +-35.0us`.
  var text: String {
    func duration(_ ns: UInt64) -> String { Figure.duration(seconds: Double(ns) / 1e9) }
    return (offsetNs < 0 ? "-" : "+") + duration(offsetNs.magnitude) + " +-" + duration(errorNs)
  }

  /// The clocks of all nodes that links connect with the first one, over the links that know them best: offsets add up
  /// along the way, and so do their errors.
  static func all(_ nodes: [String], _ links: [MonitorLink]) -> [String: NodeClock] {
    guard let first = nodes.first else { return [:] }
    var neighbours: [String: [(name: String, clock: NodeClock)]] = [:]
    for link in links where link.staleSeconds == nil && link.condition != .silent && link.condition != .failed {
      guard let offset = link.snapshot.clockOffsetNs, let error = link.snapshot.clockErrorNs else { continue }
      let peer = link.snapshot.peer
      neighbours[link.node, default: []].append((peer, NodeClock(offsetNs: offset, errorNs: error)))
      neighbours[peer, default: []].append((link.node, NodeClock(offsetNs: 0 &- offset, errorNs: error)))
    }
    if neighbours[first] == nil { return [:] }
    var known: [String: NodeClock] = [:]
    var waiting: [String: NodeClock] = [first: NodeClock(offsetNs: 0, errorNs: 0)]
    while let next = waiting.min(by: { ($0.value.errorNs, $0.key) < ($1.value.errorNs, $1.key) }) {
      waiting[next.key] = nil
      known[next.key] = next.value
      for neighbour in neighbours[next.key] ?? [] where known[neighbour.name] == nil {
        let error = next.value.errorNs.addingReportingOverflow(neighbour.clock.errorNs)
        guard !error.overflow, error.partialValue < waiting[neighbour.name]?.errorNs ?? .max else { continue }
        waiting[neighbour.name] = NodeClock(
          offsetNs: next.value.offsetNs &+ neighbour.clock.offsetNs, errorNs: error.partialValue)
      }
    }
    return known
  }
}
