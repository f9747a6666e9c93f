import Topology

/// All that the readings so far tell: the nodes and their relays, with rates over the last interval.
///
/// A value without clock or terminal: readings and the time come in, rows come out. Live view and reports share
/// it, so that they cannot disagree.
struct MonitorBoard: Sendable {
  /// One node's latest reading, and how busy it was in the last interval.
  struct Node: Sendable {
    enum Condition: String, Sendable {
      case up
      /// It answered once, and does not now.
      case stale
      /// It has never answered.
      case down
    }

    var reading: NodeReading
    var rates: NodeRates?
    var history = NodeHistory()
    /// Packets a second that arrived at the node's relays in the last interval; nil where nothing is known of it.
    var packetsPerSecond: Double?
    /// Against the first node's, by test packets; nil where none tell.
    var clock: NodeClock?

    var name: String { reading.node }
    var condition: Condition {
      if reading.snapshot == nil { return .down }
      return reading.staleSeconds == nil ? .up : .stale
    }
  }

  /// The topology's name, as the nodes say it; empty before the first answer.
  private(set) var topology = ""
  /// When the latest readings were taken, nanoseconds since 1970.
  private(set) var timeNs: UInt64 = 0
  /// In the order of the topology.
  private(set) var nodes: [Node] = []
  /// In the order of the nodes, then as each node reports them.
  private(set) var rows: [MonitorRow] = []
  /// In the order of the nodes that probe them, then as each node reports them.
  private(set) var links: [MonitorLink] = []

  /// Which limits were broken in the latest interval, in the order of the streams' names, hops and limits.
  private(set) var breaches: [LimitBreach] = []

  /// What streams are judged by instead of what the nodes say of them; nil: what the nodes say.
  var limits: [String: StreamLimits]?

  init(limits: [String: StreamLimits]? = nil) { self.limits = limits }

  /// What happened so far, the oldest first; of more than ``mostEvents`` the latest.
  private(set) var events: [MonitorEvent] = []
  /// How many of ``events`` the latest readings told.
  private(set) var newEvents = 0
  static let mostEvents = 1000

  /// Whether any node gave an answer in the latest readings.
  var anyNodeUp: Bool { nodes.contains { $0.condition == .up } }

  func count(_ condition: Node.Condition) -> Int { nodes.count { $0.condition == condition } }

  /// Takes one reading of every node; `timeNs` is when, in nanoseconds since 1970.
  mutating func take(_ readings: [NodeReading], timeNs: UInt64) {
    let before = self
    update(readings, timeNs: timeNs)
    let news = MonitorEvent.between(before, self)
    events = (events + news).suffix(Self.mostEvents)
    newEvents = min(news.count, Self.mostEvents)
  }

  /// What comes next has nothing to do with what was before: no rates and no events lie between. Events stay.
  mutating func beginAnew() { (nodes, rows, links, breaches, newEvents) = ([], [], [], [], 0) }

