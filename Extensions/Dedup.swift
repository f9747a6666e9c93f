import RelayExtension

/// Merges two or more copies of a stream that come to the same address over different ways, as SMPTE ST 2022-7 does:
/// the first copy of each RTP sequence number goes on, the others are dropped, and a packet that one way lost is filled
/// in by the other, in the order of arrival.
///
/// A copy may come up to 2047 packets after the newest one, for each of the four sources (SSRC) seen last: 2 s at 1000
/// packets a second, 15 ms at 135,000. What is further from the newest packet is no copy that could be told from a new
/// one, and is dropped while the source goes on; when nothing new came for `restartMs`, it is taken for a restart. So a
/// way that restarts with other numbers takes over where the other ends, and does not disturb it before.
@main struct Dedup: RelayExtension {
  static var summary: StaticString { "merges copies of a stream by RTP sequence (SMPTE ST 2022-7)" }
  /// How many packets after the newest one copies come.
  static var histogram: StaticString { "lag_packets" }
  static var parameters: [Parameter] {
    [
      Parameter("restartMs", 1...10_000, "silence after which other sequence numbers are a restart"),
      Parameter("countOnly", "forwards copies too, and counts them: to see what would go"),
    ]
  }

  var restartMs: UInt32 = 100
  var countOnly = false

  enum Counter: UInt32, RelayCounter { case copies, filled, outside, restarts, sources }

  /// How the newest packet of a source is known.
  struct Source: BitwiseCopyable {
    var ssrc: UInt32 = 0
    /// The sequence number with its rounds above it; 0: no source.
    var newest: UInt32 = 0
    /// When it arrived.
    var arrivalNs: UInt64 = 0
  }

  struct State: RelayState {
    var sources: InlineArray<4, Source> = .init(repeating: Source())
    /// For each source, 2048 places: the last number with its rounds that stood in a place, which tells a copy from
    /// what was there rounds before.
    var seen: InlineArray<8192, UInt32> = .init(repeating: 0)
  }

  private static let window: Int32 = 2048
  /// Larger steps forward are no loss (RFC 3550 appendix A.1 has 3000 for one way; here both must fail).
  private static let leap: Int32 = 8192

  func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
    guard let rtp = packet.rtp else { return .forward }
    let now = context.arrivalNs
    guard let place = place(of: rtp.ssrc, in: context.state) else {
      let place = longestSilent(in: context.state)
      context.count(.sources)
      begin(rtp, at: place, now, &context)
      return .forward
    }
    let source = context.state.sources[place]
    let ahead = rtp.sequence &- UInt16(truncatingIfNeeded: source.newest)
    let step = Int32(Int16(bitPattern: ahead))
    guard step > -Self.window, step < Self.leap else {
      guard isSilent(since: source.arrivalNs, now) else {
        context.count(.outside)
        return countOnly ? .forward : .drop
      }
      context.count(.restarts)
      begin(rtp, at: place, now, &context)
      return .forward
    }
    let number = UInt32(bitPattern: Int32(bitPattern: source.newest) &+ step)
    let cell = place &* 2048 &+ Int(number & 2047)
    guard context.state.seen[cell] != number else {
      context.count(.copies)
      context.record(UInt64(UInt32(bitPattern: 0 &- step)))
      return countOnly ? .forward : .drop
    }
    context.state.seen[cell] = number
    if step > 0 {
      context.state.sources[place].newest = number
      context.state.sources[place].arrivalNs = now
    } else {
      context.count(.filled)
    }
    return .forward
  }

  private func place(of ssrc: UInt32, in state: State) -> Int? {
    for place in 0..<4 where state.sources[place].ssrc == ssrc && state.sources[place].newest != 0 {
      return place
    }
    return nil
  }

  private func longestSilent(in state: State) -> Int {
    var oldest = 0
    for place in 1..<4 where state.sources[place].arrivalNs < state.sources[oldest].arrivalNs { oldest = place }
    return oldest
  }

  /// A clock that was set back by more than a second ends a silence too.
  private func isSilent(since last: UInt64, _ now: UInt64) -> Bool {
    let passed = Int64(bitPattern: now &- last)
    return passed >= Int64(restartMs) &* 1_000_000 || passed < -1_000_000_000
  }

  /// Starts anew at a packet, two rounds on: nothing that stands in a place is taken for a copy.
  private func begin(_ rtp: RTPHeader, at place: Int, _ now: UInt64, _ context: inout Context<Self>) {
    let number = (context.state.sources[place & 3].newest & 0xffff_0000 &+ 0x2_0000) | UInt32(rtp.sequence)
    context.state.sources[place & 3] = Source(ssrc: rtp.ssrc, newest: number, arrivalNs: now)
    context.state.seen[(place & 3) &* 2048 &+ Int(number & 2047)] = number
  }
}
