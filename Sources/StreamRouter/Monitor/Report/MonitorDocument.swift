import FoundationEssentials

/// The JSON form of what the monitor knows: one document with every node and relay, rates over the last interval
/// and cumulative counters side by side. Numbers are numbers, names carry their unit, and what is not known is
/// null, so that every document has the same members.
struct MonitorDocument: Encodable {
  /// Changes when a member is renamed or removed.
  static let version = 1

  struct Node: Encodable {
    var node: String
    var state: String
    /// Seconds since the last answer; null while the node answers, and where it never did.
    @OrNull var staleSeconds: Double?
    @OrNull var problem: String?
    /// When the node took the snapshot.
    @OrNull var time: String?
    @OrNull var started: String?
    @OrNull var pid: Int32?
    @OrNull var load: Load?
    @OrNull var datapath: [String: UInt64]?
    var relays: [Relay]
    /// What test packets tell.
    var links: [LinkDocument]
    /// How far its clock is ahead of the first node's, by test packets, and how far that can be wrong.
    @OrNull var clockOffsetSeconds: Double?
    @OrNull var clockErrorSeconds: Double?
  }

  struct Load: Encodable {
    var runnableThreads: Int
    var processors: Int
    @OrNull var softirqShare: Double?
    var softirqSeconds: Double
    var totalSeconds: Double
    @OrNull var stealShare: Double?
    @OrNull var stealSeconds: Double?
    @OrNull var ksoftirqdShare: Double?
    @OrNull var ksoftirqdSeconds: Double?
    /// Of the interval: the share in which a thread waited for a processor; and the kernel's average of ten seconds.
    @OrNull var cpuPressureShare: Double?
    @OrNull var cpuPressureTenSecondShare: Double?
    @OrNull var cpuPressureSeconds: Double?
    @OrNull var busiestNetRxShare: Double?
    @OrNull var byProcessor: [NodeLoad.Processor]?

    init(_ load: NodeLoad, _ rates: NodeRates?) {
      runnableThreads = load.runnableThreads
      processors = load.processors
      _softirqShare = OrNull(rates?.softirqShare)
      softirqSeconds = load.softirqSeconds
      totalSeconds = load.totalSeconds
      _stealShare = OrNull(rates?.stealShare)
      _stealSeconds = OrNull(load.stealSeconds)
      _ksoftirqdShare = OrNull(rates?.ksoftirqdShare)
      _ksoftirqdSeconds = OrNull(load.ksoftirqdSeconds)
      _cpuPressureShare = OrNull(rates?.pressureShare)
      _cpuPressureTenSecondShare = OrNull(load.pressure?.tenSecondShare)
      _cpuPressureSeconds = OrNull(load.pressure?.waitingSeconds)
      _busiestNetRxShare = OrNull(rates?.busiestNetRxShare)
      _byProcessor = OrNull(load.byProcessor)
    }
  }

  struct Sink: Encodable {
    var kind: String
    var name: String
    var destination: String
    var source: String
  }

  struct Residence: Encodable {
    var packets: UInt64
    var p50Seconds: Double
    var p99Seconds: Double
    var p999Seconds: Double
    var maxSeconds: Double

    init(_ summary: ResidenceSummary) {
      packets = summary.packets
      p50Seconds = summary.p50Seconds
      p99Seconds = summary.p99Seconds
      p999Seconds = summary.p999Seconds
      maxSeconds = summary.maxSeconds
    }
  }

  /// How the delay varied on arrival.
  struct Variation: Encodable {
    @OrNull var interval: Residence?
    @OrNull var total: Residence?
    /// When the largest value of all came.
    @OrNull var maxTime: String?

    init(_ histogram: VariationHistogram, _ interval: ResidenceSummary?) {
      _interval = OrNull(interval.map(Residence.init))
      _total = OrNull(ResidenceSummary(histogram.durations).map(Residence.init))
      _maxTime = OrNull(histogram.maxAtNs > 0 ? MonitorDocument.text(timeNs: histogram.maxAtNs) : nil)
    }
  }

