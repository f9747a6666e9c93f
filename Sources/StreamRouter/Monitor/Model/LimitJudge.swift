import Topology

/// Judges the streams of one interval by their limits, and finds which hop broke each limit first, and why.
///
/// What a stream suffers at one hop, all hops behind it show too. A hop is named where the stream was within the limit
/// at the hop before, and where what it adds itself breaks the limit; no hop is named for what came in to it already.
struct LimitJudge {
  let rows: [MonitorRow]
  private let nodes: [String: MonitorBoard.Node]
  /// The row of the hop before, by the row's index; the hop may be stale.
  private let before: [Int: Int]
  /// Rows of streams with limits, each behind its hop before.
  private let judged: [Int]

  init(rows: [MonitorRow], nodes: [MonitorBoard.Node], before: [Int: Int]) {
    self.rows = rows
    self.nodes = Dictionary(nodes.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    self.before = before
    judged = rows.indices.filter { rows[$0].relay.limits != nil && Self.rates(of: rows[$0]) != nil }.sorted {
      (rows[$0].relay.stream, rows[$0].relay.hop, rows[$0].node)
        < (rows[$1].relay.stream, rows[$1].relay.hop, rows[$1].node)
    }
  }

  /// In the order of the streams' names, hops and limits.
  func breaches() -> [LimitBreach] {
    var found: [LimitBreach] = []
    /// Ratio of the stream's packets that were gone behind each row, from where the stream entered.
    var gone: [Int: Double] = [:]
    for index in judged {
      for limit in rows[index].relay.limits?.limits ?? [] {
        switch limit.figure {
        case .loss: found += loss(limit, at: index, &gone)
        case .rate: found += rate(limit, at: index)
        case .residence: found += residence(limit, at: index)
        case .jitter, .ipdv, .pdv: found += variation(limit, at: index)
        }
      }
    }
    return found
  }

  /// What is known of a row's interval; nil where nothing is.
  private static func rates(of row: MonitorRow) -> RelayRates? {
    guard row.staleSeconds == nil, let rates = row.rates, !rates.restarted else { return nil }
    return rates
  }

  private func rates(of index: Int) -> RelayRates? { Self.rates(of: rows[index]) }

  /// The account of the hop before, where it is read.
  private func ratesBefore(_ index: Int) -> (row: MonitorRow, rates: RelayRates)? {
    before[index].flatMap { index in rates(of: index).map { (rows[index], $0) } }
  }

  /// Where packets come from to this hop.
  private func wayTo(_ index: Int) -> LimitBreach.Place {
    if rows[index].relay.hop == 0 { return .beforeOverlay }
    return .link(from: before[index].map { rows[$0].node }, to: rows[index].node)
  }

  private func breach(
    _ limit: StreamLimit, _ measured: Double, at index: Int, _ place: LimitBreach.Place, _ cause: String
  ) -> LimitBreach {
    let row = rows[index]
    return LimitBreach(
      stream: row.relay.stream, hop: row.relay.hop, node: row.node, limit: limit, measured: measured,
      place: place,
      cause: cause)
  }

  // MARK: Loss

  /// Causes of drops that say nothing of the stream: a stranger's packets, and what an extension is meant to drop.
  private static let unrelated: Set = ["drop_source", "drop_extension"]

  private func loss(_ limit: StreamLimit, at index: Int, _ gone: inout [Int: Double]) -> [LimitBreach] {
    guard let rates = rates(of: index), let allowed = limit.atMost else { return [] }
    let row = rows[index]
    let drops = Counter.drops.filter { !Self.unrelated.contains($0.name) }
      .map { ($0.name, rates.counters[$0.name] ?? 0) }.filter { $0.1 > 0 }
    let queue = rates.counters["drop_queue"] ?? 0
    var missing = row.linkLost ?? 0
    // Where the stream enters, what found the queue full is missing in the sequence too.
    if before[index] == nil { missing = missing > queue ? missing - queue : 0 }
    let arrived = (rates.counters[row.relay.transport == .rtp ? "rtp_packets" : "packets_in"] ?? 0) + queue
    let dropped = drops.reduce(0) { $0 + $1.1 }
    var passed = before[index].flatMap { gone[$0] } ?? 0
    var found: [LimitBreach] = []
    func add(_ own: Double, _ place: LimitBreach.Place, _ cause: String) {
      let sum = passed + (1 - passed) * own
      if own > 0, sum > allowed, passed <= allowed || own > allowed {
        found.append(breach(limit, passed <= allowed ? sum : own, at: index, place, cause))
      }
      passed = sum
    }
    if missing > 0 {
      let way = wayTo(index)
      add(
        Double(missing) / Double(arrived + missing), way,
        way == .beforeOverlay ? "lost before the overlay, on the way to node \(row.node)" : "lost on \(way)")
    }
    if dropped > 0 {
      let names = drops.sorted { $0.1 > $1.1 }.map(\.0).joined(separator: ", ")
      add(
        min(1, Double(dropped) / Double(max(arrived, dropped))), .node(row.node),
        "dropped at node \(row.node) (\(names))")
    }
    gone[index] = passed
    return found
  }

  // MARK: Rate

  private func rate(_ limit: StreamLimit, at index: Int) -> [LimitBreach] {
    guard let rates = rates(of: index) else { return [] }
    let measured = rates.bitsPerSecond
    let isLow = limit.atLeast.map { measured < $0 } ?? false
    let isHigh = limit.atMost.map { measured > $0 } ?? false
    let former = ratesBefore(index)
    if let former {
      if isLow, limit.atLeast.map({ former.rates.bitsPerSecond < $0 }) ?? false { return [] }
      if isHigh, limit.atMost.map({ former.rates.bitsPerSecond > $0 }) ?? false { return [] }
    }
    guard isLow || isHigh else { return [] }
    let way = wayTo(index)
    guard way != .beforeOverlay else {
      return [breach(limit, measured, at: index, way, "that is what arrives from before the overlay")]
    }
    if isLow, let former, former.rates.dropped > 0, let sender = before[index] {
      let names = Counter.drops.filter { former.rates.counters[$0.name] ?? 0 > 0 }.map(\.name)
      return [
        breach(
          limit, measured, at: sender, .node(former.row.node),
          "dropped at node \(former.row.node) (\(names.joined(separator: ", "))), measured at node \(rows[index].node)"
        )
      ]
    }
    let lost = isLow && rows[index].linkLost ?? 0 > 0
    return [
      breach(limit, measured, at: index, way, lost ? "lost on \(way)" : "that is what comes in over \(way)")
    ]
  }

  // MARK: Delay

  private func residence(_ limit: StreamLimit, at index: Int) -> [LimitBreach] {
    guard let allowed = limit.atMost, let measured = value(limit, at: index), measured > allowed else {
      return []
    }
    let row = rows[index]
    return [
      breach(
        limit, measured, at: index, .node(row.node),
        "added delay at node \(row.node), engine \(row.relay.engine.rawValue)" + load(of: row.node))
    ]
  }

  private func variation(_ limit: StreamLimit, at index: Int) -> [LimitBreach] {
    guard let allowed = limit.atMost, let measured = value(limit, at: index), measured > allowed else {
      return []
    }
    let former = ratesBefore(index)
    let cameIn = before[index].flatMap { value(limit, at: $0) } ?? 0
    // What came in may be over the limit already. Summaries are up to 25 % too high, so only what more than doubles it
    // is this hop's own fault.
    if cameIn > allowed, measured - cameIn <= allowed || measured <= 2 * cameIn { return [] }
    let figure = limit.figure.rawValue
    // Packets that stay differently long at the hop before arrive unevenly here.
    if let former, let stay = former.rates.residence, let sender = before[index] {
      let spread = Self.share(limit.share ?? .p99, of: stay) - stay.p50Seconds
      if spread >= (measured - cameIn) / 2 {
        return [
          breach(
            limit, measured, at: sender, .node(former.row.node),
            "added delay varies at node \(former.row.node), engine \(former.row.relay.engine.rawValue) (residence p50 "
              + "\(Figure.duration(seconds: stay.p50Seconds)), max \(Figure.duration(seconds: stay.maxSeconds)))"
              + load(of: former.row.node) + "; \(figure) measured at node \(rows[index].node)")
        ]
      }
    }
    let way = wayTo(index)
    let cause =
      switch way {
      case .beforeOverlay:
        "it varies so before the overlay: by the source, or on the way to node \(rows[index].node)"
      case .link(nil, _): "it came in over \(way); the hop before is not read"
      default: "it came in over \(way), with \(Figure.duration(seconds: cameIn)) before it"
      }
    return [breach(limit, measured, at: index, way, cause)]
  }

  /// What was measured of a duration at a row; nil where no packet was.
  private func value(_ limit: StreamLimit, at index: Int) -> Double? {
    guard let rates = rates(of: index) else { return nil }
    func summary(_ summary: ResidenceSummary?) -> Double? {
      summary.map { Self.share(limit.share ?? .max, of: $0) }
    }
    switch limit.figure {
    case .jitter: return rates.jitterSeconds
    case .ipdv: return summary(rates.ipdv)
    case .pdv: return summary(rates.pdv)
    case .residence: return summary(rates.residence)
    case .loss, .rate: return nil
    }
  }

  private static func share(_ share: StreamLimit.Share, of summary: ResidenceSummary) -> Double {
    switch share {
    case .p50: summary.p50Seconds
    case .p99: summary.p99Seconds
    case .p999: summary.p999Seconds
    case .max: summary.maxSeconds
    }
  }

  /// How busy the node was, where that explains delay; empty where it was not.
  private func load(of name: String) -> String {
    guard let node = nodes[name], let load = node.reading.snapshot?.load else { return "" }
    var signs: [String] = []
    if load.runnableThreads > load.processors {
      signs.append("\(load.runnableThreads) threads ready to run on \(load.processors) processors")
    }
    let shares = [
      (node.rates?.pressureShare, 0.1, "of the time a thread waited for a processor"),
      (node.rates?.stealShare, 0.05, "of processor time taken by the hypervisor"),
      (node.rates?.softirqShare, 0.5, "of processor time in softirq"),
    ]
    for case (let share?, let least, let text) in shares where share >= least {
      signs.append("\(Figure.percent(share))% \(text)")
    }
    return signs.isEmpty ? "" : ", under CPU load: " + signs.joined(separator: ", ")
  }
}
