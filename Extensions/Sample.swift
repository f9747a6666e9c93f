import RelayExtension

/// Sends each n-th packet of a stream to a tap as well, which is one of the stream's sinks. All other packets go to
/// every sink but the tap.
///
/// RTCP goes to the tap as it does to everybody, for it says what time the samples are of. A stream with one sink has
/// no tap: everything is forwarded to that one.
@main struct Sample: RelayExtension {
  static var summary: StaticString { "sends each n-th packet to one sink, all others to the rest" }
  static var parameters: [Parameter] {
    [
      Parameter("everyNth", 1...0xffff_ffff, "the first packet and each n-th after it go to the tap"),
      Parameter("tap", 0...16, "the place of the tap in the stream's sinks, from 0; 16 is the last"),
    ]
  }

  var everyNth: UInt32 = 100
  var tap: UInt8 = 16

  enum Counter: UInt32, RelayCounter { case sampled }

  struct State: RelayState {
    /// Packets until the next sample.
    var left: UInt32 = 0
  }

  func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
    let place = tap < 16 ? Int(tap) : context.sinkCount - 1
    guard context.sinkCount > 1, place < context.sinkCount, packet.rtcpType == nil else { return .forward }
    if context.state.left == 0 {
      context.state.left = everyNth &- 1
      context.count(.sampled)
      return .forward
    }
    context.state.left &-= 1
    return .only(Sinks.all.subtracting(Sinks(place)))
  }
}
