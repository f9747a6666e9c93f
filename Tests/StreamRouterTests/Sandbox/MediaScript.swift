import TestSupport
import Foundation

/// A made-up network: what senders send on one relay, in the order and at the times in which it arrives. Sequence
/// numbers wrap, get lost, come late and twice and start anew; SSRCs come and go; arrivals are uneven.
struct MediaScript {
  /// One datagram, or several of one GSO packet, which are as long as the first but for the last.
  struct Arrival {
    var datagrams: [[UInt8]]
    var atNs: UInt64
    /// Whether it comes to the port above, where RTCP is expected.
    var toCompanion = false
  }

  private struct Sender {
    var ssrc: UInt32
    var payloadType: UInt8
    var sequence: UInt16
    var timestamp: UInt32
    /// Where an astray packet made one think that the numbering goes on.
    var astray: UInt16?
  }

  var random = SeededRandom()
  private var senders: [Sender] = []
  private var current = 0
  private var nowNs: UInt64 = 1_700_000_000_000_000_000

  init() {
    // More than the datapath keeps apart, so that some replace others.
    for _ in 0..<6 { senders.append(newSender()) }
  }

  private mutating func newSender() -> Sender {
    Sender(
      ssrc: UInt32.random(in: 0 ... .max, using: &random),
      payloadType: random.once(in: 2)
        ? .random(in: 0...34, using: &random) : .random(in: 96...127, using: &random),
      // Near the wrap, of sequence numbers and timestamps both.
      sequence: random.once(in: 2)
        ? .random(in: 65_000 ... .max, using: &random) : UInt16(random.next() & 0xffff),
      timestamp: random.once(in: 2)
        ? .random(in: 0xffff_0000 ... .max, using: &random) : UInt32(random.next() >> 32))
  }

  mutating func next() -> Arrival {
    advanceClock()
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<3: return Arrival(datagrams: [garbage()], atNs: nowNs, toCompanion: random.once(in: 2))
    case 3..<5:
      let report: [UInt8] =
        [0x80, .random(in: 192...223, using: &random)] + random.bytes(.random(in: 6...40, using: &random))
      return Arrival(datagrams: [report], atNs: nowNs, toCompanion: random.once(in: 2))
    case 5..<8:
      let train = (0..<Int.random(in: 2...20, using: &random)).map { _ in media(bodyBytes: 60) }
      return Arrival(datagrams: train, atNs: nowNs)
    default:
      return Arrival(datagrams: [media(bodyBytes: .random(in: 0...40, using: &random))], atNs: nowNs)
    }
  }

  /// Mostly some milliseconds; at times none, a pause that ends a measurement, or a clock that is set back.
  private mutating func advanceClock() {
    switch Int.random(in: 0..<200, using: &random) {
    case 0: nowNs += UInt64.random(in: 9_000_000_000...11_000_000_000, using: &random)
    case 1: nowNs -= UInt64.random(in: 0...2_000_000_000, using: &random)
    case 2..<20: break
    default: nowNs += UInt64.random(in: 0...8_000_000, using: &random)
    }
  }

  /// The next RTP packet of some sender, or what the network made of it.
  private mutating func media(bodyBytes: Int) -> [UInt8] {
    if random.once(in: 8) { current = Int.random(in: 0..<senders.count, using: &random) }
    if random.once(in: 400) { senders[current] = newSender() }
    var sequence = senders[current].sequence
    var timestamp = senders[current].timestamp
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<6:  // a duplicate, or one that was thought lost, from far within and beyond what is remembered
      let back = UInt16.random(in: 1...140, using: &random)
      sequence &-= back
      timestamp &-= 3000 &* UInt32(back)
    case 6..<9: advance(.random(in: 2...130, using: &random))
    case 9: advance(random.once(in: 2) ? .random(in: 2990...3010, using: &random) : 200)
    case 10:  // astray, once or twice; the second may be the next number and so confirm a restart
      sequence = senders[current].astray ?? .random(in: 0 ... .max, using: &random)
      senders[current].astray = random.once(in: 2) ? sequence &+ 1 : nil
    case 11:  // the sender numbers anew and goes on from there
      senders[current].sequence = .random(in: 0 ... .max, using: &random)
      senders[current].timestamp = .random(in: 0 ... .max, using: &random)
      sequence = senders[current].sequence
      advance(1)
    case 12: advance(UInt16(bitPattern: Int16.random(in: -101 ... -99, using: &random)))
    default: advance(1)
    }
    return packet(sequence, timestamp, bodyBytes: bodyBytes)
  }

  private mutating func advance(_ steps: UInt16) {
    senders[current].sequence &+= steps
    // Not always in step with the numbers: a video frame has several packets of one timestamp.
    if !random.once(in: 4) { senders[current].timestamp &+= .random(in: 0...6000, using: &random) }
  }

  private mutating func packet(_ sequence: UInt16, _ timestamp: UInt32, bodyBytes: Int) -> [UInt8] {
    let sender = senders[current]
    var packet = rtp(
      sequence, timestamp: timestamp, ssrc: sender.ssrc, payloadType: sender.payloadType,
      body: random.bytes(bodyBytes))
    if random.once(in: 4), !(64...95).contains(sender.payloadType) { packet[1] |= 0x80 }
    if bodyBytes >= 60 { packet[0] |= .random(in: 0...15, using: &random) }
    return packet
  }

  /// Of any length, with any version, or a header whose CSRCs do not fit.
  private mutating func garbage() -> [UInt8] {
    var bytes = random.bytes(.random(in: 0...40, using: &random))
    if !bytes.isEmpty && random.once(in: 2) { bytes[0] = 0x80 | bytes[0] & 0x3f }
    return bytes
  }
}
