import RelayExtension

/// For tests of the functions: writes the keyed hash of the first `covered` bytes behind them, and behind that the
/// beginning of the XOR of all packets so far.
@main struct Seal: RelayExtension {
  static var summary: StaticString { "writes a keyed hash and a parity into each packet" }
  static var likes: [PacketFunction] { [.hash, .parity] }

  var first: UInt64 = 0x0706_0504_0302_0100
  var second: UInt64 = 0x0f0e_0d0c_0b0a_0908
  var covered: UInt16 = 15

  enum Counter: UInt32, RelayCounter { case sealed, unsealed }

  struct State: RelayState {
    var packets: UInt32 = 0
    var row = ParityRow()
  }

  func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
    let length = Int(covered)
    context.state.packets &+= 1
    guard packet.has(.hash), let hash = packet.hash(from: 0, length: length, key: HashKey(first, second)),
      packet.add(from: 0, length: length, to: &context.state.row, at: 3)
    else {
      context.count(.unsealed)
      return .forward
    }
    packet.store(UInt32(truncatingIfNeeded: hash >> 32), at: length)
    packet.store(UInt32(truncatingIfNeeded: hash), at: length &+ 4)
    for place in 0..<8 { packet.store(context.state.row[place], at: length &+ 8 &+ place) }
    // Every third packet begins anew.
    if context.state.packets % 3 == 0 { context.state.row.clear() }
    context.count(.sealed)
    return .forward
  }
}
