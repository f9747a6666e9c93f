import Topology

/// What `streamrouter check` found: for each stream with limits, which of them were broken, when, where and why.
public struct LimitCheckReport: Sendable {
  /// One limit that one hop broke, over all intervals.
  struct Broken: Sendable {
    /// That of the worst interval.
    var worst: LimitBreach
    /// Ends of the first and the last interval in which it was broken, nanoseconds since 1970.
    var firstNs: UInt64
    var lastNs: UInt64
    var intervals = 1
  }

  struct Stream: Sendable {
    var name: String
    var limits: StreamLimits
    /// Packets that arrived at the first hop while it was judged.
    var packets: UInt64 = 0
    /// Whether any node's account of it was judged.
    var isJudged = false
    /// In the order in which they were broken.
    var broken: [Broken] = []
  }

  var topology = ""
  let intervalSeconds: Double
  let startNs: UInt64
  private(set) var endNs: UInt64
  /// How many were judged.
  private(set) var intervals = 0
  /// By name.
  private(set) var streams: [Stream] = []
  /// Nodes that did not answer at some time, whose hops could not be judged then, and why.
  private(set) var silent: [String: String] = [:]

  init(intervalSeconds: Double, startNs: UInt64) {
    self.intervalSeconds = intervalSeconds
    self.startNs = startNs
    endNs = startNs
  }

  public var isBroken: Bool { streams.contains { !$0.broken.isEmpty } }

  /// What kept streams from being judged, a sentence each; nothing is known to be well where there is one.
  public var gaps: [String] {
    if intervals == 0 { return ["ended before the first interval was over: nothing was judged"] }
    return silent.sorted { $0.key < $1.key }.map {
      "node \($0.key) did not answer all the time (\($0.value)): its hops were not judged then"
    }
      + streams.filter { !$0.isJudged }.map {
        "stream \($0.name) was not judged: no node that answers runs it; bring the file up with 'streamrouter lab up'"
      }
  }

  /// What is no fault, but may not be what the user thinks it is.
  public var notes: [String] {
    streams.filter { $0.isJudged && $0.packets == 0 && $0.broken.isEmpty }.map {
      "stream \($0.name) carried no packet; expect a rate, such as rate: 1k.., to have that count as broken"
    }
  }

  /// Takes one interval in.
  ///
  /// - Returns: Breaches that were not seen before.
  mutating func take(_ board: MonitorBoard, limits: [String: StreamLimits]) -> [LimitBreach] {
    intervals += 1
    topology = board.topology
    endNs = board.timeNs
    for (name, limits) in limits.sorted(by: { $0.key < $1.key })
    where !streams.contains(where: { $0.name == name }) {
      streams.append(Stream(name: name, limits: limits))
    }
    for node in board.nodes where node.condition != .up {
      silent[node.name] = node.reading.problem ?? "no answer"
    }
    let places = Dictionary(uniqueKeysWithValues: streams.enumerated().map { ($0.element.name, $0.offset) })
    for row in board.rows {
      guard let place = places[row.relay.stream], row.staleSeconds == nil, let rates = row.rates else {
        continue
      }
      streams[place].isJudged = true
      if row.relay.hop == 0, !row.isRepeated { streams[place].packets += rates.counters["packets_in"] ?? 0 }
    }
    return board.breaches.filter { breach in
      places[breach.stream].map { streams[$0].take(breach, timeNs: board.timeNs) } ?? false
    }
  }
}

extension LimitCheckReport.Stream {
  /// Returns whether it is a new one.
  fileprivate mutating func take(_ breach: LimitBreach, timeNs: UInt64) -> Bool {
    let same = broken.firstIndex {
      $0.worst.row == breach.row && $0.worst.limit == breach.limit && $0.worst.place == breach.place
    }
    guard let same else {
      broken.append(.init(worst: breach, firstNs: timeNs, lastNs: timeNs))
      return true
    }
    broken[same].lastNs = timeNs
    broken[same].intervals += 1
    if breach.isWorse(than: broken[same].worst) { broken[same].worst = breach }
    return false
  }
}

extension LimitBreach {
  /// Whether it is further beyond the same limit.
  func isWorse(than other: LimitBreach) -> Bool {
    if let low = limit.atLeast, measured < low { return measured < other.measured }
    return measured > other.measured
  }
}

// MARK: - Text

extension LimitCheckReport {
  /// For people, some lines without a line break at the end.
  public var text: String {
    let title = "\(topology): \(intervals) intervals of \(Figure.duration(seconds: intervalSeconds))"
    return ([title] + streams.flatMap(lines)).joined(separator: "\n")
  }

  private func lines(_ stream: Stream) -> [String] {
    let state = !stream.broken.isEmpty ? "BROKEN" : stream.isJudged ? "ok" : "not judged"
    let limits = stream.limits.limits.map(\.description).joined(separator: ", ")
    return ["\(stream.name): \(state); \(Figure.grouped(stream.packets)) packets, \(limits)"]
      + stream.broken.flatMap { broken in
        [
          "  hop \(broken.worst.hop), node \(broken.worst.node): \(broken.worst)",
          "    from \(Figure.clock(timeNs: broken.firstNs)) to \(Figure.clock(timeNs: broken.lastNs)) UTC, in "
            + "\(broken.intervals) of \(intervals) intervals",
        ]
      }
  }
}

// MARK: - JSON

extension LimitCheckReport: Encodable {
  private struct StreamDocument: Encodable {
    var stream: String
    var isJudged: Bool
    var packets: UInt64
    var limits: [LimitDocument]
    var broken: [BrokenDocument]
  }

  private struct BrokenDocument: Encodable {
    /// That of the worst interval.
    var worst: BreachDocument
    var firstTime: String
    var lastTime: String
    var intervals: Int
  }

  private enum Key: String, CodingKey {
    case topology, start, end, intervalSeconds, intervals, isBroken, gaps, notes, streams
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(topology, forKey: .topology)
    try container.encode(MonitorDocument.text(timeNs: startNs), forKey: .start)
    try container.encode(MonitorDocument.text(timeNs: endNs), forKey: .end)
    try container.encode(intervalSeconds, forKey: .intervalSeconds)
    try container.encode(intervals, forKey: .intervals)
    try container.encode(isBroken, forKey: .isBroken)
    try container.encode(gaps, forKey: .gaps)
    try container.encode(notes, forKey: .notes)
    let documents = streams.map { stream in
      StreamDocument(
        stream: stream.name, isJudged: stream.isJudged, packets: stream.packets,
        limits: stream.limits.limits.map(LimitDocument.init),
        broken: stream.broken.map {
          BrokenDocument(
            worst: BreachDocument($0.worst), firstTime: MonitorDocument.text(timeNs: $0.firstNs),
            lastTime: MonitorDocument.text(timeNs: $0.lastNs), intervals: $0.intervals)
        })
    }
    try container.encode(documents, forKey: .streams)
  }
}
