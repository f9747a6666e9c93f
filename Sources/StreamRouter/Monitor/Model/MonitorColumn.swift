/// One column of the monitor: where its value comes from, how it reads, and what gives way first where the
/// terminal is narrow. Live view, tables, CSV and JSON all take their columns from ``all``; which of them is a
/// ``ColumnChoice``.
public struct MonitorColumn: Sendable {
  /// A value before it is text.
  enum Value: Hashable, Sendable {
    case text(String)
    case integer(UInt64)
    case number(Double)
  }

  /// How a value reads in a table.
  enum Format: Sendable {
    case text, count, rate, percent, duration
    /// The last minute of jitter; live view only.
    case sparkline
  }

  /// For `--sort`, and said in the footer.
  public let name: String
  /// Above the column.
  let title: String
  /// In JSON and CSV, with the unit.
  let key: String
  /// One line for the help.
  let text: String
  let format: Format
  /// 1 is kept longest when the terminal narrows; nil: in JSON and CSV, and where it is chosen.
  let importance: Int?
  /// Cells that the column takes at least, and at most.
  let width: ClosedRange<Int>
  let value: @Sendable (MonitorRow) -> Value?

  /// In the order in which they stand.
  static let all: [MonitorColumn] = identity + flow + quality + variation + residence + connections

  /// Names that `--sort` takes.
  public static let sortable: [String] = all.filter { $0.format != .sparkline }.map(\.name)

  /// Names that `--columns` takes.
  public static let named: [String] = all.map(\.name)

  static func named(_ name: String) -> MonitorColumn? { all.first { $0.name == name && $0.isSortable } }

  var isSortable: Bool { format != .sparkline }
  /// Figures stand right, so that digits stand under digits.
  var alignsRight: Bool { format != .text && format != .sparkline }

  /// The row's value as a table shows it.
  func shown(_ row: MonitorRow, style: MonitorStyle, cells: Int) -> String {
    if format == .sparkline {
      return Sparkline.text(row.history.jitter.seconds, cells: cells, unicode: style.unicode)
    }
    return Self.shown(value(row), format: format)
  }

  static func shown(_ value: Value?, format: Format) -> String {
    switch (value, format) {
    case (nil, _): return Figure.none
    case (.text(let text), _): return text
    case (.integer(let integer), .rate): return Figure.scaled(Double(integer))
    case (.integer(let integer), _): return String(integer)
    case (.number(let number), .percent): return Figure.percent(number)
    case (.number(let number), .duration): return Figure.duration(seconds: number)
    case (.number(let number), _): return Figure.scaled(number)
    }
  }
}

extension MonitorColumn {
  private static let identity: [MonitorColumn] = [
    MonitorColumn(
      name: "stream", title: "STREAM", key: "stream", text: "the stream's name in the topology",
      format: .text, importance: 1, width: 8...40, value: { .text($0.relay.stream) }),
    MonitorColumn(
      name: "hop", title: "HOP", key: "hop", text: "place on the stream's way, 0 where it enters",
      format: .count, importance: 11, width: 3...3, value: { .integer(UInt64(max(0, $0.relay.hop))) }),
    MonitorColumn(
      name: "node", title: "NODE", key: "node", text: "the node that runs the relay",
      format: .text, importance: 2, width: 7...32, value: { .text($0.node) }),
    MonitorColumn(
      name: "engine", title: "ENGINE", key: "engine", text: "where the relay runs",
      format: .text, importance: 10, width: 7...7, value: { .text($0.relay.engine.rawValue) }),
    MonitorColumn(
      name: "state", title: "STATE", key: "state",
      text: "ok, idle, loss, drop, limit broken, cut by extension, new, stale",
      format: .text, importance: 6, width: 5...5, value: { .text($0.condition.rawValue) }),
  ]

  private static let flow: [MonitorColumn] = [
    MonitorColumn(
      name: "pps", title: "PKT/S", key: "packetsPerSecond", text: "datagrams a second that arrived",
      format: .rate, importance: 5, width: 6...6, value: { $0.rates.map { .number($0.packetsPerSecond) } }),
    MonitorColumn(
      name: "pps-out", title: "OUT/S", key: "packetsOutPerSecond",
      text: "datagrams a second sent, all sinks together",
      format: .rate, importance: nil, width: 6...6, value: { $0.rates.map { .number($0.packetsOutPerSecond) } }),
    MonitorColumn(
      name: "bits", title: "BIT/S", key: "bitsPerSecond", text: "bits a second of payload that arrived",
      format: .rate, importance: 8, width: 6...6, value: { $0.rates.map { .number($0.bitsPerSecond) } }),
    MonitorColumn(
      name: "bits-out", title: "OUT BIT/S", key: "bitsOutPerSecond", text: "bits a second of payload sent",
      format: .rate, importance: nil, width: 6...6, value: { $0.rates.map { .number($0.bitsOutPerSecond) } }),
  ]

  private static let quality: [MonitorColumn] = [
    MonitorColumn(
      name: "loss", title: "LOSS%", key: "lossRatio",
      text: "RTP packets missing on arrival, of those expected in the interval",
      format: .percent, importance: 4, width: 5...5, value: { $0.rates?.lossRatio.map { .number($0) } }),
    MonitorColumn(
      name: "lost", title: "LOST", key: "packetsLost", text: "RTP packets missing in the interval",
      format: .count, importance: nil, width: 5...5, value: { $0.rates?.rtpLost.map { .integer($0) } }),
    MonitorColumn(
      name: "link-lost", title: "LINK", key: "packetsLostOnLink",
      text: "packets lost between the hop before and here, in the interval",
      format: .count, importance: nil, width: 5...5, value: { $0.linkLost.map { .integer($0) } }),
    MonitorColumn(
      name: "dropped", title: "DROPS", key: "packetsDropped",
      text: "packets this hop dropped in the interval",
      format: .rate, importance: 13, width: 5...5, value: { $0.rates.map { .integer($0.dropped) } }),
    MonitorColumn(
      name: "jitter", title: "JITTER", key: "jitterSeconds",
      text: "interarrival jitter of RFC 3550, in its own smoothing",
      format: .duration, importance: 3, width: 6...6, value: { $0.jitterSeconds.map { .number($0) } }),
    MonitorColumn(
      name: "jitter-max", title: "JITMAX", key: "jitterMaxSeconds", text: "the largest that jitter ever was",
      format: .duration, importance: nil, width: 6...6,
      value: { $0.jitterSeconds == nil ? nil : .number($0.relay.jitterMaxSeconds) }),
  ]

