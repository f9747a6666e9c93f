import Topology

/// Makes a ``PeriodReport`` from the boards of a monitor, one after the other.
///
/// All is added up interval by interval: counters that begin anew in the middle, and nodes that are silent for a while,
/// then count for what they tell and no more.
struct PeriodBuilder {
  /// How much a hop did so far.
  private struct Sum {
    var row: MonitorRow
    /// Of the node, when the latest account was taken.
    var from: String?
    var seconds = 0.0
    var counters: [String: UInt64] = [:]
    var rtpLost: UInt64?
    var linkLost: UInt64?
    var jitterMaxSeconds: Double?
    var maxPacketsPerSecond: Double?
    var maxBitsPerSecond: Double?
    var restarts = 0
    var residence = ResidenceHistogram()
    var ipdv = ResidenceHistogram()
    var pdv = ResidenceHistogram()
    var sinkRoundTrip = ResidenceHistogram()
    var sourceRoundTrip = ResidenceHistogram()
    var parts: [Int: PartSum] = [:]
  }

  /// One hop in one part of the time.
  private struct PartSum {
    var seconds = 0.0
    var packets: UInt64 = 0
    var lost: UInt64?
    var counters: [String: UInt64] = [:]
    var jitterSeconds: Double?
    var residenceP99Seconds: Double?
  }

  private struct BreachKey: Hashable {
    var row: MonitorRow.ID
    var limit: StreamLimit
    var place: LimitBreach.Place
  }

  /// More parts than this no chart shows.
  private static let mostParts = 240
  static let mostEvents = 10_000

  private let intervalsInPart: Int
  private var intervals = 0
  private var part = -1
  private var timesNs: [UInt64] = []
  private var report = PeriodReport()
  private var sums: [MonitorRow.ID: Sum] = [:]
  private var nodes: [String: PeriodReport.Node] = [:]
  private var order: [String] = []
  private var links: [MonitorLink.ID: PeriodLink] = [:]
  private var linkOrder: [MonitorLink.ID] = []
  private var started: [String: UInt64] = [:]
  private var broken: [BreachKey: PeriodReport.Broken] = [:]
  private var brokenOrder: [BreachKey] = []
  private var lastNs: UInt64?

  /// - Parameter intervals: How many are expected; decides how fine the figures over time are.
  init(intervals: Int) { intervalsInPart = max(1, (intervals + Self.mostParts - 1) / Self.mostParts) }

  /// Takes what a board tells after its latest readings.
  ///
  /// - Parameter beginsAnew: Nothing lies between it and the board before.
  mutating func take(_ board: MonitorBoard, beginsAnew: Bool) {
    report.topology = board.topology.isEmpty ? report.topology : board.topology
    if report.readings == 0 { report.startNs = board.timeNs }
    report.readings += 1
    report.endNs = max(report.endNs, board.timeNs)
    let seconds = lastNs.map { board.timeNs > $0 && !beginsAnew ? Double(board.timeNs - $0) / 1e9 : 0 } ?? 0
    lastNs = board.timeNs
    take(board.nodes, seconds: seconds)
    for link in board.links {
      if links[link.id] == nil {
        linkOrder.append(link.id)
        links[link.id] = PeriodLink(link)
      } else {
        links[link.id]?.take(link, seconds: seconds)
      }
    }
    let senders = board.hopsBefore()
    if beginsAnew {
      // The figures over time have a gap here.
      if part >= 0 { beginPart(board.timeNs) }
      intervals = 0
    } else {
      if intervals % intervalsInPart == 0 { beginPart(board.timeNs) }
      intervals += 1
      timesNs[part] = board.timeNs
    }
    for (index, row) in board.rows.enumerated() {
      take(row, from: senders[index].map { board.rows[$0].node })
    }
    for breach in board.breaches { take(breach, board.timeNs, seconds) }
    let news = board.events.suffix(board.newEvents)
    report.events += news
    if report.events.count > Self.mostEvents {
      report.eventsLeftOut += report.events.count - Self.mostEvents
      report.events.removeFirst(report.events.count - Self.mostEvents)
    }
  }

  private mutating func beginPart(_ timeNs: UInt64) {
    part += 1
    timesNs.append(timeNs)
  }

