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
      Parameter(
        "delayMs", 1...5000, "milliseconds that the earliest packets are held, and the most that is evened out"),
    ]
  }
  static var needs: [PacketFunction] { [.hold] }

  var clockRate: UInt32 = 90_000
  var delayMs: UInt32 = 20

  enum Counter: UInt32, RelayCounter { case held, late, restarts }

  /// A part of the timetable: packets from one timestamp on leave so much after each other as their timestamps say.
  struct Part: BitwiseCopyable {
    var from: UInt32 = 0
    /// A packet of this part, and when it leaves.
    var timestamp: UInt32 = 0
    var releaseNs: UInt64 = 0
    /// But none before the part that was before.
    var notBeforeNs: UInt64 = 0
  }

  struct State: RelayState {
    var isRunning = false
    var ssrc: UInt32 = 0
    /// The packet that others are compared with: the earliest of late.
    var timestamp: UInt32 = 0
    var arrivalNs: UInt64 = 0
    /// Of what came so far, the newest timestamp and when it leaves.
    var newest: UInt32 = 0
    var releaseNs: UInt64 = 0
    /// Parts of the timetable, the one in force and those before it: packets that come behind newer ones keep the place
    /// that they would have had.
    var parts: InlineArray<16, Part> = .init(repeating: Part())
    var current: UInt32 = 0
  }

  /// Silence or a step of a clock, of the sender's or this machine's, after which the comparison starts anew.
  private static let longestNs: Int64 = 9_000_000_000

  /// A timetable that is this much late is none to change.
  private static let toleranceNs: Int64 = 100_000

  func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
    guard let rtp = packet.rtp else { return .forward }
    let now = context.arrivalNs
    let elapsedNs = Int64(bitPattern: now &- context.state.arrivalNs)
    let rawNs = elapsedNs &- mediaNs(from: context.state.timestamp, to: rtp.timestamp)
    var latenessNs = rawNs &- max(elapsedNs, 0) >> 13
    let goesOn =
      context.state.isRunning && context.state.ssrc == rtp.ssrc && rawNs.magnitude < UInt64(Self.longestNs)
    if !goesOn || latenessNs <= 0 {
      context.state.isRunning = true
      context.state.ssrc = rtp.ssrc
      context.state.timestamp = rtp.timestamp
      context.state.arrivalNs = now
      latenessNs = 0
    }
    let wantedNs = now &- UInt64(latenessNs) &+ UInt64(delayMs) &* 1_000_000
    let releaseNs: UInt64
    if !goesOn {
      context.count(.restarts)
      begin(rtp.timestamp, wantedNs, &context)
      releaseNs = wantedNs
    } else if Int32(bitPattern: rtp.timestamp &- context.state.newest) >= 0 {
      releaseNs = goOn(rtp.timestamp, wantedNs, &context)
    } else {
      releaseNs = min(place(of: rtp.timestamp, &context), context.state.releaseNs)
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

  /// 2^31 ticks times 10^9 are below 2^61.
  private func mediaNs(from first: UInt32, to second: UInt32) -> Int64 {
    Int64(Int32(bitPattern: second &- first)) &* 1_000_000_000 / Int64(clockRate)
  }

  private func begin(_ timestamp: UInt32, _ releaseNs: UInt64, _ context: inout Context<Self>) {
    for place in 0..<16 {
      context.state.parts[place] = Part(from: timestamp, timestamp: timestamp, releaseNs: releaseNs)
    }
    context.state.newest = timestamp
    context.state.releaseNs = releaseNs
  }

  /// The newest packet so far leaves when it should, but not before what was the newest. Where that is earlier than the
  /// timetable has it, since a packet came earlier than any before, the timetable is another one from here on.
  private func goOn(_ timestamp: UInt32, _ wantedNs: UInt64, _ context: inout Context<Self>) -> UInt64 {
    var place = Int(context.state.current & 15)
    var part = context.state.parts[place]
    let earlierNs = plannedNs(timestamp, part) &- Int64(bitPattern: wantedNs)
    if earlierNs > Self.toleranceNs {
      context.state.current &+= 1
      place = Int(context.state.current & 15)
      part.from = context.state.newest &+ 1
      part.notBeforeNs = context.state.releaseNs
    } else if timestamp &- part.from > 0x4000_0000 {
      // Before the difference of timestamps would turn.
      part.from = timestamp &- 0x1000_0000
    }
    part.releaseNs =
      earlierNs > 0 && earlierNs <= Self.toleranceNs
      ? UInt64(bitPattern: plannedNs(timestamp, part)) : wantedNs
    part.timestamp = timestamp
    context.state.parts[place] = part
    let releaseNs = max(part.releaseNs, earliestNs(timestamp, part), context.state.releaseNs)
    context.state.newest = timestamp
    context.state.releaseNs = releaseNs
    return releaseNs
  }

  /// When a packet leaves behind which a newer one came already.
  private func place(of timestamp: UInt32, _ context: inout Context<Self>) -> UInt64 {
    var found = Part()
    for back in 0..<16 {
      let part = context.state.parts[Int((context.state.current &- UInt32(back)) & 15)]
      found = part
      if Int32(bitPattern: timestamp &- part.from) >= 0 { break }
    }
    return max(UInt64(bitPattern: plannedNs(timestamp, found)), earliestNs(timestamp, found))
  }

  /// Of packets that would leave together, the later one some nanoseconds later: they are released in that order.
  private func earliestNs(_ timestamp: UInt32, _ part: Part) -> UInt64 {
    part.notBeforeNs &+ UInt64(min(timestamp &- part.from, 1_000_000))
  }

  private func plannedNs(_ timestamp: UInt32, _ part: Part) -> Int64 {
    Int64(bitPattern: part.releaseNs) &+ mediaNs(from: part.timestamp, to: timestamp)
  }
}
