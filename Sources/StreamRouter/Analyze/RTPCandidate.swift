import JitterStats

/// Packets of one flow with one SSRC that may be RTP: held back until enough of them go on from each other.
///
/// The rule is that of RFC 3550 appendix A.1, stricter since nothing says that this port has RTP: ``needed`` packets
/// one after the other, each less than 3,000 numbers ahead of the one before or at most 100 behind it, with
/// ``steps`` of the numbers exactly the next. Other protocols have nothing at these places that counts on so.
struct RTPCandidate {
  struct Packet {
    var header: RTPHeader
    var arrivalNs: UInt64
    var payloadBytes: Int
    /// The datagram's payload, where it bears an MPEG transport stream: its account begins with it.
    var payload: [UInt8]?
  }

  /// Packets in a row that go on from each other.
  static let needed = 4
  /// Of those, packets with exactly the next number.
  static let steps = 2
  /// Packets that are held; the oldest of more are given up.
  static let heldLimit = 16

  let ssrc: UInt32
  private(set) var held: [Packet] = []
  /// Bytes of payloads that are held.
  var heldBytes: Int { held.reduce(0) { $0 + ($1.payload?.count ?? 0) } }
  private var stepsInRun: [Bool] = []

  init(ssrc: UInt32) { self.ssrc = ssrc }

  /// - Returns: whether it is RTP now: all held packets are of the stream.
  mutating func take(_ packet: Packet) -> Bool {
    if let last = held.last {
      let step = Int16(bitPattern: packet.header.sequence &- last.header.sequence)
      if step != 0, step >= -100, step < 3_000 {
        stepsInRun.append(step == 1)
        if stepsInRun.count >= Self.needed { stepsInRun.removeFirst() }
      } else {
        stepsInRun.removeAll()
      }
    }
    if held.count == Self.heldLimit { held.removeFirst() }
    held.append(packet)
    return stepsInRun.count == Self.needed - 1 && stepsInRun.count(where: { $0 }) >= Self.steps
  }
}
