import Topology

/// The report for people, in lines of text.
extension PeriodReport {
  /// Events that the text shows; the other forms have all.
  private static let eventsShown = 20

  /// Some lines, each with a line break.
  public func text() -> String {
    var lines = [
      "\(topology.isEmpty ? "streamrouter" : topology): \(Figure.duration(seconds: seconds)), "
        + "\(MonitorDocument.text(timeNs: startNs)) to \(MonitorDocument.text(timeNs: endNs)), \(readings) readings"
    ]
    for stream in streams { lines += [""] + text(stream) }
    if !nodes.isEmpty { lines += [""] + nodesText() }
    if !links.isEmpty { lines += [""] + linksText() }
    if !events.isEmpty { lines += [""] + eventsText() }
    return lines.map { TextWidth.clean($0) + "\n" }.joined()
  }

  /// Those of tables for people, behind the way.
  func tableColumns(_ transport: StreamProtocol) -> [PeriodColumn] {
    if !columns.isUsual { return columns.reported(usual: []).map(PeriodColumn.init) }
    return transport == .tcp ? PeriodHop.connectionColumns : PeriodHop.textColumns
  }

  /// Those of comma-separated values.
  var csvColumns: [PeriodColumn] {
    columns.isUsual ? PeriodHop.columns : columns.reported(usual: []).map(PeriodColumn.init)
  }

  private func text(_ stream: Stream) -> [String] {
    let limits = stream.limits?.limits.map(\.description).joined(separator: ", ")
    var lines = ["stream \(stream.name) (\(stream.transport.rawValue))" + (limits.map { ": \($0)" } ?? "")]
    let columns = tableColumns(stream.transport)
    let rows =
      [["WAY"] + columns.map(\.title)]
      + stream.hops.map { hop in [hop.way] + columns.map { $0.text(hop) } }
    // Names stand left: in the usual table the way, engine and state, of chosen columns all.
    let figures = columns.prefix { $0.format == .text }.count + 1
    lines += AlignedColumns.lines(rows.map { $0.map(TextWidth.clean) }, rightFrom: figures).map { "  " + $0 }
    for hop in stream.hops {
      let node = "  node \(hop.row.node)"
      if !hop.drops.isEmpty {
        let causes = hop.drops.map { "\(Figure.grouped($0.packets)) \($0.counter.name) (\($0.counter.text))" }
        lines.append("\(node) dropped " + causes.joined(separator: ", "))
      }
      if hop.restarts > 0 { lines.append("\(node): the counters began anew \(hop.restarts) times") }
      if hop.row.rates == nil { lines.append("\(node): nothing is known of this time") }
    }
    for broken in stream.broken {
      lines.append(
        "  BROKEN at hop \(broken.worst.hop), node \(broken.worst.node), for \(Figure.duration(seconds: broken.seconds)), "
          + "\(Figure.clock(timeNs: broken.firstNs)) to \(Figure.clock(timeNs: broken.lastNs)) UTC; the worst: "
          + "\(broken.worst)")
    }
    return lines
  }

  private func nodesText() -> [String] {
    let columns = Node.columns
    let rows =
      [["NODE", "STATE"] + columns.map(\.title)]
      + nodes.map { node in [node.name, node.condition.rawValue] + columns.map { $0.text(node) } }
    return AlignedColumns.lines(rows.map { $0.map(TextWidth.clean) }, rightFrom: 2)
      + gaps.map { "  " + $0 }
  }

  private func linksText() -> [String] {
    let columns = PeriodLink.columns
    let rows =
      [["LINK"] + columns.map(\.title)] + links.map { link in [link.way] + columns.map { $0.text(link) } }
    return AlignedColumns.lines(rows.map { $0.map(TextWidth.clean) }, rightFrom: 2)
  }

  private func eventsText() -> [String] {
    let shown = events.suffix(Self.eventsShown)
    let hidden = events.count - shown.count + eventsLeftOut
    return ["events" + (hidden > 0 ? " (the last \(shown.count) of \(shown.count + hidden))" : "")]
      + shown.map { "  \(Figure.clock(timeNs: $0.timeNs))  \($0.kind.rawValue)  \($0.place): \($0.text)" }
  }
}

/// A figure of a hop that a table of the report shows: a column of the monitor over the whole time, or one that only a
/// span of time has.
struct PeriodColumn: Sendable {
  /// Above the column.
  let title: String
  /// In JSON and CSV, with the unit.
  let key: String
  /// What it says, in a few words.
  let text: String
  let format: MonitorColumn.Format
  let value: @Sendable (PeriodHop) -> MonitorColumn.Value?

  init(
    _ title: String, _ key: String, _ text: String, _ format: MonitorColumn.Format,
    _ value: @escaping @Sendable (PeriodHop) -> MonitorColumn.Value?
  ) {
    self.title = title
    self.key = key
    self.text = text
    self.format = format
    self.value = value
  }

  init(_ column: MonitorColumn) {
    title = column.title
    key = column.key
    text = column.text
    format = column.format
    value = { column.value($0.row) }
  }

  func text(_ hop: PeriodHop) -> String {
    MonitorColumn.shown(value(hop), format: format)
  }
}

extension PeriodHop {
  /// All figures of a hop, in JSON and CSV: those of the monitor, by its keys and in its order, then those of a span.
  static let columns: [PeriodColumn] = MonitorColumn.all.filter(\.isSortable).map(PeriodColumn.init) + ofSpan

