import CStreamRouter
import JitterStats
import Topology

/// Everything that one node knows about its relays at one moment: what the monitor, the JSON output and, later,
/// the metrics are made of. Counters are cumulative; whoever wants rates takes the difference of two snapshots
/// (``RelayRates``).
public struct NodeSnapshot: Hashable, Sendable, Codable {
  public var topology: String
  public var node: String
  /// When it was taken, nanoseconds since 1970.
  public var timeNs: UInt64
  /// The node's daemon: its process id, and when it started.
  public var pid: Int32
  public var startedNs: UInt64
  public var load: NodeLoad
  /// What the datapath of engine sandbox saw, relays or not, by counter name; empty for engine process.
  public var datapath: [String: UInt64]
  public var relays: [RelaySnapshot]
  /// The links that it probes; empty where it probes none.
  public var links: [LinkSnapshot]

  public init(
    topology: String, node: String, timeNs: UInt64, pid: Int32, startedNs: UInt64, load: NodeLoad,
    datapath: [String: UInt64], relays: [RelaySnapshot], links: [LinkSnapshot] = []
  ) {
    self.topology = topology
    self.node = node
    self.timeNs = timeNs
    self.pid = pid
    self.startedNs = startedNs
    self.load = load
    self.datapath = datapath
    self.relays = relays
    self.links = links
  }

  /// Reads snapshots from before links were probed too.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      topology: try container.decode(String.self, forKey: .topology),
      node: try container.decode(String.self, forKey: .node),
      timeNs: try container.decode(UInt64.self, forKey: .timeNs),
      pid: try container.decode(Int32.self, forKey: .pid),
      startedNs: try container.decode(UInt64.self, forKey: .startedNs),
      load: try container.decode(NodeLoad.self, forKey: .load),
      datapath: try container.decode([String: UInt64].self, forKey: .datapath),
      relays: try container.decode([RelaySnapshot].self, forKey: .relays),
      links: try container.decodeIfPresent([LinkSnapshot].self, forKey: .links) ?? [])
  }
}

/// One relay's account since it was first deployed.
public struct RelaySnapshot: Hashable, Sendable, Codable {
  public var stream: String
  /// 0 at the node where the stream enters.
  public var hop: Int
  public var transport: StreamProtocol
  public var ingress: Endpoint
  public var sinks: [RelaySink]
  /// The engine that runs the relay.
  public var engine: EngineChoice
  /// Why not the fastest engine, and what would change that; nil where it is the fastest.
  public var engineReason: String?
  /// Each counter of `SR_COUNTERS` by its name, RTP and RTCP together.
  @SparseCounters public var counters: [String: UInt64]
  /// Interarrival jitter (RFC 3550 section 6.4.1) of the SSRC seen last. For protocol udp, which carries no
  /// timestamps, the same filter over the change of the interarrival time.
  public var jitterSeconds: Double
  /// The largest value that this estimate reached.
  public var jitterMaxSeconds: Double
  /// The SSRC seen last; nil for protocol udp or before the first packet.
  public var ssrc: UInt32?
  /// Arrival (the kernel's receive timestamp) to transmit.
  public var residence: ResidenceHistogram
  /// Inter-packet delay variation on arrival, without its sign (RFC 3393; |D| of RFC 3550 section 6.4.1). For protocol
  /// udp the change of the interarrival time.
  public var ipdv: VariationHistogram
  /// Packet delay variation on arrival: how much longer than the quickest packet each took (RFC 5481 section 4.2);
  /// empty for protocol udp.
  public var pdv: VariationHistogram
  /// Arrival of the latest packet, nanoseconds since 1970; 0 before the first.
  public var lastSeenNs: UInt64
  /// The account of each extension of the relay, in the order of the chain.
  public var extensions: [ExtensionSnapshot]
  /// Engine process, relays with extensions: how the process that runs them fared.
  public var worker: RelayWorkerSnapshot?
  /// What peers report in RTCP that passes; nil: nothing. Their word, apart from all that is measured here.
  public var peers: PeerAccount?
  /// Protocol tcp: its connections.
  public var tcp: ConnectionAccount?
  /// What the node's topology expects of the stream, for whoever reads the node without the file; nil: nothing.
  public var limits: StreamLimits?