  private mutating func update(_ readings: [NodeReading], timeNs: UInt64) {
    let nodesBefore = Dictionary(nodes.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let rowsBefore = FormerRows(rows)
    let linksBefore = Dictionary(links.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    self.timeNs = timeNs
    nodes = []
    rows = []
    links = []
    for var reading in readings {
      let before = nodesBefore[reading.node]
      // A node that fell silent keeps its last answer, whether or not the source still has it.
      if reading.snapshot == nil, let last = before?.reading.snapshot {
        reading.snapshot = last
        reading.staleSeconds = reading.staleSeconds ?? Self.age(of: last, timeNs: timeNs)
      }
      if let name = reading.snapshot?.topology { topology = name }
      take(reading, before: before, rowsBefore: rowsBefore)
      for link in reading.snapshot?.links ?? [] {
        links.append(
          MonitorLink(
            node: reading.node, link, timeNs: reading.snapshot?.timeNs ?? timeNs,
            staleSeconds: reading.staleSeconds,
            before: linksBefore[MonitorLink.ID(node: reading.node, peer: link.peer)]))
      }
    }
    let clocks = NodeClock.all(nodes.map(\.name), links)
    for index in nodes.indices { nodes[index].clock = clocks[nodes[index].name] }
    let before = hopsBefore()
    judgeLinks(before)
    breaches = LimitJudge(rows: rows, nodes: nodes, before: before).breaches()
    for breach in breaches {
      guard let row = rows.firstIndex(where: { $0.id == breach.row }) else { continue }
      rows[row].breaches.append(breach)
    }
  }

  /// The row that sends to each row, by index: the way of each stream from hop to hop. Either may be stale.
  func hopsBefore() -> [Int: Int] {
    struct Hop: Hashable {
      var stream: String
      var node: String
    }
    var senders: [Hop: Int] = [:]
    for (index, row) in rows.enumerated() {
      for sink in row.relay.sinks where sink.kind == .node {
        senders[Hop(stream: row.relay.stream, node: sink.name)] = index
      }
    }
    return Dictionary(
      uniqueKeysWithValues: rows.enumerated().compactMap { index, row in
        senders[Hop(stream: row.relay.stream, node: row.node)].map { (index, $0) }
      })
  }

  /// Where the hop before is not known to the monitor, what is missing counts as lost on the way from there. A repeated
  /// answer says nothing new about a link.
  private mutating func judgeLinks(_ before: [Int: Int]) {
    // By place: a row is too large to be copied for a look at it.
    func end(_ row: Int) -> LinkLoss.End { .init(relay: rows[row].relay, rates: rows[row].rates) }
    for index in rows.indices where rows[index].staleSeconds == nil {
      if rows[index].isRepeated { continue }
      let sender = before[index]
      rows[index].linkLost = rows[index].link.update(
        received: end(index), sent: sender.flatMap { rows[$0].staleSeconds == nil ? end($0) : nil })
      rows[index].linkAddedSeconds = sender.flatMap { Self.added(from: rows[$0].rates, to: rows[index].rates) }
    }
    for index in rows.indices { rows[index].history.record(rows[index], timeNs: timeNs) }
    for index in nodes.indices { nodes[index].history.record(nodes[index], timeNs: timeNs) }
  }

  /// ``MonitorRow/linkAddedSeconds`` of a row, from its rates and those of the row that sends to it.
  static func added(from sender: RelayRates?, to receiver: RelayRates?) -> Double? {
    guard let sender, let receiver, let stay = sender.residence else { return nil }
    // Packets that wait behind others arrive evenly again: only the delay over the quickest packet's shows it. Without
    // timestamps there is no such delay.
    let (here, there) =
      receiver.pdv != nil && sender.pdv != nil ? (receiver.pdv, sender.pdv) : (receiver.ipdv, sender.ipdv)
    guard let here, let there else { return nil }
    return max(0, here.p99Seconds - there.p99Seconds - (stay.p99Seconds - stay.p50Seconds))
  }

  private mutating func take(
    _ reading: NodeReading, before: Node?, rowsBefore: FormerRows
  ) {
    guard let snapshot = reading.snapshot else {
      nodes.append(Node(reading: reading, history: before?.history ?? NodeHistory()))
      return
    }
    let last = before?.reading.snapshot
    // The same answer again says nothing new: what was known about its interval stays.
    let isRepeated = last?.timeNs == snapshot.timeNs
    var node = Node(reading: reading, history: before?.history ?? NodeHistory())
    if reading.staleSeconds == nil, let last {
      node.rates = isRepeated ? before?.rates : NodeRates(from: last, to: snapshot)
    }
    let firstRow = rows.count
    defer { nodes.append(node) }
    for var relay in snapshot.relays {
      if let limits { relay.limits = limits[relay.stream] }
      var row = MonitorRow(node: reading.node, relay: relay, staleSeconds: reading.staleSeconds)
      if let known = rowsBefore[row.id] {
        row.history = known.history
        row.link = known.link
        row.linkLost = known.linkLost
        row.linkAddedSeconds = known.linkAddedSeconds
        row.isRepeated = isRepeated
        if reading.staleSeconds == nil, let last {
          row.rates =
            isRepeated
            ? known.rates
            : RelayRates(from: known.relay, at: last.timeNs, to: relay, at: snapshot.timeNs)
        }
      }
      rows.append(row)
    }
    let rates = rows[firstRow...].compactMap(\.rates)
    if !rates.isEmpty || snapshot.relays.isEmpty, node.rates != nil {
      node.packetsPerSecond = rates.reduce(0) { $0 + $1.packetsPerSecond }
    }
  }

  /// The rows of the readings before. A row is large, so that only its place is kept.
  private struct FormerRows {
    private let rows: [MonitorRow]
    private let places: [MonitorRow.ID: Int]

    init(_ rows: [MonitorRow]) {
      self.rows = rows
      places = Dictionary(
        rows.indices.map { (rows[$0].id, $0) }, uniquingKeysWith: { first, _ in first })
    }

    subscript(id: MonitorRow.ID) -> MonitorRow? { places[id].map { rows[$0] } }
  }

  private static func age(of snapshot: NodeSnapshot, timeNs: UInt64) -> Double {
    timeNs > snapshot.timeNs ? Double(timeNs - snapshot.timeNs) / 1e9 : 0
  }
}
