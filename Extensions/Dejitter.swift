import RelayExtension

/// A de-jitter buffer: holds RTP packets so that they leave in the rhythm of their timestamps, `delayMs` after they
/// would have come over a way without jitter.
///
/// The measure is the packet that came earliest against its timestamp. What comes up to `delayMs` later than that leaves
/// in time and in order, whatever order it came in; what comes later still leaves at once. The measure forgets: by 1 in
/// 8192, so that a sender whose clock is slow, or a way that became longer, makes a new one.
@main struct Dejitter: RelayExtension {
  static var summary: StaticString { "holds packets so that they leave in the rhythm of their timestamps" }
  static var histogram: StaticString { "held_us" }
  static var parameters: [Parameter] {
    [
      Parameter("clockRate", 1000...1_000_000_000, "ticks of RTP timestamps in a second"),
      Parameter("delayMs", 1...5000, "milliseconds that the earliest packets are held, and the most that is evened out"),
    ]
  }
  static var needs: [PacketFunction] { [.hold] }

  var clockRate: UInt32 = 90_000
  var delayMs: UInt32 = 20

  enum Counter: UInt32, RelayCounter { case held, late, restarts }

  struct State: RelayState {
    var isRunning = false
    var ssrc: UInt32 = 0
    /// The packet that others are compared with: the earliest of late.
    var timestamp: UInt32 = 0
    var arrivalNs: UInt64 = 0
    /// Of what came so far, the newest timestamp and when it leaves.
    var newest: UInt32 = 0
    var releaseNs: UInt64 = 0
  }

  /// Silence or a step of a clock, of the sender's or this machine's, after which the comparison starts anew.
  private static let longestNs: Int64 = 9_000_000_000

  func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
    guard let rtp = packet.rtp else { return .forward }
    let state = context.state
    let now = context.arrivalNs
    let elapsedNs = Int64(bitPattern: now &- state.arrivalNs)
    let ticks = Int64(Int32(bitPattern: rtp.timestamp &- state.timestamp))
    // 2^31 ticks times 10^9 are below 2^61.
    let mediaNs = ticks &* 1_000_000_000 / Int64(clockRate)
    let rawNs = elapsedNs &- mediaNs
    var latenessNs = rawNs &- max(elapsedNs, 0) >> 13
    let goesOn = state.isRunning && state.ssrc == rtp.ssrc && rawNs.magnitude < UInt64(Self.longestNs)
    if !goesOn { context.count(.restarts) }
    if !goesOn || latenessNs <= 0 {
      context.state.isRunning = true
      context.state.ssrc = rtp.ssrc
      context.state.timestamp = rtp.timestamp
      context.state.arrivalNs = now
      latenessNs = 0
    }
    var releaseNs = now &- UInt64(latenessNs) &+ UInt64(delayMs) &* 1_000_000
    let isNewest = !goesOn || Int32(bitPattern: rtp.timestamp &- state.newest) >= 0
    // While the earliest one is still looked for, the times of packets may approach each other, but not cross.
    if isNewest {
      if goesOn { releaseNs = max(releaseNs, state.releaseNs) }
      context.state.newest = rtp.timestamp
      context.state.releaseNs = releaseNs
    } else {
      releaseNs = min(releaseNs, state.releaseNs)
    }
    if releaseNs > now {
      context.count(.held)
      context.record((releaseNs &- now) / 1000)
    } else {
      context.count(.late)
    }
    packet.hold(untilNs: releaseNs)
    return .forward
  }
}