  public init(
    stream: String, hop: Int, transport: StreamProtocol, ingress: Endpoint, sinks: [RelaySink],
    engine: EngineChoice, engineReason: String?, counters: [String: UInt64], jitterSeconds: Double,
    jitterMaxSeconds: Double, ssrc: UInt32?, residence: ResidenceHistogram,
    ipdv: VariationHistogram = VariationHistogram(), pdv: VariationHistogram = VariationHistogram(),
    lastSeenNs: UInt64,
    extensions: [ExtensionSnapshot] = []
  ) {
    self.stream = stream
    self.hop = hop
    self.transport = transport
    self.ingress = ingress
    self.sinks = sinks
    self.engine = engine
    self.engineReason = engineReason
    self.counters = counters
    self.jitterSeconds = jitterSeconds
    self.jitterMaxSeconds = jitterMaxSeconds
    self.ssrc = ssrc
    self.residence = residence
    self.ipdv = ipdv
    self.pdv = pdv
    self.lastSeenNs = lastSeenNs
    self.extensions = extensions
  }

  /// RTP packets that never arrived here: skipped sequence numbers less those that came late.
  public var rtpLost: UInt64 {
    let missing = counters["rtp_missing"] ?? 0
    let late = counters["rtp_late"] ?? 0
    return missing > late ? missing - late : 0
  }

  /// Packets that this hop itself dropped, all causes together.
  public var dropped: UInt64 {
    Counter.dropNames.reduce(0) { $0 + (counters[$1] ?? 0) }
  }
}

/// What one extension did for one relay since the relay began to use it.
public struct ExtensionSnapshot: Hashable, Sendable, Codable {
  public var name: String
  public var version: String
  /// SHA-256 of the built extension, in hex.
  public var content: String
  /// Packets that it saw, and what it decided about them; faults are those in which its own code trapped.
  public var runs: UInt64
  public var forwarded: UInt64
  public var dropped: UInt64
  public var faults: UInt64
  /// Every 256th run is timed: how many were, and their nanoseconds by the clock together.
  public var timedRuns: UInt64
  public var timedSumNs: UInt64
  /// The longest timed run.
  public var maxNs: UInt64
  /// The author's counters by their names.
  public var counters: [String: UInt64]
  /// The author's histogram; nil: it has none.
  public var histogram: ExtensionHistogram?

  public init(
    name: String, version: String, content: String, runs: UInt64 = 0, forwarded: UInt64 = 0,
    dropped: UInt64 = 0,
    faults: UInt64 = 0, timedRuns: UInt64 = 0, timedSumNs: UInt64 = 0, maxNs: UInt64 = 0,
    counters: [String: UInt64] = [:],
    histogram: ExtensionHistogram? = nil
  ) {
    self.name = name
    self.version = version
    self.content = content
    self.runs = runs
    self.forwarded = forwarded
    self.dropped = dropped
    self.faults = faults
    self.timedRuns = timedRuns
    self.timedSumNs = timedSumNs
    self.maxNs = maxNs
    self.counters = counters
    self.histogram = histogram
  }

  /// Nanoseconds of a timed run; 0 before the first.
  public var meanNs: Double { timedRuns > 0 ? Double(timedSumNs) / Double(timedRuns) : 0 }
}

/// Values that an extension recorded: bucket i counts those below 2^i that no earlier bucket holds; the last one holds
/// everything above.
public struct ExtensionHistogram: Hashable, Sendable, Codable {
  public var name: String
  public var counts: [UInt64]
  public var sum: UInt64

  public init(name: String, counts: [UInt64], sum: UInt64) {
    self.name = name
    self.counts = counts
    self.sum = sum
  }
}

/// One counter of the datapath, as declared in streamrouter_abi.h.
public struct Counter: Hashable, Sendable {
  public enum Kind: Sendable { case flow, rtp, tcp, drop }
  /// Its place in `sr_counters.value`.
  public let index: Int
  /// In JSON and metrics.
  public let name: String
  /// What it counts, in a few words.
  public let text: String
  public let kind: Kind

