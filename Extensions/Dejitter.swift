import RelayExtension

/// A de-jitter buffer: holds RTP packets so that they leave in the rhythm of their timestamps, `delayMs` after they
/// would have come over a way without jitter.
///
/// The measure is the packet that came earliest against its timestamp. What comes up to `delayMs` later than that leaves
/// in time and in the order of timestamps and sequence numbers, whatever order it came in; what comes later still leaves
/// at once. The measure forgets: by 1 in 8192, so that a sender whose clock is slow, or a way that became longer, makes a
/// new one.
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
  /// What stands in it does not change, so that of each timestamp it is known for good when it leaves.
  struct Part: BitwiseCopyable {
    var from: UInt32 = 0
    /// A timestamp of this part, and when it leaves.
    var timestamp: UInt32 = 0
    var releaseNs: UInt64 = 0
    /// But none before the part that was before.
    var notBeforeNs: UInt64 = 0
  }

  /// Sequence numbers count from this one, of packets from one timestamp on.
  struct Anchor: BitwiseCopyable {
    var timestamp: UInt32 = 0
    var sequence: UInt32 = 0
  }

  struct State: RelayState {
    var isRunning = false
    var ssrc: UInt32 = 0
    /// The packet that others are compared with: the earliest of late.
    var timestamp: UInt32 = 0
    var arrivalNs: UInt64 = 0
    /// Of what came so far.
    var newest: UInt32 = 0
    /// Parts of the timetable, the one in force and those before it: packets that come behind newer ones keep the place
    /// that they would have had.
    var parts: InlineArray<16, Part> = .init(repeating: Part())
    var current: UInt32 = 0
    var anchor = Anchor()
    var formerAnchor = Anchor()
  }

  /// Silence or a step of a clock, of the sender's or this machine's, after which the comparison starts anew.
  private static let longestNs: Int64 = 9_000_000_000

  /// What the timetable may differ from what it should be before it gets another part. The measure forgets so much in
  /// 0.4 s, so that sixteen parts are 6.5 s: more than a packet may be late.
  private static let toleranceNs: Int64 = 50_000

  /// Sequence numbers after which they are counted anew: in ns less than timestamps of media are apart.
  private static let farthest: UInt64 = 8192

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
    let sequence = UInt32(rtp.sequence)
    if !goesOn {
      context.count(.restarts)
      begin(rtp.timestamp, sequence, wantedNs, &context)
    } else if Int32(bitPattern: rtp.timestamp &- context.state.newest) > 0 {
      goOn(rtp.timestamp, sequence, wantedNs, &context)
    }
    let releaseNs = place(of: rtp.timestamp, &context) &+ order(rtp.timestamp, sequence, &context)
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

  private func begin(
    _ timestamp: UInt32, _ sequence: UInt32, _ releaseNs: UInt64, _ context: inout Context<Self>
  ) {
    for place in 0..<16 {
      context.state.parts[place] = Part(from: timestamp, timestamp: timestamp, releaseNs: releaseNs)
    }
    context.state.newest = timestamp
    context.state.anchor = Anchor(timestamp: timestamp, sequence: sequence)
    context.state.formerAnchor = context.state.anchor
  }

  /// A timestamp newer than all so far leaves when it should, but not before those. Where the timetable has it at
  /// another time, since a packet came earlier than any before or the measure forgot, it is another one from here on.
  private func goOn(
    _ timestamp: UInt32, _ sequence: UInt32, _ wantedNs: UInt64, _ context: inout Context<Self>
  ) {
    let part = context.state.parts[Int(context.state.current & 15)]
    let differenceNs = plannedNs(timestamp, part) &- Int64(bitPattern: wantedNs)
    // Also before the difference of timestamps would turn.
    if differenceNs.magnitude > UInt64(Self.toleranceNs) || timestamp &- part.from > 0x4000_0000 {
      let next = Part(
        from: context.state.newest &+ 1, timestamp: timestamp, releaseNs: wantedNs,
        notBeforeNs: place(of: context.state.newest, &context))
      context.state.current &+= 1
      context.state.parts[Int(context.state.current & 15)] = next
    }
    if Self.distance(sequence, from: context.state.anchor).magnitude > Self.farthest {
      context.state.formerAnchor = context.state.anchor
      context.state.anchor = Anchor(timestamp: timestamp, sequence: sequence)
    }
    context.state.newest = timestamp
  }

  private static func distance(_ sequence: UInt32, from anchor: Anchor) -> Int64 {
    Int64(Int16(truncatingIfNeeded: sequence &- anchor.sequence))
  }

  /// When packets of a timestamp leave that is not newer than the newest.
  private func place(of timestamp: UInt32, _ context: inout Context<Self>) -> UInt64 {
    var found = Part()
    for back in 0..<16 {
      let part = context.state.parts[Int((context.state.current &- UInt32(back)) & 15)]
      found = part
      if Int32(bitPattern: timestamp &- part.from) >= 0 { break }
    }
    let planned = UInt64(bitPattern: plannedNs(timestamp, found))
    // Older than all parts that are left.
    if Int32(bitPattern: timestamp &- found.from) < 0 { return planned }
    // Of timestamps that would leave together, the later one some nanoseconds later: they are released in that order.
    return max(planned, found.notBeforeNs &+ UInt64(min(timestamp &- found.from, 1_000_000)))
  }

  /// Of packets with the same timestamp, as a video frame's, each later one 1 ns later.
  private func order(_ timestamp: UInt32, _ sequence: UInt32, _ context: inout Context<Self>) -> UInt64 {
    let isAfter = Int32(bitPattern: timestamp &- context.state.anchor.timestamp) >= 0
    let anchor = isAfter ? context.state.anchor : context.state.formerAnchor
    return UInt64(bitPattern: Self.distance(sequence, from: anchor))
  }

  private func plannedNs(_ timestamp: UInt32, _ part: Part) -> Int64 {
    Int64(bitPattern: part.releaseNs) &+ mediaNs(from: part.timestamp, to: timestamp)
  }
}
