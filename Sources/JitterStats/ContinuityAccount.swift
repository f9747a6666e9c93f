/// The continuity counters of one PID (ISO/IEC 13818-1 section 2.4.3.3): what they say of lost, double and
/// disordered packets, with an error counted where ETSI TR 101 290 section 5.2.1 (1.4, Continuity_count_error) has
/// one.
///
/// A counter of four bits cannot tell 16 lost packets from none: ``lost`` is what the jumps add up to, and at least
/// as many as that modulo 16.
public struct ContinuityAccount: Hashable, Sendable {
  public let pid: UInt16
  /// Packets of this PID without transport_error_indicator.
  public private(set) var packets: UInt64 = 1
  /// Counters that do not follow the one before, and packets that came more than twice.
  public private(set) var errors: UInt64 = 0
  /// Packets that the jumps of the counter leave out. A packet that comes late makes two jumps.
  public private(set) var lost: UInt64 = 0
  /// Packets that were sent twice, which is allowed.
  public private(set) var duplicates: UInt64 = 0
  /// The first packet, for who joins this to an earlier part.
  private var first: TransportStreamPacket
  private var latest: TransportStreamPacket
  /// Whether the latest packet has come twice already.
  private var isRepeated = false

  /// The account after the first packet of a PID.
  public init(_ packet: TransportStreamPacket) {
    pid = packet.pid
    first = packet
    latest = packet
  }

  /// Accounts for one more packet.
  /// - Returns: packets that are missing before it, 0 to 15.
  @discardableResult
  public mutating func receive(_ packet: TransportStreamPacket) -> UInt64 {
    packets += 1
    return follow(packet)
  }

  private mutating func follow(_ packet: TransportStreamPacket) -> UInt64 {
    let former = latest
    latest = packet
    if packet.hasPayload, former.hasPayload, packet.counter == former.counter,
      packet.fingerprint == former.fingerprint
    {
      if isRepeated { errors += 1 } else { duplicates += 1 }
      isRepeated = true
      return 0
    }
    isRepeated = false
    guard !packet.isDiscontinuous else { return 0 }
    // Without payload the counter stands still.
    let expected = packet.hasPayload ? former.counter &+ 1 : former.counter
    let missing = UInt64((packet.counter &- expected) & 0x0f)
    if missing > 0 { errors += 1 }
    lost += missing
    return missing
  }

  /// Takes in what another account of this PID saw later.
  /// - Returns: packets that are missing between both.
  @discardableResult
  public mutating func merge(_ later: ContinuityAccount) -> UInt64 {
    let missing = follow(later.first)
    packets += later.packets
    errors += later.errors
    lost += later.lost
    duplicates += later.duplicates
    latest = later.latest
    isRepeated = later.isRepeated || later.packets == 1 && isRepeated
    return missing
  }
}