  /// The counters of a relay, in the order of the map.
  public static let relay: [Counter] = read(sr_counter_info)
  /// The counters of a node's datapath.
  public static let node: [Counter] = read(sr_node_counter_info)
  /// Those of `relay` that are a cause of loss at this hop.
  public static let drops: [Counter] = relay.filter { $0.kind == .drop }
  static let dropNames = drops.map(\.name)

  /// Whether relays of this protocol can count it.
  func counts(for transport: StreamProtocol) -> Bool {
    switch kind {
    case .flow, .drop: true
    case .rtp: transport == .rtp
    case .tcp: transport == .tcp
    }
  }

  private static func read(_ info: (UInt32) -> UnsafePointer<sr_counter_info>?) -> [Counter] {
    var counters: [Counter] = []
    while let next = info(UInt32(counters.count)) {
      let kind: Kind =
        switch next.pointee.kind {
        case SR_RTP: .rtp
        case SR_TCP: .tcp
        case SR_DROP: .drop
        default: .flow
        }
      counters.append(
        Counter(
          index: counters.count, name: String(cString: next.pointee.name),
          text: String(cString: next.pointee.text), kind: kind))
    }
    return counters
  }
}

/// How long packets stayed on a node: counts in buckets of four steps for each power of two nanoseconds, so a
/// percentile is at most 25 % above the true value.
public struct ResidenceHistogram: Hashable, Sendable, Codable {
  /// One count a bucket, `SR_RESIDENCE_BUCKETS` of them; bucket boundaries by ``upperBoundNs(bucket:)``.
  public var counts: [UInt64]
  public var maxNs: UInt64
  public var sumNs: UInt64

  public static let bucketCount = Int(SR_RESIDENCE_BUCKETS.rawValue)

  public init(
    counts: [UInt64] = Array(repeating: 0, count: ResidenceHistogram.bucketCount), maxNs: UInt64 = 0,
    sumNs: UInt64 = 0
  ) {
    self.counts = counts
    self.maxNs = maxNs
    self.sumNs = sumNs
  }

  public var total: UInt64 { counts.reduce(0, +) }

  /// The smallest number of nanoseconds above everything in the bucket.
  public static func upperBoundNs(bucket: Int) -> UInt64 {
    let steps = Int(SR_RESIDENCE_STEPS.rawValue)
    let log2 = bucket / steps + Int(SR_RESIDENCE_FIRST_LOG2.rawValue)
    return (UInt64(1) << UInt64(log2)) / UInt64(steps) * UInt64(steps + bucket % steps + 1)
  }

  /// The residence that the given share (0 to 1) of the packets did not exceed, in nanoseconds: the upper bound
  /// of its bucket, or the maximum where that is smaller. nil before the first packet.
  public func quantileNs(_ share: Double) -> UInt64? {
    let total = self.total
    guard total > 0 else { return nil }
    let rank = max(1, UInt64((Double(total) * share).rounded(.up)))
    var seen: UInt64 = 0
    for (bucket, count) in counts.enumerated() {
      seen += count
      if seen >= rank {
        return maxNs > 0 ? min(Self.upperBoundNs(bucket: bucket), maxNs) : Self.upperBoundNs(bucket: bucket)
      }
    }
    return maxNs
  }

  /// What came in between an earlier reading and this one. The maximum stays the cumulative one.
  public func since(_ earlier: ResidenceHistogram) -> ResidenceHistogram {
    ResidenceHistogram(
      counts: zip(counts, earlier.counts).map { $0 >= $1 ? $0 - $1 : $0 }, maxNs: maxNs,
      sumNs: sumNs >= earlier.sumNs ? sumNs - earlier.sumNs : sumNs)
  }
}

/// How the delay of packets varies, and when it varied most.
public struct VariationHistogram: Hashable, Sendable, Codable {
  public var durations: ResidenceHistogram
  /// Arrival of the packet with the largest value, nanoseconds since 1970; 0 before the first.
  public var maxAtNs: UInt64

  public init(durations: ResidenceHistogram = ResidenceHistogram(), maxAtNs: UInt64 = 0) {
    self.durations = durations
    self.maxAtNs = maxAtNs
  }
}