  /// The connections of a relay of protocol tcp.
  struct Connections: Encodable {
    var open: UInt64
    var sinkRoundTrip: Variation
    var sourceRoundTrip: Variation

    init(_ account: ConnectionAccount, _ rates: RelayRates?) {
      open = account.open
      sinkRoundTrip = Variation(account.sinkRoundTrip, rates?.sinkRoundTrip)
      sourceRoundTrip = Variation(account.sourceRoundTrip, rates?.sourceRoundTrip)
    }
  }

  /// Packets whose residence was below a bound and not below that of the bucket before; empty ones are left out.
  struct Bucket: Encodable {
    var belowSeconds: Double
    var packets: UInt64
  }

  /// Every column of ``MonitorColumn/all`` under its key, then what a table has no room for.
  struct Relay: Encodable {
    var row: MonitorRow
  }

  /// One extension of a relay's chain.
  struct Extension: Encodable {
    var name: String
    var version: String
    var content: String
    var runs: UInt64
    var forwarded: UInt64
    var dropped: UInt64
    var faults: UInt64
    /// Over every 256th run, in seconds; null before the first.
    @OrNull var runMeanSeconds: Double?
    @OrNull var runMaxSeconds: Double?
    var counters: [String: UInt64]
    @OrNull var histogram: ExtensionHistogram?

    init(_ found: ExtensionSnapshot) {
      name = found.name
      version = found.version
      content = found.content
      runs = found.runs
      forwarded = found.forwarded
      dropped = found.dropped
      faults = found.faults
      _runMeanSeconds = OrNull(found.meanNs > 0 ? found.meanNs / 1e9 : nil)
      _runMaxSeconds = OrNull(found.maxNs > 0 ? Double(found.maxNs) / 1e9 : nil)
      counters = found.counters
      _histogram = OrNull(found.histogram)
    }
  }

  var version = MonitorDocument.version
  var time: String
  @OrNull var topology: String?
  var nodes: [Node]

  /// The board at one moment; only relays that the order's filter leaves, in its order within their node.
  init(_ board: MonitorBoard, order: MonitorOrder) {
    time = Self.text(timeNs: board.timeNs)
    _topology = OrNull(board.topology.isEmpty ? nil : board.topology)
    let rows = Dictionary(grouping: order.apply(to: board.rows), by: \.node)
    let links = Dictionary(grouping: board.links, by: \.node)
    nodes = board.nodes.map { Self.node($0, rows: rows[$0.name] ?? [], links: links[$0.name] ?? []) }
  }

  private static func node(_ node: MonitorBoard.Node, rows: [MonitorRow], links: [MonitorLink])
    -> Node
  {
    let snapshot = node.reading.snapshot
    let load = snapshot.map { Load($0.load, node.rates) }
    return Node(
      node: node.name, state: node.condition.rawValue, staleSeconds: OrNull(node.reading.staleSeconds),
      problem: OrNull(node.reading.problem), time: OrNull(snapshot.map { text(timeNs: $0.timeNs) }),
      started: OrNull(snapshot.map { text(timeNs: $0.startedNs) }), pid: OrNull(snapshot?.pid),
      load: OrNull(load), datapath: OrNull(snapshot?.datapath), relays: rows.map(Relay.init),
      links: links.map(LinkDocument.init),
      clockOffsetSeconds: OrNull(node.clock.map { Double($0.offsetNs) / 1e9 }),
      clockErrorSeconds: OrNull(node.clock.map { Double($0.errorNs) / 1e9 }))
  }

  /// ISO 8601 in UTC with milliseconds, of nanoseconds since 1970.
  static func text(timeNs: UInt64) -> String {
    Date(timeIntervalSince1970: Double(timeNs / 1_000_000) / 1000)
      .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
  }

  /// UTF-8 JSON with sorted members, on one line or for people.
  func json(pretty: Bool) throws -> String { try Self.json(self, pretty: pretty) }

