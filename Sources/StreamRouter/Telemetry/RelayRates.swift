/// What one relay did between two of its snapshots: the figures that a monitor shows for an interval.
///
/// Counters are cumulative and may start again (a node that was taken down and up). Where one of them went
/// backwards the earlier snapshot says nothing about the later one, so everything counts from zero and
/// ``restarted`` is set: rates are then too low rather than negative.
public struct RelayRates: Hashable, Sendable {
  /// Seconds between the two snapshots, by the node's own clock; above zero.
  public var intervalSeconds: Double
  /// How far each counter of `RelaySnapshot.counters` went in the interval.
  public var counters: [String: UInt64]
  /// RTP packets that were missing in the interval, less those that came late; nil for protocol udp.
  public var rtpLost: UInt64?
  /// `rtpLost` as a share (0 to 1) of the packets expected in the interval (RFC 3550 appendix A.3, duplicates
  /// not counted as received); nil for protocol udp and where none was expected.
  public var lossRatio: Double?
  /// Packets that this hop itself dropped, all causes together.
  public var dropped: UInt64
  /// Arrival to transmit over the packets of the interval; nil where there were none.
  public var residence: ResidenceSummary?
  /// Inter-packet delay variation on arrival over the packets of the interval, and packet delay variation.
  public var ipdv: ResidenceSummary?
  public var pdv: ResidenceSummary?
  /// Protocol tcp: round trips to the sink and to the source that were told in the interval; nil where none was.
  public var sinkRoundTrip: ResidenceSummary?
  public var sourceRoundTrip: ResidenceSummary?
  /// The highest interarrival jitter (RFC 3550) that is known of the interval, in seconds: that at its end, or the
  /// maximum since the relay was deployed where that rose in it. nil where no packet came, and for protocol tcp.
  public var jitterSeconds: Double?
  /// Whether the counters began again in the interval.
  public var restarted: Bool

  /// Datagrams a second that arrived from an allowed source.
  public var packetsPerSecond: Double { rate("packets_in") }
  /// Datagrams a second sent or delivered, all sinks together.
  public var packetsOutPerSecond: Double { rate("packets_out") }
  /// Bits a second of UDP payload that arrived.
  public var bitsPerSecond: Double { rate("bytes_in") * 8 }
  /// Bits a second of UDP payload sent or delivered.
  public var bitsOutPerSecond: Double { rate("bytes_out") * 8 }
  /// Protocol tcp: bits a second of payload from the sink, passed on.
  public var replyBitsPerSecond: Double { rate("reply_bytes") * 8 }
  /// Protocol tcp: connections a second that sources began.
  public var connectionsOpenedPerSecond: Double { rate("tcp_opened") }
  /// Protocol tcp: segments whose bytes had passed before, both ways together.
  public var segmentsRetransmitted: UInt64 {
    (counters["tcp_retransmitted"] ?? 0) &+ (counters["tcp_reply_retransmitted"] ?? 0)
  }
  /// Whether something came, from either side.
  var isActive: Bool { (counters["packets_in"] ?? 0) > 0 || (counters["reply_packets"] ?? 0) > 0 }

  /// nil where the later snapshot is not later, or of another relay. Times are nanoseconds since 1970, of the
  /// node that took both.
  public init?(from earlier: RelaySnapshot, at earlierNs: UInt64, to later: RelaySnapshot, at laterNs: UInt64) {
    guard laterNs > earlierNs, earlier.stream == later.stream, earlier.hop == later.hop else { return nil }
    var counters = later.counters
    var restarted = false
    // Most counters are zero, and a look into the table takes longer than to pass them by.
    for (name, before) in earlier.counters where before > 0 {
      guard let now = counters[name] else { continue }
      if now < before {
        restarted = true
        counters = later.counters
        break
      }
      counters[name] = now - before
    }
    self.intervalSeconds = Double(laterNs - earlierNs) / 1e9
    self.counters = counters
    self.restarted = restarted
    self.dropped = Counter.dropNames.reduce(0) { $0 + (counters[$1] ?? 0) }
    if later.transport == .rtp {
      let lostBefore = restarted ? 0 : earlier.rtpLost
      // A packet counted as lost before may arrive late now; that is no negative loss.
      let lost = later.rtpLost > lostBefore ? later.rtpLost - lostBefore : 0
      self.rtpLost = lost
      self.lossRatio = Self.lossRatio(lost: lost, counters: counters)
    }
    func summary(_ of: (RelaySnapshot) -> ResidenceHistogram) -> ResidenceSummary? {
      let before = restarted ? ResidenceHistogram() : of(earlier)
      let histogram = of(later).since(before)
      return ResidenceSummary(histogram, maxNs: histogram.intervalMaxNs(maxBeforeNs: before.maxNs))
    }
    if later.transport.isDatagrams, counters["packets_in"] ?? 0 > 0 {
      let rose = !restarted && later.jitterMaxSeconds > earlier.jitterMaxSeconds
      jitterSeconds = rose ? later.jitterMaxSeconds : later.jitterSeconds
    }
    residence = summary(\.residence)
    ipdv = summary(\.ipdv.durations)
    pdv = summary(\.pdv.durations)
    if later.tcp != nil {
      sinkRoundTrip = summary { $0.tcp?.sinkRoundTrip.durations ?? ResidenceHistogram() }
      sourceRoundTrip = summary { $0.tcp?.sourceRoundTrip.durations ?? ResidenceHistogram() }
    }
  }