  private static let variation: [MonitorColumn] = [
    MonitorColumn(
      name: "ipdv", title: "IPDV99", key: "ipdvP99Seconds",
      text: "change of delay from packet to packet on arrival (RFC 3393), 99 of 100 packets",
      format: .duration, importance: nil, width: 6...6,
      value: { $0.rates?.ipdv.map { .number($0.p99Seconds) } }),
    MonitorColumn(
      name: "pdv", title: "PDV99", key: "pdvP99Seconds",
      text: "delay over the quickest packet's on arrival (RFC 5481), 99 of 100 packets",
      format: .duration, importance: nil, width: 6...6,
      value: { $0.rates?.pdv.map { .number($0.p99Seconds) } }),
    MonitorColumn(
      name: "added", title: "ADDED", key: "addedVariationSeconds",
      text: "delay variation that this hop adds: residence p99 less p50",
      format: .duration, importance: nil, width: 6...6, value: { $0.addedSeconds.map { .number($0) } }),
    MonitorColumn(
      name: "link-added", title: "LINK+", key: "linkVariationSeconds",
      text:
        "delay variation that the way from the hop before adds: rise of PDV99 (udp: IPDV99) less what that hop adds",
      format: .duration, importance: nil, width: 6...6, value: { $0.linkAddedSeconds.map { .number($0) } }),
  ]

  /// Protocol tcp; nothing for others.
  private static let connections: [MonitorColumn] =
    [
      MonitorColumn(
        name: "connections", title: "CONNS", key: "connectionsOpen", text: "tcp: connections that are open",
        format: .count, importance: nil, width: 5...7,
        value: { row in row.staleSeconds == nil ? row.relay.tcp.map { .integer($0.open) } : nil }),
      MonitorColumn(
        name: "opened", title: "OPEN/S", key: "connectionsOpenedPerSecond",
        text: "tcp: connections a second that sources began",
        format: .rate, importance: nil, width: 6...6,
        value: { row in row.connectionRates.map { .number($0.connectionsOpenedPerSecond) } }),
      MonitorColumn(
        name: "retransmitted", title: "RETR", key: "segmentsRetransmitted",
        text: "tcp: segments whose bytes had passed before, both ways, in the interval",
        format: .rate, importance: nil, width: 5...5,
        value: { row in row.connectionRates.map { .integer($0.segmentsRetransmitted) } }),
      MonitorColumn(
        name: "reply-bits", title: "REPLY", key: "replyBitsPerSecond",
        text: "tcp: bits a second of payload from the sink",
        format: .rate, importance: nil, width: 6...6,
        value: { row in row.connectionRates.map { .number($0.replyBitsPerSecond) } }),
    ]
    + roundTrip("rtt", "sinkRoundTrip", "this hop and the sink", \.sinkRoundTrip)
    + roundTrip("source-rtt", "sourceRoundTrip", "this hop and the source", \.sourceRoundTrip)

  /// Its title says S for the source.
  private static func roundTrip(
    _ name: String, _ key: String, _ between: String,
    _ summary: @escaping @Sendable (RelayRates) -> ResidenceSummary?
  ) -> [MonitorColumn] {
    let title = name == "rtt" ? "RTT" : "SRTT"
    return [
      MonitorColumn(
        name: name, title: "\(title)50", key: "\(key)P50Seconds",
        text: "tcp: round trip between \(between), half of what was told in the interval",
        format: .duration, importance: nil, width: 6...6,
        value: { row in row.rates.flatMap(summary).map { .number($0.p50Seconds) } }),
      MonitorColumn(
        name: "\(name)99", title: "\(title)99", key: "\(key)P99Seconds", text: "tcp: the same, 99 of 100",
        format: .duration, importance: nil, width: 6...6,
        value: { row in row.rates.flatMap(summary).map { .number($0.p99Seconds) } }),
    ]
  }

  private static let residence: [MonitorColumn] = [
    MonitorColumn(
      name: "p50", title: "P50", key: "residenceP50Seconds",
      text: "arrival to transmit in the interval, half of the packets",
      format: .duration, importance: 14, width: 6...6,
      value: { $0.rates?.residence.map { .number($0.p50Seconds) } }),
    MonitorColumn(
      name: "p99", title: "P99", key: "residenceP99Seconds", text: "the same, 99 of 100 packets",
      format: .duration, importance: 7, width: 6...6,
      value: { $0.rates?.residence.map { .number($0.p99Seconds) } }),
    MonitorColumn(
      name: "max", title: "MAX", key: "residenceMaxSeconds", text: "the same, the slowest packet",
      format: .duration, importance: 12, width: 6...6,
      value: { $0.rates?.residence.map { .number($0.maxSeconds) } }),
    MonitorColumn(
      name: "minute", title: "JITTER 60s", key: "jitterMinute", text: "jitter over the last minute, from zero",
      format: .sparkline, importance: 9, width: 10...60, value: { _ in nil }),
  ]
}
