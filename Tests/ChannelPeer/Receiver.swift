import SandboxChannel

/// A consumer: receives, checks every byte, holds for a while and releases in another order.
struct Receiver {
  let tally: Tally
  let consumer: ChannelConsumer
  private var held: [Descriptor] = []
  private var random = SystemRandomNumberGenerator()
  private let room = UnsafeMutableBufferPointer<Descriptor>.allocate(capacity: 100)

  init(tally: Tally, consumer: ChannelConsumer) { (self.tally, self.consumer) = (tally, consumer) }

  /// How many packets and events came.
  mutating func step() throws -> Int {
    let wanted = Int.random(in: 1...room.count, using: &random)
    let count = consumer.receive(into: .init(rebasing: room[..<wanted]))
    for packet in room[..<count] {
      guard let (thread, number) = PacketContent.read(try consumer.bytes(of: packet)) else {
        tally.add(.corrupted)
        continue
      }
      // Numbers begin with 1.
      if number <= tally[.last0, thread] { tally.add(.repeated) }
      tally[.last0, thread] = number
      tally.add(.bytes, Int(packet.length))
    }
    tally.add(.received, count)
    held += room[..<count]
    if held.count > 500 || count == 0 { try rest() }
    var events = 0
    while let event = consumer.takeEvent() {
      events += 1
      if event.payload <= tally[.lastEvent] { tally.add(.eventsRepeated) }
      tally[.lastEvent] = event.payload
    }
    tally.add(.events, events)
    return count + events
  }

  mutating func rest() throws {
    held.shuffle(using: &random)
    for packet in held { try consumer.release(packet) }
    held = []
  }
}
