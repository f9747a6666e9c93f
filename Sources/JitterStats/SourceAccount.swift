/// The sequence and jitter state of one RTP synchronization source (SSRC): what was lost, late or doubled on the
/// way here, and how unevenly it arrives.
///
/// A state machine: time and header fields go in, an ``Arrival`` comes out. The same arithmetic runs in the
/// kernel (`struct sr_source_state`, bpf/measure.h); a test feeds both the same packets.
public struct SourceAccount: Hashable, Sendable {
  /// What the sequence number of a packet told.
  public enum Arrival: Hashable, Sendable {
    /// The first packet of this SSRC.
    case first
    /// The sequence number after the highest.
    case inOrder
    /// Ahead of the highest: that many numbers were skipped (1 to 2998).
    case gap(missing: UInt16)
    /// A skipped number that arrived after all.
    case late
    /// A number that had arrived before.
    case duplicate
    /// A jump too large to believe (RFC 3550 appendix A.1). Accepted only if the next number follows.
    case suspect
    /// The number after a suspect jump: the source restarted its numbering.
    case restart
  }

  /// The step forward that is taken for a jump: RFC 3550 appendix A.1, MAX_DROPOUT.
  public static let maxDropout: UInt16 = 3000
  /// How far behind the highest a packet may come: RFC 3550 appendix A.1, MAX_MISORDER.
  public static let maxMisorder: UInt16 = 100

  /// The synchronization source (RFC 3550 section 5.1).
  public let ssrc: UInt32
  /// Hz of the timestamps, as the first packet told (``PayloadClock``): an SSRC keeps its clock
  /// (RFC 7160 section 4.1).
  public let clockRate: UInt32
  /// Packets of this SSRC, duplicates included. Wraps from its largest value to 1, as 0 marks a free slot.
  public private(set) var packets: UInt32
  /// Arrival of the packet that the next transit time is compared with, nanoseconds.
  public private(set) var lastArrivalNs: UInt64
  /// RTP timestamp of that packet.
  public private(set) var lastTimestamp: UInt32
  /// The highest sequence number, in the sense of serial arithmetic.
  public private(set) var highest: UInt16
  /// Bit i: whether sequence number `highest - i` arrived.
  public private(set) var window: UInt128
  /// The sequence number that would confirm a restart; nil where none is suspected.
  public private(set) var restart: UInt16?
  /// Interarrival jitter (RFC 3550 section 6.4.1).
  public private(set) var jitter = JitterFilter()
  /// How the delay of the latest packet differs from others'; nil where it tells nothing: the first packet, duplicates,
  /// restarts, and pauses longer than ``JitterFilter/discontinuityNs``.
  public private(set) var variation: DelayDifference?
  /// How much longer the latest packet took than the quickest, nanoseconds.
  public private(set) var variationNs: UInt64 = 0

  /// The state after the first packet of an SSRC.
  /// - Parameters:
  ///   - timestamp: the RTP timestamp, in units of the payload's clock.
  ///   - arrivalNs: when the packet arrived, nanoseconds of any clock that does not change between calls.
  ///   - clockRate: Hz of the RTP timestamps (``PayloadClock``); above 0.
  public init(ssrc: UInt32, sequence: UInt16, timestamp: UInt32, arrivalNs: UInt64, clockRate: UInt32) {
    precondition(clockRate > 0, "A clock that stands still has no jitter: PayloadClock gives the rate.")
    self.ssrc = ssrc
    self.clockRate = clockRate
    self.packets = 1
    self.lastArrivalNs = arrivalNs
    self.lastTimestamp = timestamp
    self.highest = sequence
    self.window = 1
  }

  /// Accounts for one more packet of this SSRC.
  public mutating func receive(sequence: UInt16, timestamp: UInt32, arrivalNs: UInt64) -> Arrival {
    packets = packets == .max ? 1 : packets + 1
    variation = nil
    let ahead = sequence &- highest
    if ahead == 0 { return .duplicate }
    if ahead < Self.maxDropout {
      // A shift by the width or more yields 0, as it should.
      window = window << UInt128(ahead) | 1
      highest = sequence
      restart = nil
      updateJitter(timestamp: timestamp, arrivalNs: arrivalNs)
      return ahead == 1 ? .inOrder : .gap(missing: ahead - 1)
    }
    let behind = 0 &- ahead
    if behind <= Self.maxMisorder {
      let bit = UInt128(1) << UInt128(behind)
      if window & bit != 0 { return .duplicate }
      window |= bit
      updateJitter(timestamp: timestamp, arrivalNs: arrivalNs)
      return .late
    }
    guard restart == sequence else {
      restart = sequence &+ 1
      return .suspect
    }
    restart = nil
    highest = sequence
    window = 1
    variationNs = 0
    lastArrivalNs = arrivalNs
    lastTimestamp = timestamp
    return .restart
  }

  /// D(i-1, i) = (R_i - R_(i-1)) - (S_i - S_(i-1)), RFC 3550 section 6.4.1, in the order of arrival.
  private mutating func updateJitter(timestamp: UInt32, arrivalNs: UInt64) {
    let received = Int64(bitPattern: arrivalNs &- lastArrivalNs)
    // 2^31 times 10^9 fits 63 bits.
    let sent = Int64(Int32(bitPattern: timestamp &- lastTimestamp)) * 1_000_000_000 / Int64(clockRate)
    lastArrivalNs = arrivalNs
    lastTimestamp = timestamp
    let difference = received &- sent
    jitter.update(differenceNs: difference.magnitude)
    guard difference.magnitude <= JitterFilter.discontinuityNs else {
      variationNs = 0
      return
    }
    let drift = received > 0 ? received >> DelayDifference.driftLog2 : 0
    variationNs = UInt64(max(0, Int64(variationNs) &+ difference &- drift))
    variation = DelayDifference(fromLastNs: difference.magnitude, fromQuickestNs: variationNs)
  }
}

/// How the one-way delay of a packet differs from that of others of its source. Differences need no common clock.
public struct DelayDifference: Hashable, Sendable {
  /// |D(i-1, i)| of RFC 3550 section 6.4.1, nanoseconds: inter-packet delay variation (RFC 3393) without its sign, of
  /// packets that arrive one after the other.
  public var fromLastNs: UInt64
  /// Packet delay variation, nanoseconds: against the quickest packet (RFC 5481 section 4.2), which is forgotten by
  /// 1/2^``driftLog2`` of the time that passes, since clocks of two machines drift apart.
  public var fromQuickestNs: UInt64

  /// Clocks up to 122 millionths apart do not make a delay grow.
  public static let driftLog2: Int64 = 13

  public init(fromLastNs: UInt64, fromQuickestNs: UInt64) {
    self.fromLastNs = fromLastNs
    self.fromQuickestNs = fromQuickestNs
  }
}