  static func json(_ value: some Encodable, pretty: Bool) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting =
      pretty ? [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes] : [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }
}

/// An optional that is written as null instead of being left out.
@propertyWrapper
struct OrNull<Value: Encodable>: Encodable {
  var wrappedValue: Value?

  init(_ wrappedValue: Value?) { self.wrappedValue = wrappedValue }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    if let wrappedValue { try container.encode(wrappedValue) } else { try container.encodeNil() }
  }
}

/// A member by its name.
struct DocumentKey: CodingKey, ExpressibleByStringLiteral {
  var stringValue: String
  var intValue: Int? { nil }

  init(_ name: String) { stringValue = name }
  init(stringValue: String) { self.stringValue = stringValue }
  init(stringLiteral value: String) { stringValue = value }
  init?(intValue: Int) { nil }
}

/// A figure as the number or text that it is.
extension MonitorColumn.Value: Encodable {
  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .text(let text): try container.encode(text)
    case .integer(let integer): try container.encode(integer)
    case .number(let number): try container.encode(number)
    }
  }
}

extension ResidenceHistogram {
  /// Those that were hit.
  var buckets: [MonitorDocument.Bucket] {
    counts.enumerated().filter { $0.element > 0 }.map {
      MonitorDocument.Bucket(
        belowSeconds: Double(Self.upperBoundNs(bucket: $0.offset)) / 1e9, packets: $0.element)
    }
  }
}

extension MonitorDocument.Relay {
  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: DocumentKey.self)
    for column in MonitorColumn.all where column.isSortable {
      try container.encode(OrNull(column.value(row)), forKey: DocumentKey(column.key))
    }
    let relay = row.relay
    try container.encode(relay.transport.rawValue, forKey: "protocol")
    try container.encode(relay.ingress.description, forKey: "ingress")
    try container.encode(
      relay.sinks.map {
        MonitorDocument.Sink(
          kind: $0.kind.rawValue, name: $0.name, destination: $0.destination.description,
          source: $0.source.description)
      }, forKey: "sinks")
    try container.encode(OrNull(relay.engineReason), forKey: "engineReason")
    try container.encode(OrNull(relay.ssrc), forKey: "ssrc")
    let seen = relay.lastSeenNs > 0 ? MonitorDocument.text(timeNs: relay.lastSeenNs) : nil
    try container.encode(OrNull(seen), forKey: "lastSeen")
    try container.encode(OrNull(row.rates?.intervalSeconds), forKey: "intervalSeconds")
    try container.encode(OrNull(row.rates?.restarted), forKey: "countersRestarted")
    try container.encode(relay.counters, forKey: "counters")
    try container.encode(
      relay.transport == .rtp ? OrNull(relay.rtpLost) : OrNull(nil), forKey: "packetsLostTotal")
    let all = ResidenceSummary(relay.residence).map(MonitorDocument.Residence.init)
    try container.encode(OrNull(all), forKey: "residenceTotal")
    try container.encode(relay.residence.buckets, forKey: "residenceBuckets")
    try container.encode(MonitorDocument.Variation(relay.ipdv, row.rates?.ipdv), forKey: "ipdv")
    try container.encode(MonitorDocument.Variation(relay.pdv, row.rates?.pdv), forKey: "pdv")
    try container.encode(
      OrNull(relay.tcp.map { MonitorDocument.Connections($0, row.rates) }), forKey: "connections")
    try container.encode(relay.extensions.map(MonitorDocument.Extension.init), forKey: "extensions")
    try container.encode(OrNull(relay.worker), forKey: "worker")
    try container.encode(OrNull(relay.peers.map(PeerDocument.init)), forKey: "peerReports")
    try container.encode(relay.limits.map { $0.limits.map(LimitDocument.init) } ?? [], forKey: "limits")
    try container.encode(row.breaches.map(BreachDocument.init), forKey: "breaches")
  }
}
