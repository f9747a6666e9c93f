import RelayExtension

/// Adds forward error correction: after every `group` RTP packets one more, the XOR of them, from which a receiver makes
/// any one of them that is lost again. The packets are those of RFC 8627 (FlexFEC, fixed bit mask of 15): payload type
/// `payloadType`, an SSRC of their own, on the stream's own ports.
///
/// A group is `group` sequence numbers from the first packet on; what comes twice, late or after a gap of more than a
/// group is not protected.
@main struct Fec: RelayExtension {
  static var summary: StaticString { "adds XOR parity packets for a receiver that repairs losses (RFC 8627)" }
  static var parameters: [Parameter] {
    [
      Parameter("group", 2...15, "packets that one parity packet protects"),
      Parameter("payloadType", 96...127, "of the parity packets"),
    ]
  }
  static var needs: [PacketFunction] { [.parity, .emit] }

  var group: UInt8 = 10
  var payloadType: UInt8 = 115

  enum Counter: UInt32, RelayCounter { case parity, outside, tooLong, refused }

  struct State: RelayState {
    var isRunning = false
    var ssrc: UInt32 = 0
    /// Sequence number of the group's first packet.
    var base: UInt16 = 0
    /// Bit i: packet `base` + i was added.
    var mask: UInt16 = 0
    /// XOR of the first two bytes, the lengths behind the fixed header, and the timestamps.
    var head: UInt16 = 0
    var lengths: UInt16 = 0
    var timestamps: UInt32 = 0
    var longest: UInt16 = 0
    /// Of the parity packets.
    var sequence: UInt16 = 0
    var row = ParityRow()
  }

  /// RTP header with one contributing source, then the FEC header (RFC 8627 sections 4.2.1 and 4.2.2).
  private static let headerBytes = 28

  func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
    guard let rtp = packet.rtp, let word = packet.uint16(at: 0) else { return .forward }
    let rest = packet.length &- 12
    guard rest > 0, rest <= 1400 else {
      context.count(.tooLong)
      return .forward
    }
    var place = rtp.sequence &- context.state.base
    let isOther = !context.state.isRunning || context.state.ssrc != rtp.ssrc
    if isOther || (place >= UInt16(group) && place < 0x8000) {
      // Sequence numbers went on: the next group, or the stream began anew.
      begin(with: rtp, &context)
      place = 0
    }
    guard place < UInt16(group), context.state.mask >> place & 1 == 0 else {
      context.count(.outside)
      return .forward
    }
    guard packet.add(from: 12, length: rest, to: &context.state.row, at: Self.headerBytes) else {
      context.count(.refused)
      return .forward
    }
    context.state.mask |= 1 << place
    context.state.head ^= word
    context.state.lengths ^= UInt16(truncatingIfNeeded: rest)
    context.state.timestamps ^= rtp.timestamp
    context.state.longest = max(context.state.longest, UInt16(truncatingIfNeeded: rest))
    if place == UInt16(group) &- 1 { send(after: &packet, rtp, &context) }
    return .forward
  }

  private func begin(with rtp: RTPHeader, _ context: inout Context<Self>) {
    context.state.isRunning = true
    context.state.ssrc = rtp.ssrc
    context.state.base = rtp.sequence
    context.state.mask = 0
    context.state.head = 0
    context.state.lengths = 0
    context.state.timestamps = 0
    context.state.longest = 0
    context.state.row.clear()
  }

  private func send(after packet: inout Packet, _ rtp: RTPHeader, _ context: inout Context<Self>) {
    // Version 2, one contributing source: the stream's.
    context.state.row[0] = 0x81
    context.state.row[1] = payloadType
    context.state.row.store(context.state.sequence, at: 2)
    context.state.row.store(rtp.timestamp, at: 4)
    // An SSRC that differs from the stream's, and is the same for all of its parity.
    context.state.row.store(~rtp.ssrc, at: 8)
    context.state.row.store(rtp.ssrc, at: 12)
    // No retransmission, flexible mask: the two highest bits are 0 in place of the version's.
    context.state.row.store(context.state.head & 0x3fff, at: 16)
    context.state.row.store(context.state.lengths, at: 18)
    context.state.row.store(context.state.timestamps, at: 20)
    context.state.row.store(context.state.base, at: 24)
    context.state.row.store(flexibleMask(context.state.mask), at: 26)
    let length = Self.headerBytes &+ Int(context.state.longest)
    if packet.emit(&context.state.row, length: length) {
      context.count(.parity)
      context.state.sequence &+= 1
    } else {
      context.count(.refused)
    }
    // The next packet begins a group.
    context.state.isRunning = false
  }

  /// The highest bit, 0, says that no more of the mask follows; the bit below it is the first packet's.
  private func flexibleMask(_ mask: UInt16) -> UInt16 {
    var flexible: UInt16 = 0
    for place in 0..<15 where mask >> UInt16(place) & 1 == 1 { flexible |= 0x4000 >> UInt16(place) }
    return flexible
  }
}
