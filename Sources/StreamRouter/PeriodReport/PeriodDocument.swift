/// The JSON form of a report. Numbers are numbers, names carry their unit, and what is not known is null.
struct PeriodDocument: Encodable {
  /// Changes when a member is renamed or removed.
  static let version = 1

  struct Stream: Encodable {
    var stream: String
    var `protocol`: String
    var limits: [LimitDocument]
    var broken: [Broken]
    var hops: [Hop]
  }

  struct Broken: Encodable {
    /// That of the worst interval.
    var worst: BreachDocument
    var firstTime: String
    var lastTime: String
    /// How long it was broken in all.
    var seconds: Double
  }

  /// Each of ``PeriodHop/columns`` under its key, then what a table has no room for.
  struct Hop: Encodable {
    var hop: PeriodHop
    var timesNs: [UInt64]
  }

  struct Part: Encodable {
    /// When it ended.
    var time: String
    @OrNull var packetsPerSecond: Double?
    @OrNull var lossRatio: Double?
    @OrNull var jitterMaxSeconds: Double?
    @OrNull var residenceP99Seconds: Double?
  }

  struct Level: Encodable {
    @OrNull var mean: Double?
    @OrNull var max: Double?
  }

  struct Node: Encodable {
    var node: String
    /// At the end.
    var state: String
    var silentSeconds: Double
    @OrNull var problem: String?
    @OrNull var processors: Int?
    var restarts: Int
    var load: [String: Level]
  }

  var version = PeriodDocument.version
  @OrNull var topology: String?
  var start: String
  var end: String
  var seconds: Double
  var readings: Int
  var streams: [Stream]
  var nodes: [Node]
  /// What test packets told, from either end.
  var links: [Link]
  var events: [MonitorEvent.Document]
  /// How many older ones were left out.
  var eventsLeftOut: Int
  var gaps: [String]

  init(_ report: PeriodReport) {
    _topology = OrNull(report.topology.isEmpty ? nil : report.topology)
    start = MonitorDocument.text(timeNs: report.startNs)
    end = MonitorDocument.text(timeNs: report.endNs)
    seconds = report.seconds
    readings = report.readings
    streams = report.streams.map { stream in
      Stream(
        stream: stream.name, protocol: stream.transport.rawValue,
        limits: stream.limits?.limits.map(LimitDocument.init) ?? [],
        broken: stream.broken.map {
          Broken(
            worst: BreachDocument($0.worst), firstTime: MonitorDocument.text(timeNs: $0.firstNs),
            lastTime: MonitorDocument.text(timeNs: $0.lastNs), seconds: $0.seconds)
        },
        hops: stream.hops.map { Hop(hop: $0, timesNs: report.timesNs) })
    }
    nodes = report.nodes.map { node in
      Node(
        node: node.name, state: node.condition.rawValue, silentSeconds: node.silentSeconds,
        problem: OrNull(node.problem), processors: OrNull(node.processors), restarts: node.restarts,
        load: Dictionary(
          uniqueKeysWithValues: PeriodReport.Node.columns.map { column in
            let level = column.level(node)
            return (column.key, Level(mean: OrNull(level.mean), max: OrNull(level.max)))
          }))
    }
    links = report.links.map(Link.init)
    events = report.events.map(MonitorEvent.Document.init)
    eventsLeftOut = report.eventsLeftOut
    gaps = report.gaps
  }
}

extension PeriodReport {
  /// One JSON document, with a line break at its end.
  public func json() throws -> String { try MonitorDocument.json(PeriodDocument(self), pretty: true) + "\n" }
}

extension PeriodDocument.Hop {
  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: DocumentKey.self)
    for column in PeriodHop.columns {
      try container.encode(OrNull(column.value(hop)), forKey: DocumentKey(column.key))
    }
    try container.encode(OrNull(hop.from), forKey: "from")
    try container.encode(hop.way, forKey: "way")
    try container.encode(hop.row.relay.ingress.description, forKey: "ingress")
    try container.encode(OrNull(hop.row.relay.engineReason), forKey: "engineReason")
    try container.encode(OrNull(hop.row.rates?.counters), forKey: "counters")
    let drops = Dictionary(uniqueKeysWithValues: hop.drops.map { ($0.counter.name, $0.packets) })
    try container.encode(OrNull(hop.row.rates == nil ? nil : drops), forKey: "dropsByCause")
    try container.encode(hop.residence.buckets, forKey: "residenceBuckets")
    try container.encode(hop.ipdv.buckets, forKey: "ipdvBuckets")
    try container.encode(hop.pdv.buckets, forKey: "pdvBuckets")
    try container.encode(hop.sinkRoundTrip.buckets, forKey: "sinkRoundTripBuckets")
    try container.encode(hop.sourceRoundTrip.buckets, forKey: "sourceRoundTripBuckets")
    let parts = zip(timesNs, hop.parts).map { timeNs, part in
      PeriodDocument.Part(
        time: MonitorDocument.text(timeNs: timeNs), packetsPerSecond: OrNull(part?.packetsPerSecond),
        lossRatio: OrNull(part?.lossRatio), jitterMaxSeconds: OrNull(part?.jitterSeconds),
        residenceP99Seconds: OrNull(part?.residenceP99Seconds))
    }
    try container.encode(parts, forKey: "overTime")
  }
}