  /// Over several intervals together: what was counted, and the delays of all their packets.
  ///
  /// - Parameter intervalSeconds: Of all of them, above zero.
  init(
    intervalSeconds: Double, counters: [String: UInt64], rtpLost: UInt64?, jitterSeconds: Double?,
    residence: ResidenceSummary?, ipdv: ResidenceSummary?, pdv: ResidenceSummary?,
    sinkRoundTrip: ResidenceSummary? = nil, sourceRoundTrip: ResidenceSummary? = nil
  ) {
    self.sinkRoundTrip = sinkRoundTrip
    self.sourceRoundTrip = sourceRoundTrip
    self.intervalSeconds = intervalSeconds
    self.counters = counters
    self.rtpLost = rtpLost
    lossRatio = rtpLost.flatMap { Self.lossRatio(lost: $0, counters: counters) }
    dropped = Counter.drops.reduce(0) { $0 + (counters[$1.name] ?? 0) }
    self.residence = residence
    self.ipdv = ipdv
    self.pdv = pdv
    self.jitterSeconds = jitterSeconds
    restarted = false
  }

  private func rate(_ counter: String) -> Double { Double(counters[counter] ?? 0) / intervalSeconds }

  /// The share of the expected RTP packets that is lost; nil where none was expected.
  static func lossRatio(lost: UInt64, counters: [String: UInt64]) -> Double? {
    let packets = counters["rtp_packets"] ?? 0
    let duplicates = counters["rtp_duplicates"] ?? 0
    let expected = lost + (packets > duplicates ? packets - duplicates : 0)
    return expected > 0 ? Double(lost) / Double(expected) : nil
  }
}

/// The residence, or another duration, of some packets in a few figures. Bounds of the histogram's buckets: at most 25 % too high.
public struct ResidenceSummary: Hashable, Sendable {
  /// How many packets it is about; above zero.
  public var packets: UInt64
  public var p50Seconds: Double
  public var p99Seconds: Double
  public var p999Seconds: Double
  public var maxSeconds: Double

  /// nil for an empty histogram. `maxNs` replaces the histogram's own maximum.
  public init?(_ histogram: ResidenceHistogram, maxNs: UInt64? = nil) {
    var histogram = histogram
    if let maxNs { histogram.maxNs = maxNs }
    guard let p50 = histogram.quantileNs(0.5), let p99 = histogram.quantileNs(0.99),
      let p999 = histogram.quantileNs(0.999)
    else { return nil }
    self.packets = histogram.total
    self.p50Seconds = Double(p50) / 1e9
    self.p99Seconds = Double(p99) / 1e9
    self.p999Seconds = Double(p999) / 1e9
    self.maxSeconds = Double(histogram.maxNs) / 1e9
  }
}

extension ResidenceHistogram {
  /// The maximum within the interval that a difference of two histograms stands for: exact where the overall
  /// maximum rose in it, else the upper bound of the highest bucket that was hit.
  func intervalMaxNs(maxBeforeNs: UInt64) -> UInt64 {
    guard let highest = counts.lastIndex(where: { $0 > 0 }) else { return 0 }
    if maxNs > maxBeforeNs || highest == counts.count - 1 { return maxNs }
    let bound = Self.upperBoundNs(bucket: highest)
    return maxNs > 0 ? min(bound, maxNs) : bound
  }
}
