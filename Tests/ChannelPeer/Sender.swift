import SandboxChannel

/// One thread of a producer: allocates, fills, holds, gives back and sends at random.
struct Sender {
  let thread: Int
  let tally: Tally
  let cache: SlotCache
  var writesAfterSending = false
  private var held: [Descriptor] = []
  private var random = SystemRandomNumberGenerator()
  private let room = UnsafeMutableBufferPointer<Descriptor>.allocate(capacity: 100)

  init(thread: Int, tally: Tally, cache: SlotCache) {
    (self.thread, self.tally, self.cache) = (thread, tally, cache)
  }

  mutating func step() throws {
    let wanted = Int.random(in: 1...room.count, using: &random)
    let count = cache.allocate(into: .init(rebasing: room[..<wanted]))
    for index in 0..<count {
      // In whole words, so that the check is quick.
      let length = 8 * Int.random(in: 2...32, using: &random)
      let number = tally[.sent0, thread] + 1
      tally[.sent0, thread] = number
      room[index].length = UInt16(length)
      PacketContent.fill(try cache.bytes(of: room[index]), thread: thread, number: number, length: length)
    }
    var first = 0
    // Some are held for a while and then given back: their numbers are never seen.
    if count > 4, held.count < 64, Int.random(in: 0..<4, using: &random) == 0 {
      held += [room[0], room[1]]
      first = 2
    }
    let late = writesAfterSending && count > first ? try cache.bytes(of: room[first]) : nil
    let sent = try cache.send(.init(rebasing: room[first..<count]))
    // With the value that stands there, so that only who looks at the access sees it.
    late?.storeBytes(of: UInt64(thread), as: UInt64.self)
    tally.add(.sent, sent)
    for descriptor in room[(first + sent)..<count] { try cache.giveBack(descriptor) }
    if held.count > 32 { try rest() }
  }

  mutating func rest() throws {
    for descriptor in held { try cache.giveBack(descriptor) }
    held = []
  }
}
