/// One relay as the monitor shows it: its latest account, what it did in the last interval, and its last minute.
struct MonitorRow: Sendable, Identifiable {
  /// What stays the same from reading to reading.
  struct ID: Hashable, Sendable {
    var stream: String
    var hop: Int
    var node: String
  }

  /// The relay's state in one word, the gravest that applies.
  enum Condition: String, Sendable {
    /// The node does not answer; figures are old.
    case stale
    /// One reading only: no rates yet.
    case new
    /// A limit that the topology puts on the stream was broken in the interval, and by this hop or on the way to it.
    case limit
    /// This hop dropped packets in the interval that it should have sent on.
    case drop
    /// Packets were lost on the way from the hop before, or before the stream came here.
    case loss
    /// An extension dropped packets in the interval, as it is meant to.
    case cut
    /// No packet in the interval.
    case idle
    case ok
  }

  var node: String
  @Boxed var relay: RelaySnapshot
  /// nil after a single reading, and while the node is stale.
  var rates: RelayRates?
  /// Seconds since the node's last answer; nil while it answers.
  var staleSeconds: Double?
  var history = RelayHistory()
  /// Packets that the link to this hop lost in the interval; at hop 0, those missing on arrival. nil: not known.
  var linkLost: UInt64?
  var link = LinkLoss()
  /// Delay variation that the way from the hop before added in the interval, in seconds: how much more PDV (99 of 100
  /// packets; IPDV for protocol udp) came here than came there, less what that hop added itself. nil: not known.
  var linkAddedSeconds: Double?
  /// Limits that were broken in the interval, by this hop or on the way to it.
  var breaches: [LimitBreach] = []
  /// The node's latest answer is the one before.
  var isRepeated = false

  var id: ID { ID(stream: relay.stream, hop: relay.hop, node: node) }

  var condition: Condition {
    if staleSeconds != nil { return .stale }
    guard let rates else { return .new }
    if !breaches.isEmpty { return .limit }
    if rates.dropped > rates.droppedByExtensions { return .drop }
    if linkLost ?? 0 > 0 { return .loss }
    if rates.droppedByExtensions > 0 { return .cut }
    return rates.isActive ? .ok : .idle
  }

  /// Protocol tcp: its rates.
  var connectionRates: RelayRates? { relay.transport.isDatagrams ? nil : rates }

  /// Delay variation that the hop added in the interval, in seconds: packets stayed so much longer than half of them
  /// (residence p99 less p50). nil where no packet came.
  var addedSeconds: Double? { rates?.residence.map { $0.p99Seconds - $0.p50Seconds } }

  /// The relay's jitter in seconds; nil while the node is stale, before the first packet, and for protocol tcp.
  var jitterSeconds: Double? {
    staleSeconds == nil && relay.lastSeenNs > 0 && relay.transport.isDatagrams ? relay.jitterSeconds : nil
  }
}
