/// All figures of one RTP source, as a value: what ``RTPSourceAnalysis`` has found up to now.
///
/// Times are seconds, rates bits per second, ratios 0 to 1. docs/ACCOUNT.md gives each figure's formula.
public struct RTPSourceReport: Codable, Hashable, Sendable {
  public var ssrc: UInt32
  /// Hz of the RTP timestamps that all times are derived from.
  public var clockRate: UInt32
  /// Payload types seen, ascending.
  public var payloadTypes: [UInt8]
  /// Packets that arrived, duplicates and those out of range included.
  public var packets: UInt64
  /// Bytes of those packets: RTP headers and payloads, without UDP and IP.
  public var bytes: UInt64
  /// When the first packet arrived, nanoseconds of the clock of arrivals.
  public var firstArrivalNs: UInt64
  /// From the first to the latest arrival.
  public var durationSeconds: Double
  /// Mean rate of ``bytes`` over the duration; 0 where all arrived at once.
  public var rateBitsPerSecond: Double
  /// The highest sequence number with the count of wraps above its 16 bits (RFC 3550 section 6.4.1).
  public var extendedHighestSequence: UInt64
  public var loss: Loss
  public var reordering: Reordering
  public var bursts: Bursts
  /// Time between arrivals.
  public var interarrival: Distribution
  /// Interarrival jitter (RFC 3550 section 6.4.1).
  public var jitter: Jitter
  /// |IPDV|: the change of transit time between packets of adjacent numbers (RFC 3393, RFC 5481 section 4.1).
  public var ipdv: Distribution
  /// The largest advance and delay of a packet against its predecessor: IPDV with its sign.
  public var ipdvRange: Range
  /// PDV: transit time above that of the fastest packet (RFC 5481 section 4.2).
  public var pdv: Distribution
  public var clock: Clock
  /// What Wireshark's RTP analysis shows, by its rules.
  public var wireshark: Wireshark
  /// The MPEG transport stream that the packets bear; nil: none.
  public var transportStream: TransportStreamReport?

  /// What the sequence numbers tell.
  public struct Loss: Codable, Hashable, Sendable {
    /// Packets that were sent, by their numbers.
    public var expected: UInt64
    /// Of those, packets that arrived.
    public var received: UInt64
    public var lost: UInt64
    /// Lost of expected.
    public var ratio: Double
    public var duplicates: UInt64
    /// Packets too far from the others to be believed (RFC 3550 appendix A.1).
    public var outOfRange: UInt64
    /// How often the source began its numbers anew.
    public var restarts: UInt64
  }

  /// RFC 4737.
  public struct Reordering: Codable, Hashable, Sendable {
    public var reordered: UInt64
    /// Reordered of received.
    public var ratio: Double
    /// Largest and mean extent, in packets (section 4.2.1).
    public var largestExtent: UInt64
    public var meanExtent: Double
    /// Largest late time (section 4.2.2).
    public var largestLateSeconds: Double
  }

  /// RFC 3611 section 4.7.2, Gmin 16.
  public struct Bursts: Codable, Hashable, Sendable {
    public var bursts: UInt64
    /// Packets of bursts, lost and received.
    public var packets: UInt64
    public var losses: UInt64
    /// Losses of all packets of bursts.
    public var density: Double
    /// Losses of all packets of gaps.
    public var gapDensity: Double
    /// Mean length of a burst, by its packets and the mean time between packets.
    public var meanSeconds: Double
    /// Mean length of a gap; the whole stream where there is no burst.
    public var meanGapSeconds: Double
    public var longestPackets: UInt64
    /// Most packets lost in a row.
    public var longestRun: UInt64
  }

  /// Percentiles of durations, and the largest with its time.
  public struct Distribution: Codable, Hashable, Sendable {
    public var count: UInt64
    public var minSeconds: Double
    public var meanSeconds: Double
    public var p50Seconds: Double
    public var p90Seconds: Double
    public var p99Seconds: Double
    public var p999Seconds: Double
    public var maxSeconds: Double
    /// When the largest occurred, after the first packet of the stream.
    public var maxAtSeconds: Double
  }

  public struct Jitter: Codable, Hashable, Sendable {
    public var lastSeconds: Double
    public var meanSeconds: Double
    public var maxSeconds: Double
    /// After the first packet of the stream.
    public var maxAtSeconds: Double
  }

  public struct Range: Codable, Hashable, Sendable {
    public var minSeconds: Double
    public var maxSeconds: Double
  }

  /// The sender's clock against that of the arrivals, from the least squares line through all packets.
  public struct Clock: Codable, Hashable, Sendable {
    /// Parts per million that the sender's clock is fast; nil where packets are too few.
    public var driftPpm: Double?
    /// What it gained over the stream.
    public var driftSeconds: Double?
  }

  /// Wireshark's names in its RTP stream analysis.
  public struct Wireshark: Codable, Hashable, Sendable {
    /// Below 0 where duplicates outnumber losses.
    public var lost: Int64
    public var minDeltaSeconds: Double
    public var meanDeltaSeconds: Double
    public var maxDeltaSeconds: Double
    public var minJitterSeconds: Double
    public var meanJitterSeconds: Double
    public var maxJitterSeconds: Double
    public var maxSkewSeconds: Double
    public var clockDriftSeconds: Double
    /// The sender's clock rate as it arrived, Hz.
    public var frequencyHz: Double
    public var frequencyDriftPercent: Double
    /// Sequence errors and timestamps that went back.
    public var problems: UInt64
  }
}

extension RTPSourceReport.Distribution {
  init(_ distribution: DelayDistribution, originNs: UInt64) {
    count = distribution.count
    minSeconds = Double(distribution.smallestNs ?? 0) / 1e9
    meanSeconds = distribution.meanNs / 1e9
    p50Seconds = distribution.seconds(percentile: 50)
    p90Seconds = distribution.seconds(percentile: 90)
    p99Seconds = distribution.seconds(percentile: 99)
    p999Seconds = distribution.seconds(percentile: 99.9)
    maxSeconds = Double(distribution.largest?.valueNs ?? 0) / 1e9
    maxAtSeconds = distribution.largest.map { Double(Int64(bitPattern: $0.atNs &- originNs)) / 1e9 } ?? 0
  }
}
