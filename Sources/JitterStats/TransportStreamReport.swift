/// All figures of one MPEG transport stream, as a value: what ``TransportStreamAccount`` has found up to now.
///
/// Times are seconds, rates bits per second. docs/ACCOUNT.md gives each figure's formula.
public struct TransportStreamReport: Codable, Hashable, Sendable {
  /// Datagrams, and packets of 188 bytes in them, null packets included.
  public var datagrams: UInt64
  public var packets: UInt64
  public var nullPackets: UInt64
  /// When the first datagram arrived, nanoseconds of the clock of arrivals, and the time to the latest.
  public var firstArrivalNs: UInt64
  public var durationSeconds: Double
  /// Mean rate of the packets over the duration; 0 where all arrived at once.
  public var rateBitsPerSecond: Double
  /// Packets without their sync byte, and how often that was so twice in a row (TR 101 290 1.2, 1.1).
  public var syncByteErrors: UInt64
  public var syncLosses: UInt64
  /// Packets with transport_error_indicator (TR 101 290 2.1).
  public var transportErrors: UInt64
  /// Packets whose adaptation field no packet can have.
  public var malformedPackets: UInt64
  /// Datagrams that end within a packet.
  public var cutDatagrams: UInt64
  /// Sums over all PIDs of what ``PID`` has.
  public var continuityErrors: UInt64
  public var lost: UInt64
  public var duplicates: UInt64
  /// PIDs in the order of their first packets.
  public var pids: [PID]
  /// Program clocks in the order of their first references.
  public var clocks: [Clock]
  /// Packets of PIDs, and references of clocks, for which there was no room.
  public var unlistedPackets: UInt64
  public var unlistedClocks: UInt64
  public var deliveryIndex: DeliveryIndex

  /// The continuity counters of one PID (TR 101 290 1.4).
  public struct PID: Codable, Hashable, Sendable {
    public var pid: UInt16
    public var packets: UInt64
    public var continuityErrors: UInt64
    /// What the jumps of the counter add up to: modulo 16 each.
    public var lost: UInt64
    /// Packets that were sent twice, which is allowed.
    public var duplicates: UInt64
  }

  /// The program clock references (PCR) of one PID.
  public struct Clock: Codable, Hashable, Sendable {
    public var pid: UInt16
    /// References.
    public var count: UInt64
    /// The largest step from one to the next, by their values, and when it ended, after the stream's first datagram.
    public var maxIntervalSeconds: Double
    public var maxIntervalAtSeconds: Double
    /// Steps above 40 ms (TR 101 290 2.3a).
    public var repetitionErrors: UInt64
    /// Steps back or above 100 ms that were not announced (TR 101 290 2.3b), and those that were.
    public var discontinuityErrors: UInt64
    public var announcedDiscontinuities: UInt64
    /// Time bases that were begun anew.
    public var restarts: UInt64
    /// |time between arrivals - time between values| from one reference to the next.
    public var stepJitter: RTPSourceReport.Distribution
    /// From the earliest to the latest reference once offset and drift are taken away, and when the latest came.
    public var overallJitterSeconds: Double
    public var overallJitterAtSeconds: Double
    /// Parts per million that the sender's clock is fast; nil where references are too few.
    public var driftPpm: Double?
  }

  /// DF:MLR (RFC 4445), of intervals of a second.
  public struct DeliveryIndex: Codable, Hashable, Sendable {
    /// Intervals in which packets came, the last and shorter one too, and those with losses.
    public var intervals: UInt64
    public var lossyIntervals: UInt64
    /// Delay factor of the latest interval and the largest, with the end of its interval after the first datagram.
    public var lastDelayFactorSeconds: Double
    public var maxDelayFactorSeconds: Double
    public var maxDelayFactorAtSeconds: Double
    /// Media loss rate: packets lost in the latest interval, and most in any, with its end.
    public var lastLossRate: UInt64
    public var maxLossRate: UInt64
    public var maxLossRateAtSeconds: Double
    /// Media rate of the latest interval, and where it is known from; nil before the first interval.
    public var mediaRateBitsPerSecond: Double
    public var mediaRateFrom: MediaDeliveryIndex.RateOrigin?
  }
}

extension TransportStreamAccount {
  /// All figures up to now; nil before the first datagram.
  public var report: TransportStreamReport? {
    guard let firstArrivalNs else { return nil }
    let originNs = firstArrivalNs
    func after(_ timeNs: UInt64?) -> Double {
      timeNs.map { Double(Int64(bitPattern: $0 &- originNs)) / 1e9 } ?? 0
    }
    let seconds = max(0, after(lastArrivalNs))
    return TransportStreamReport(
      datagrams: datagrams, packets: packets, nullPackets: nullPackets, firstArrivalNs: firstArrivalNs,
      durationSeconds: seconds, rateBitsPerSecond: seconds > 0 ? Double(bytes) * 8 / seconds : 0,
      syncByteErrors: syncByteErrors, syncLosses: syncLosses, transportErrors: transportErrors,
      malformedPackets: malformedPackets, cutDatagrams: cutDatagrams,
      continuityErrors: pids.reduce(0) { $0 + $1.errors }, lost: lost,
      duplicates: pids.reduce(0) { $0 + $1.duplicates },
      pids: pids.map {
        .init(
          pid: $0.pid, packets: $0.packets, continuityErrors: $0.errors, lost: $0.lost,
          duplicates: $0.duplicates)
      },
      clocks: clocks.map { clock in
        let jitter = clock.overallJitter
        return .init(
          pid: clock.pid, count: clock.count,
          maxIntervalSeconds: Double(clock.largestInterval?.valueNs ?? 0) / 1e9,
          maxIntervalAtSeconds: after(clock.largestInterval?.atNs), repetitionErrors: clock.repetitionErrors,
          discontinuityErrors: clock.discontinuityErrors,
          announcedDiscontinuities: clock.announcedDiscontinuities, restarts: clock.restarts,
          stepJitter: .init(clock.stepJitter, originNs: originNs),
          overallJitterSeconds: Double(jitter?.valueNs ?? 0) / 1e9, overallJitterAtSeconds: after(jitter?.atNs),
          driftPpm: clock.driftPpm)
      },
      unlistedPackets: unlistedPackets, unlistedClocks: unlistedClocks,
      deliveryIndex: Self.figures(deliveryIndex.ended, after))
  }

  private static func figures(
    _ index: MediaDeliveryIndex, _ after: (UInt64?) -> Double
  ) -> TransportStreamReport.DeliveryIndex {
    .init(
      intervals: index.count, lossyIntervals: index.lossyCount,
      lastDelayFactorSeconds: index.latest?.delayFactor ?? 0,
      maxDelayFactorSeconds: index.worstDelay?.delayFactor ?? 0,
      maxDelayFactorAtSeconds: after(index.worstDelay?.endNs),
      lastLossRate: index.latest?.lost ?? 0, maxLossRate: index.worstLoss?.lost ?? 0,
      maxLossRateAtSeconds: after(index.worstLoss?.endNs),
      mediaRateBitsPerSecond: (index.latest?.mediaRate ?? 0) * 8, mediaRateFrom: index.latest?.rateOrigin)
  }
}
