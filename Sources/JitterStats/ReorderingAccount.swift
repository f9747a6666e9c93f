/// Reordering (RFC 4737): how many packets came after one with a higher sequence number, and how far off they were.
///
/// The extent of a reordered packet (section 4.2.1) is how many packets arrived between it and the earliest arrival
/// among those with higher numbers, both ends counted once: a packet that changed places with its follower has
/// extent 1. Its late time (section 4.2.2) is the time from that arrival. Duplicates take no part (section 3.3).
public struct ReorderingAccount: Hashable, Sendable {
  /// Positions back that arrivals are remembered for.
  static let width = SequenceAccount.windowWidth

  public private(set) var reordered: UInt64 = 0
  /// The largest extent, in packets.
  public private(set) var largestExtent: UInt64 = 0
  /// All extents together, for the mean.
  public private(set) var extentSum: UInt64 = 0
  /// The largest late time, nanoseconds.
  public private(set) var largestLateNs: UInt64 = 0

  /// When a packet arrived: its place in the order of arrival (0: not yet), and the time.
  private struct Arrival: Hashable, Sendable {
    var place: UInt64 = 0
    var atNs: UInt64 = 0
  }

  /// Where the highest number stands in the ring; number `highest - i` stands `i` before it.
  private var head = 0
  private var places: UInt64 = 0
  private var ring = [Arrival](repeating: Arrival(), count: width)

  public init() {}

  /// The packet `step` above the highest arrived.
  mutating func advance(by step: UInt64, arrivalNs: UInt64) {
    for skipped in 1..<max(1, min(step, UInt64(Self.width))) {
      ring[(head + Int(skipped)) % Self.width] = Arrival()
    }
    head = Int((UInt64(head) + step) % UInt64(Self.width))
    places += 1
    ring[head] = Arrival(place: places, atNs: arrivalNs)
  }

  /// The packet `behind` below the highest arrived; 1 to 127.
  mutating func late(behind: Int, arrivalNs: UInt64) {
    places += 1
    var earliest = ring[head]
    for position in 0..<min(behind, Self.width) {
      let arrival = ring[(head - position + Self.width) % Self.width]
      if arrival.place != 0, arrival.place < earliest.place { earliest = arrival }
    }
    ring[(head - behind + Self.width) % Self.width] = Arrival(place: places, atNs: arrivalNs)
    let extent = places - earliest.place
    reordered += 1
    extentSum += extent
    largestExtent = max(largestExtent, extent)
    largestLateNs = max(largestLateNs, arrivalNs > earliest.atNs ? arrivalNs - earliest.atNs : 0)
  }

  /// The source began anew: nothing before can be late any more.
  mutating func restart(arrivalNs: UInt64) {
    ring = [Arrival](repeating: Arrival(), count: Self.width)
    places += 1
    advance(by: 1, arrivalNs: arrivalNs)
  }

  /// Takes in the counts of an account of earlier packets; reordering between both is not seen.
  public mutating func merge(earlier: ReorderingAccount) {
    reordered += earlier.reordered
    largestExtent = max(largestExtent, earlier.largestExtent)
    extentSum += earlier.extentSum
    largestLateNs = max(largestLateNs, earlier.largestLateNs)
  }
}