  private mutating func take(_ found: [MonitorBoard.Node], seconds: Double) {
    for node in found {
      if nodes[node.name] == nil { order.append(node.name) }
      var sum = nodes[node.name] ?? PeriodReport.Node(name: node.name, condition: node.condition)
      sum.condition = node.condition
      if node.condition != .up {
        sum.silentSeconds += seconds
        sum.problem = node.reading.problem ?? sum.problem
      }
      if node.condition == .up, let snapshot = node.reading.snapshot {
        if let former = started[node.name], former != snapshot.startedNs { sum.restarts += 1 }
        started[node.name] = snapshot.startedNs
        sum.processors = snapshot.load.processors
        // The first reading stands for no time, and is known all the same.
        sum.runnableThreads.take(Double(snapshot.load.runnableThreads), seconds: max(seconds, 1e-9))
        let rates = node.rates
        sum.softirqShare.take(rates?.softirqShare, seconds: seconds)
        sum.pressureShare.take(rates?.pressureShare, seconds: seconds)
        sum.stealShare.take(rates?.stealShare, seconds: seconds)
        sum.ksoftirqdShare.take(rates?.ksoftirqdShare, seconds: seconds)
        sum.busiestNetRxShare.take(rates?.busiestNetRxShare, seconds: seconds)
      }
      nodes[node.name] = sum
    }
  }

  private mutating func take(_ row: MonitorRow, from: String?) {
    var sum = sums[row.id] ?? Sum(row: row)
    let former = sum.row.relay
    sum.row = row
    sum.from = from ?? sum.from
    defer { sums[row.id] = sum }
    // An answer that is repeated or old tells nothing of this interval.
    guard row.staleSeconds == nil, !row.isRepeated, let rates = row.rates else { return }
    sum.seconds += rates.intervalSeconds
    sum.counters.merge(rates.counters, uniquingKeysWith: Plausible.sum)
    if let lost = rates.rtpLost { sum.rtpLost = Plausible.sum(sum.rtpLost ?? 0, lost) }
    if let lost = row.linkLost { sum.linkLost = Plausible.sum(sum.linkLost ?? 0, lost) }
    sum.jitterMaxSeconds = Self.larger(sum.jitterMaxSeconds, rates.jitterSeconds)
    sum.maxPacketsPerSecond = Self.larger(sum.maxPacketsPerSecond, rates.packetsPerSecond)
    sum.maxBitsPerSecond = Self.larger(sum.maxBitsPerSecond, rates.bitsPerSecond)
    if rates.restarted { sum.restarts += 1 }
    let before = rates.restarted ? nil : former
    sum.residence.add(row.relay.residence, since: before?.residence)
    sum.ipdv.add(row.relay.ipdv.durations, since: before?.ipdv.durations)
    sum.pdv.add(row.relay.pdv.durations, since: before?.pdv.durations)
    if let tcp = row.relay.tcp {
      sum.sinkRoundTrip.add(tcp.sinkRoundTrip.durations, since: before?.tcp?.sinkRoundTrip.durations)
      sum.sourceRoundTrip.add(tcp.sourceRoundTrip.durations, since: before?.tcp?.sourceRoundTrip.durations)
    }
    guard part >= 0 else { return }
    var piece = sum.parts[part] ?? PartSum()
    piece.seconds += rates.intervalSeconds
    piece.packets = Plausible.sum(piece.packets, rates.counters["packets_in"] ?? 0)
    if let lost = rates.rtpLost { piece.lost = Plausible.sum(piece.lost ?? 0, lost) }
    for name in ["rtp_packets", "rtp_duplicates"] {
      piece.counters[name] = Plausible.sum(piece.counters[name] ?? 0, rates.counters[name] ?? 0)
    }
    piece.jitterSeconds = Self.larger(piece.jitterSeconds, rates.jitterSeconds)
    piece.residenceP99Seconds = Self.larger(piece.residenceP99Seconds, rates.residence?.p99Seconds)
    sum.parts[part] = piece
  }

  private static func larger(_ a: Double?, _ b: Double?) -> Double? {
    guard let a, let b else { return a ?? b }
    return max(a, b)
  }