  /// Those that a table for people has room for.
  static let textColumns: [PeriodColumn] =
    named("engine", "state") + [packets] + named("pps", "bits") + [maxBits]
    + named("loss", "link-lost", "dropped")
    + named("jitter-max", "ipdv", "pdv", "p50", "p99", "max")

  /// The same of connections.
  static let connectionColumns: [PeriodColumn] =
    named("engine", "state")
    + [
      PeriodColumn(
        "OPENED", "connectionsOpened", "tcp: connections that sources began", .rate,
        { $0.row.relay.tcp == nil ? nil : $0.row.rates?.counters["tcp_opened"].map { .integer($0) } })
    ]
    + named("connections") + [packets] + named("bits") + [maxBits]
    + named(
      "reply-bits", "dropped", "retransmitted", "rtt", "rtt99", "source-rtt", "source-rtt99", "p50", "p99",
      "max")

  private static func named(_ names: String...) -> [PeriodColumn] {
    names.compactMap { MonitorColumn.named($0).map(PeriodColumn.init) }
  }

  private static let packets = PeriodColumn(
    "PACKETS", "packets", "datagrams that arrived", .rate,
    { $0.row.rates?.counters["packets_in"].map { .integer($0) } })
  private static let maxBits = PeriodColumn(
    "MAXBIT/S", "bitsPerSecondMax", "bits a second in the fastest interval", .rate,
    { $0.maxBitsPerSecond.map { .number($0) } })

  private static let ofSpan: [PeriodColumn] =
    [
      packets,
      PeriodColumn(
        "MAXPKT/S", "packetsPerSecondMax", "datagrams a second in the fastest interval", .rate,
        { $0.maxPacketsPerSecond.map { .number($0) } }),
      maxBits,
      PeriodColumn(
        "LINK%", "linkLossRatio", "packets lost on the way here, of those that should have come", .percent,
        { $0.linkLossRatio.map { .number($0) } }),
      PeriodColumn(
        "REORDERED", "packetsReordered", "RTP packets that came late, out of order", .count,
        { hop in hop.rtp("rtp_late") }),
      PeriodColumn(
        "DOUBLE", "packetsDuplicated", "RTP packets that came twice", .count,
        { hop in hop.rtp("rtp_duplicates") }),
    ]
    + durations("ipdv", \.ipdv) + durations("pdv", \.pdv) + durations("residence", \.residence)
    + durations("sinkRoundTrip", \.sinkRoundTrip) + durations("sourceRoundTrip", \.sourceRoundTrip)
    + [connectionColumns.first { $0.key == "connectionsOpened" }].compactMap { $0 }
    + [
      PeriodColumn(
        "SECONDS", "accountedSeconds", "time that the figures are of", .duration, { .number($0.seconds) }),
      PeriodColumn(
        "RESTARTS", "counterRestarts", "how often the counters began anew", .count,
        { .integer(UInt64($0.restarts)) }),
    ]

  private func rtp(_ counter: String) -> MonitorColumn.Value? {
    guard row.relay.transport == .rtp else { return nil }
    return row.rates?.counters[counter].map { .integer($0) }
  }

  /// The percentiles that no column of the monitor has.
  private static func durations(
    _ name: String, _ of: @escaping @Sendable (RelayRates) -> ResidenceSummary?
  ) -> [PeriodColumn] {
    let shares: [(String, String, @Sendable (ResidenceSummary) -> Double)] = [
      ("P50", "half of the packets", \.p50Seconds), ("P99", "99 of 100 packets", \.p99Seconds),
      ("P999", "999 of 1,000 packets", \.p999Seconds), ("Max", "the largest", \.maxSeconds),
    ]
    let known = Set(MonitorColumn.all.map(\.key))
    return shares.map { share in
      PeriodColumn(
        (name + share.0).uppercased(), "\(name)\(share.0)Seconds", "\(name): \(share.1)", .duration,
        { hop in hop.row.rates.flatMap(of).map { .number(share.2($0)) } })
    }.filter { !known.contains($0.key) }
  }
}

extension PeriodReport.Node {
  /// A figure of a node's load.
  struct Column: Sendable {
    let title: String
    let key: String
    let isShare: Bool
    let level: @Sendable (PeriodReport.Node) -> PeriodReport.Level

    /// `mean (max)`.
    func text(_ node: PeriodReport.Node) -> String {
      let level = level(node)
      guard let mean = level.mean, let max = level.max else { return Figure.none }
      func text(_ value: Double) -> String { isShare ? Figure.percent(value) : Figure.scaled(value) }
      return "\(text(mean)) (\(text(max)))"
    }
  }

  static let columns: [Column] = [
    Column(title: "RUNNABLE (MAX)", key: "runnableThreads", isShare: false, level: \.runnableThreads),
    Column(title: "SOFTIRQ% (MAX)", key: "softirqShare", isShare: true, level: \.softirqShare),
    Column(title: "PRESSURE% (MAX)", key: "cpuPressureShare", isShare: true, level: \.pressureShare),
    Column(title: "STEAL% (MAX)", key: "stealShare", isShare: true, level: \.stealShare),
    Column(title: "KSOFTIRQD% (MAX)", key: "ksoftirqdShare", isShare: true, level: \.ksoftirqdShare),
    Column(title: "BUSIEST NET_RX% (MAX)", key: "busiestNetRxShare", isShare: true, level: \.busiestNetRxShare),
  ]
}
