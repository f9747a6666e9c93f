import RelayExtension

/// Lets a stream through up to a rate, in bits and in packets per second, and drops what is above it.
///
/// Two token buckets (RFC 2697 has the idea, for one): each fills with time up to `burstMs` of its rate, a packet needs
/// enough in both, and one for which the bucket is too small by itself passes when it is full. Bits are those behind
/// the UDP header. Time is when packets arrived; a clock that is set forward gives one burst at most, one that is set
/// back gives and takes nothing.
@main struct Police: RelayExtension {
  static var summary: StaticString { "drops what exceeds a rate in bits or packets per second" }
  static var parameters: [Parameter] {
    [
      Parameter("bitsPerSecond", 0...1_000_000_000_000, "payload bits per second; 0 is no limit"),
      Parameter("packetsPerSecond", 0...1_000_000_000, "packets per second; 0 is no limit"),
      Parameter("burstMs", 1...1000, "what may come at once, in milliseconds of the rate"),
    ]
  }

  var bitsPerSecond: UInt64 = 0
  var packetsPerSecond: UInt64 = 0
  var burstMs: UInt32 = 50

  enum Counter: UInt32, RelayCounter { case tooManyBits, tooManyPackets }

  struct State: RelayState {
    var lastTick: UInt64 = 0
    var bits: UInt64 = 0
    var packets: UInt64 = 0
  }

  /// One bit or packet in a bucket. Time counts in ticks of 1024 ns, since a shift costs less than a division: a second
  /// has 976562.5 of them, so each tick adds twice the rate to a bucket in which one is 1953125.
  private static let one: UInt64 = 1_953_125

  func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
    let full = UInt64(burstMs) &* 977
    // At most a second, of which the longest burst is a part: with it the bounds of the parameters keep every product
    // below 2^61.
    let elapsed = min(self.elapsed(context.arrivalNs >> 10, full, &context.state.lastTick), 1 << 20)
    let bitCost = UInt64(packet.length) &* 8 &* Self.one
    let bits = filled(context.state.bits, rate: bitsPerSecond, elapsed, full, bitCost)
    let packets = filled(context.state.packets, rate: packetsPerSecond, elapsed, full, Self.one)
    context.state.bits = bits
    context.state.packets = packets
    if bitsPerSecond > 0, bits < bitCost {
      context.count(.tooManyBits)
      return .drop
    }
    if packetsPerSecond > 0, packets < Self.one {
      context.count(.tooManyPackets)
      return .drop
    }
    if bitsPerSecond > 0 { context.state.bits = bits &- bitCost }
    if packetsPerSecond > 0 { context.state.packets = packets &- Self.one }
    return .forward
  }

  /// Ticks since the last packet. Time stamps of two processors may be a little out of order, which is no step.
  private func elapsed(_ now: UInt64, _ full: UInt64, _ last: inout UInt64) -> UInt64 {
    guard now < last else {
      let elapsed = now &- last
      last = now
      return elapsed
    }
    if last &- now > full { last = now }
    return 0
  }

  /// What is in a bucket now.
  private func filled(
    _ level: UInt64, rate: UInt64, _ elapsed: UInt64, _ full: UInt64, _ cost: UInt64
  ) -> UInt64 {
    min(level &+ elapsed &* 2 &* rate, max(full &* 2 &* rate, cost))
  }
}