  private mutating func take(_ breach: LimitBreach, _ timeNs: UInt64, _ seconds: Double) {
    let key = BreachKey(row: breach.row, limit: breach.limit, place: breach.place)
    guard var known = broken[key] else {
      broken[key] = PeriodReport.Broken(worst: breach, firstNs: timeNs, lastNs: timeNs, seconds: seconds)
      brokenOrder.append(key)
      return
    }
    known.lastNs = timeNs
    known.seconds += seconds
    if breach.isWorse(than: known.worst) { known.worst = breach }
    broken[key] = known
  }

  /// What was found so far.
  func result() -> PeriodReport {
    var report = self.report
    report.timesNs = timesNs
    report.nodes = order.compactMap { nodes[$0] }
    report.links = linkOrder.compactMap { links[$0] }
    let broken = brokenOrder.compactMap { self.broken[$0] }
    let hops = Dictionary(grouping: sums.values.map(hop), by: \.row.relay.stream)
    report.streams = hops.keys.sorted(by: NaturalOrder.isLess).map { name in
      var hops = hops[name]!.sorted { ($0.row.relay.hop, $0.row.node) < ($1.row.relay.hop, $1.row.node) }
      for index in hops.indices {
        let sender = hops.first { $0.row.node == hops[index].from }?.row
        hops[index].row.linkAddedSeconds = sender.flatMap {
          MonitorBoard.added(from: $0.rates, to: hops[index].row.rates)
        }
      }
      return PeriodReport.Stream(
        name: name, transport: hops[0].row.relay.transport,
        limits: hops.lazy.compactMap(\.row.relay.limits).first, hops: hops,
        broken: broken.filter { $0.worst.stream == name })
    }
    return report
  }

  private func hop(_ sum: Sum) -> PeriodHop {
    var row = sum.row
    // What was told before the time began counts no more than what a silent node's next answer will.
    row.relay.jitterMaxSeconds = sum.jitterMaxSeconds ?? row.relay.jitterSeconds
    row.linkLost = sum.linkLost
    row.breaches = brokenOrder.compactMap { broken[$0]?.worst }.filter { $0.row == row.id }
    row.rates = nil
    if sum.seconds > 0 {
      row.staleSeconds = nil
      row.rates = RelayRates(
        intervalSeconds: sum.seconds, counters: sum.counters, rtpLost: sum.rtpLost,
        jitterSeconds: sum.jitterMaxSeconds, residence: ResidenceSummary(sum.residence),
        ipdv: ResidenceSummary(sum.ipdv), pdv: ResidenceSummary(sum.pdv),
        sinkRoundTrip: ResidenceSummary(sum.sinkRoundTrip),
        sourceRoundTrip: ResidenceSummary(sum.sourceRoundTrip))
    }
    return PeriodHop(
      row: row, from: sum.from, seconds: sum.seconds, maxPacketsPerSecond: sum.maxPacketsPerSecond,
      maxBitsPerSecond: sum.maxBitsPerSecond, restarts: sum.restarts, residence: sum.residence,
      ipdv: sum.ipdv, pdv: sum.pdv, sinkRoundTrip: sum.sinkRoundTrip, sourceRoundTrip: sum.sourceRoundTrip,
      parts: timesNs.indices.map { sum.parts[$0].flatMap(Self.part) })
  }

  private static func part(_ sum: PartSum) -> PeriodHop.Part? {
    guard sum.seconds > 0 else { return nil }
    return PeriodHop.Part(
      packetsPerSecond: Double(sum.packets) / sum.seconds,
      lossRatio: sum.lost.flatMap { RelayRates.lossRatio(lost: $0, counters: sum.counters) },
      jitterSeconds: sum.jitterSeconds, residenceP99Seconds: sum.residenceP99Seconds)
  }
}

extension ResidenceHistogram {
  /// Adds what came in between an earlier reading and a later one; nil: all that the later one has. The maximum becomes
  /// the larger one of the intervals.
  mutating func add(_ later: ResidenceHistogram, since earlier: ResidenceHistogram?) {
    let interval = earlier.map(later.since) ?? later
    for bucket in counts.indices where bucket < interval.counts.count {
      counts[bucket] = Plausible.sum(counts[bucket], interval.counts[bucket])
    }
    maxNs = max(maxNs, interval.intervalMaxNs(maxBeforeNs: earlier?.maxNs ?? 0))
    // A sum of nanoseconds is in no ratio of the report.
    sumNs &+= interval.sumNs
  }
}
