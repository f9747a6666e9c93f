import CStreamRouter
import Glibc
import SandboxChannel

/// What a side that is a process of its own has from its keeper.
struct Keeper {
  let tally: Tally
  private(set) var predecessor: Int32?
  private(set) var peer: Int32?

  init(predecessor: Bool, peer: Bool) {
    guard let tally = Tally(4) else { fail("no tally at descriptor 4") }
    self.tally = tally
    if predecessor { self.predecessor = Self.receive() }
    if peer { self.peer = Self.receive() }
  }

  private static func receive() -> Int32 {
    var what: CChar = 0
    let descriptor = sr_channel_receive(3, &what)
    // The keeper has gone.
    if descriptor < 0 { exit(descriptor == -ENODATA ? 0 : 71) }
    return descriptor
  }

  func announce(_ half: Int32) {
    if sr_channel_pass(3, half, 1) != 0 { exit(0) }
  }

  /// The half of a peer that succeeded another, if there is one by now.
  func news() -> Int32? {
    var ready = pollfd(fd: 3, events: Int16(POLLIN), revents: 0)
    return poll(&ready, 1, 0) > 0 ? Self.receive() : nil
  }
}

struct ProducerProcess {
  let keeper: Keeper
  let threads: Int

  init(predecessor: Bool, peer: Bool, threads: Int) {
    keeper = Keeper(predecessor: predecessor, peer: peer)
    self.threads = threads
  }

  func run() throws {
    let tally = keeper.tally
    let producer: ChannelProducer
    if let predecessor = keeper.predecessor {
      producer = try ChannelProducer(succeeding: predecessor, consumer: keeper.peer)
      tally.add(.reclaimed, producer.recovery?.reclaimed ?? 0)
      tally.add(.kept, producer.recovery?.kept ?? 0)
      tally.add(.holes, producer.recovery?.holes ?? 0)
    } else {
      producer = try ChannelProducer(
        ChannelGeometry(slotBytes: 256, slotCount: 1_024, queuedEvents: 16, hasSeveralProducers: threads > 1))
      if let peer = keeper.peer { try producer.attach(consumer: peer) }
    }
    keeper.announce(producer.descriptor)
    for thread in 1..<max(threads, 2) where threads > 1 {
      try Thread.start { try Self.work(producer, thread, tally) }
    }
    var sender = Sender(thread: 0, tally: tally, cache: producer.cache())
    while true {
      if let peer = keeper.news() { try producer.attach(consumer: peer) }
      if tally[.order] == Tally.Order.rest.rawValue {
        try sender.rest()
        tally[.free] = UInt64(producer.freeSlots)
        tally.add(.producerRests)
        usleep(1_000)
        continue
      }
      try sender.step()
      let number = tally[.nextEvent] + 1
      tally[.nextEvent] = number
      if producer.post(ChannelEvent(priority: 7, code: 1, payload: number)) { tally.add(.posted) }
    }
  }

  /// A further thread. It rests when the others do.
  private static func work(_ producer: ChannelProducer, _ thread: Int, _ tally: Tally) throws {
    var sender = Sender(thread: thread, tally: tally, cache: producer.cache())
    while true {
      if tally[.order] == Tally.Order.rest.rawValue {
        try sender.rest()
        usleep(1_000)
      } else {
        try sender.step()
      }
    }
  }
}

struct ConsumerProcess {
  let keeper: Keeper

  init(predecessor: Bool, peer: Bool, threads: Int) { keeper = Keeper(predecessor: predecessor, peer: peer) }

  func run() throws {
    let tally = keeper.tally
    guard let peer = keeper.peer else { fail("a consumer needs a producer") }
    let consumer: ChannelConsumer
    if let predecessor = keeper.predecessor {
      consumer = try ChannelConsumer(succeeding: predecessor, producer: peer)
      tally.add(.undone, consumer.recovery?.undone ?? 0)
      tally.add(.abandoned, consumer.recovery?.abandoned ?? 0)
    } else {
      consumer = try ChannelConsumer(producer: peer)
    }
    keeper.announce(consumer.descriptor)
    var receiver = Receiver(tally: tally, consumer: consumer)
    var invalid: UInt64 = 0
    while true {
      if let peer = keeper.news() { try consumer.attach(producer: peer) }
      let came = try receiver.step()
      tally.add(.invalid, consumer.invalid - invalid)
      invalid = consumer.invalid
      if came == 0 {
        tally[.held] = UInt64(consumer.heldPackets)
        tally.add(.consumerRests)
        if tally[.order] == Tally.Order.rest.rawValue { usleep(1_000) }
      }
    }
  }
}
