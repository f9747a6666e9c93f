import Topology

/// What the streams of a topology did over a span of time, hop by hop: `streamrouter report`.
public struct PeriodReport: Sendable {
  /// A figure over all intervals: its mean by time, and its largest.
  struct Level: Hashable, Sendable {
    private var sum = 0.0
    private var seconds = 0.0
    private(set) var max: Double?

    var mean: Double? { seconds > 0 ? sum / seconds : nil }

    /// nil: not known of these seconds.
    mutating func take(_ value: Double?, seconds: Double) {
      guard let value, seconds > 0 else { return }
      sum += value * seconds
      self.seconds += seconds
      max = Swift.max(value, max ?? value)
    }
  }

  /// A limit that one hop broke.
  struct Broken: Sendable {
    /// That of the worst interval.
    var worst: LimitBreach
    /// Ends of the first and the last interval in which it was broken, nanoseconds since 1970.
    var firstNs: UInt64
    var lastNs: UInt64
    /// How long it was broken in all.
    var seconds: Double
  }

  struct Stream: Sendable {
    var name: String
    var transport: StreamProtocol
    var limits: StreamLimits?
    /// In the order of the stream's way.
    var hops: [PeriodHop]
    /// In the order in which they were broken.
    var broken: [Broken]
  }

  struct Node: Sendable {
    var name: String
    /// How it was at the end.
    var condition: MonitorBoard.Node.Condition
    /// How long it did not answer. Nothing is known of that time but what its counters tell later.
    var silentSeconds = 0.0
    /// Why, the last time.
    var problem: String?
    var processors: Int?
    /// How often its daemon was another one.
    var restarts = 0
    var runnableThreads = Level()
    /// Shares (0 to 1), as of ``NodeRates``.
    var softirqShare = Level()
    var pressureShare = Level()
    var stealShare = Level()
    var ksoftirqdShare = Level()
    var busiestNetRxShare = Level()
  }

  /// Which columns of the monitor its tables have; the JSON has all.
  public var columns = ColumnChoice()
  var topology = ""
  /// When the first and the last reading were taken, nanoseconds since 1970.
  var startNs: UInt64 = 0
  var endNs: UInt64 = 0
  var readings = 0
  /// Ends of the parts of time that the figures over time are of, nanoseconds since 1970.
  var timesNs: [UInt64] = []
  /// By name.
  var streams: [Stream] = []
  /// In the order of the topology.
  var nodes: [Node] = []
  /// In the order of the nodes that probe them.
  var links: [PeriodLink] = []
  /// The oldest first.
  var events: [MonitorEvent] = []
  /// How many older ones were left out.
  var eventsLeftOut = 0

  /// From the first reading to the last; times in which nothing was recorded count too.
  var seconds: Double { endNs > startNs ? Double(endNs - startNs) / 1e9 : 0 }

  /// Which node did not answer all the time, a sentence each.
  public var gaps: [String] {
    nodes.filter { $0.silentSeconds > 0 || $0.condition != .up }.map { node in
      "node \(node.name) did not answer for \(Figure.duration(seconds: node.silentSeconds))"
        + (node.problem.map { " (\($0))" } ?? "") + ": what it counted meanwhile is in its next answer only"
    }
  }
}

/// One hop of a stream over a span of time.
struct PeriodHop: Sendable {
  /// What happened in one part of the time; nil where nothing is known.
  struct Part: Hashable, Sendable {
    var packetsPerSecond: Double
    var lossRatio: Double?
    /// The highest of the intervals.
    var jitterSeconds: Double?
    var residenceP99Seconds: Double?
  }

  /// The whole time as one interval, so that the columns of the monitor are those of the report: rates are means,
  /// `relay` is as at the end but that `jitterMaxSeconds` is the highest of this time.
  var row: MonitorRow
  /// The node before, where it is read; nil where the stream enters.
  var from: String?
  /// Seconds of the time that are accounted for.
  var seconds: Double
  /// The highest rates of an interval.
  var maxPacketsPerSecond: Double?
  var maxBitsPerSecond: Double?
  /// How often its counters began anew.
  var restarts: Int
  var residence: ResidenceHistogram
  var ipdv: ResidenceHistogram
  var pdv: ResidenceHistogram
  /// Protocol tcp.
  var sinkRoundTrip = ResidenceHistogram()
  var sourceRoundTrip = ResidenceHistogram()
  /// One for each of ``PeriodReport/timesNs``.
  var parts: [Part?]

  /// Packets that were dropped here, by cause, the most frequent first.
  var drops: [(counter: Counter, packets: UInt64)] {
    Counter.drops.compactMap { counter in
      (row.rates?.counters[counter.name]).flatMap { $0 > 0 ? (counter, $0) : nil }
    }.sorted { $0.1 > $1.1 }
  }

  /// Packets lost on the way here, as a share of those that should have come.
  var linkLossRatio: Double? {
    guard let lost = row.linkLost, let came = row.rates?.counters["packets_in"], lost + came > 0 else {
      return nil
    }
    return Double(lost) / Double(lost + came)
  }

  /// Where the packets come from, as the report names it.
  var way: String {
    from.map { "\($0) -> \(row.node)" } ?? (row.relay.hop == 0 ? "source -> \(row.node)" : "-> \(row.node)")
  }
}
