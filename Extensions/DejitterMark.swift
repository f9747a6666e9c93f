import RelayExtension

/// Gives packets that are late against the stream's own clock another DSCP, so that a network behind may treat them as
/// what they are: for instance drop them first, since a receiver's buffer will not wait for them.
///
/// How late a packet is: its arrival against that of the earliest packet of late, both by their RTP timestamps. The
/// comparison follows a sender's clock that is up to 122 millionths slow, and at once one that is fast. Packets of one
/// video frame share a timestamp, and frames that are sent in another order than they are shown have timestamps that go
/// back: `lateUs` must be above the time that a frame takes to be sent, and above that reordering.
@main struct DejitterMark: RelayExtension {
  static var summary: StaticString { "marks packets that are late against the stream's own clock" }
  static var histogram: StaticString { "lateness_us" }
  static var parameters: [Parameter] {
    [
      Parameter("clockRate", 1000...1_000_000_000, "ticks of RTP timestamps in a second"),
      Parameter("lateUs", 0...10_000_000, "lateness in microseconds above which a packet is marked"),
      Parameter("dscp", 0...63, "what marked packets leave with"),
    ]
  }

  var clockRate: UInt32 = 90_000
  var lateUs: UInt32 = 20_000
  /// Class 1 with a high probability of being dropped (RFC 2597).
  var dscp: UInt8 = 14

  enum Counter: UInt32, RelayCounter { case marked, restarts }

  struct State: RelayState {
    var isRunning = false
    var ssrc: UInt32 = 0
    /// The packet that others are compared with: the earliest of late.
    var timestamp: UInt32 = 0
    var arrivalNs: UInt64 = 0
  }

  /// Silence or a step of a clock, of the sender's or this machine's, after which the comparison starts anew.
  private static let longestNs: Int64 = 10_000_000_000

  func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
    guard let rtp = packet.rtp else { return .forward }
    let state = context.state
    let elapsedNs = Int64(bitPattern: context.arrivalNs &- state.arrivalNs)
    let ticks = Int64(Int32(bitPattern: rtp.timestamp &- state.timestamp))
    // 2^31 ticks times 10^9 are below 2^61.
    let mediaNs = ticks &* 1_000_000_000 / Int64(clockRate)
    let latenessNs = elapsedNs &- mediaNs
    guard state.isRunning, state.ssrc == rtp.ssrc, latenessNs.magnitude < UInt64(Self.longestNs) else {
      context.count(.restarts)
      compare(with: rtp, &context)
      return .forward
    }
    // What the comparison forgives grows by 1/8192 of the time since its packet.
    let lateness = latenessNs &- max(elapsedNs, 0) >> 13
    guard lateness > 0 else {
      compare(with: rtp, &context)
      context.record(0)
      return .forward
    }
    let us = UInt64(lateness) / 1000
    context.record(us)
    if us > UInt64(lateUs) {
      packet.dscp = dscp
      context.count(.marked)
    }
    return .forward
  }

  private func compare(with rtp: RTPHeader, _ context: inout Context<Self>) {
    context.state = State(
      isRunning: true, ssrc: rtp.ssrc, timestamp: rtp.timestamp, arrivalNs: context.arrivalNs)
  }
}
