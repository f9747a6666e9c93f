/// The evenness of a flow without timestamps: the jitter filter over the change of the interarrival time.
///
/// For protocol udp. A sender that keeps a steady pace shows its network's jitter here; one that sends in bursts
/// shows its own bursts too, which RTP timestamps would have taken out.
public struct InterarrivalAccount: Hashable, Sendable {
  /// Packets so far. Wraps from its largest value to 2, so that a gap stays known.
  public private(set) var packets: UInt32 = 0
  /// Arrival of the latest packet, nanoseconds.
  public private(set) var lastArrivalNs: UInt64 = 0
  /// The interarrival time before the latest packet, nanoseconds.
  public private(set) var lastGapNs: UInt64 = 0
  /// |gap(i) - gap(i-1)| through the filter of RFC 3550 section 6.4.1.
  public private(set) var jitter = JitterFilter()

  /// |gap(i) - gap(i-1)| of the latest packet, nanoseconds; nil where it tells nothing.
  public private(set) var changeNs: UInt64?

  public init() {}

  /// Accounts for one packet that arrived at `arrivalNs`, nanoseconds of any clock that does not change between
  /// calls.
  public mutating func receive(arrivalNs: UInt64) {
    changeNs = nil
    if packets >= 1 {
      let gapNs = arrivalNs &- lastArrivalNs
      if packets >= 2 {
        let change = Int64(bitPattern: gapNs &- lastGapNs).magnitude
        jitter.update(differenceNs: change)
        if change <= JitterFilter.discontinuityNs { changeNs = change }
      }
      lastGapNs = gapNs
    }
    lastArrivalNs = arrivalNs
    packets = packets == .max ? 2 : packets + 1
  }
}
