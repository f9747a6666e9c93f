import CStreamRouter
import Glibc
import Testing

@testable import SandboxChannel

/// What a successor finds, for each state in which a side can have ended.
@Suite struct SuccessionTests {
  private static func pair(several: Bool = false) throws -> (ChannelProducer, ChannelConsumer) {
    let producer = try ChannelProducer(
      ChannelGeometry(slotBytes: 64, slotCount: 64, queuedEvents: 4, hasSeveralProducers: several))
    return (producer, try ChannelConsumer(beside: producer))
  }
  private static func succeed(_ producer: ChannelProducer, _ consumer: ChannelConsumer) throws
    -> ChannelProducer
  {
    try ChannelProducer(succeeding: dup(producer.descriptor), consumer: dup(consumer.descriptor))
  }
  private static func succeed(_ consumer: ChannelConsumer, _ producer: ChannelProducer) throws
    -> ChannelConsumer
  {
    try ChannelConsumer(succeeding: dup(consumer.descriptor), producer: dup(producer.descriptor))
  }

  @Test func aProducersSlotsAreReclaimedAndItsPacketsReceived() throws {
    let (producer, consumer) = try Self.pair()
    let cache = producer.cache()
    let slots = (0..<9).compactMap { _ in cache.allocate() }
    for (index, slot) in slots[..<4].enumerated() {
      try cache.bytes(of: slot).storeBytes(of: UInt64(index), as: UInt64.self)
      #expect(try cache.send(Descriptor(slot: slot.slot, length: 8)))
    }
    // One is received and held, and one more released.
    let held = try #require(consumer.receive())
    try consumer.release(try #require(consumer.receive()))
    let next = try Self.succeed(producer, consumer)
    #expect(next.recovery == ProducerRecovery(reclaimed: 5, kept: 2, holes: 0) && next.incarnation == 1)
    #expect(next.freeSlots == 61)
    try consumer.attach(producer: dup(next.descriptor))
    // What is held is there still, and so is what was sent.
    #expect(try consumer.bytes(of: held).load(as: UInt64.self) == 0)
    for number in UInt64(2)...3 {
      let packet = try #require(consumer.receive())
      #expect(try consumer.bytes(of: packet).load(as: UInt64.self) == number)
      try consumer.release(packet)
    }
    try consumer.release(held)
    #expect(consumer.receive() == nil && next.freeSlots == 64)
  }

  @Test func whatAProducerReservedAndNeverWroteIsPassedOver() throws {
    let (producer, consumer) = try Self.pair(several: true)
    let cache = producer.cache()
    let slots = (0..<3).compactMap { _ in cache.allocate() }
    #expect(try cache.send(slots[0]))
    // As a thread does that is killed after it has reserved two entries; another one had sent one by then.
    producer.half.tail.setRelaxed(0, 3)
    #expect(try cache.send(slots[1]))
    producer.half.eventTails.setRelaxed(4, 1)
    producer.post(ChannelEvent(priority: 4, code: 77))
    #expect(consumer.receive() == slots[0] && consumer.receive() == nil, "it waits for what was reserved")
    let next = try Self.succeed(producer, consumer)
    #expect(next.recovery == ProducerRecovery(reclaimed: 1, kept: 1, holes: 3))
    try consumer.attach(producer: dup(next.descriptor))
    #expect(consumer.receive() == slots[1] && consumer.receive() == nil && consumer.holes == 2)
    #expect(consumer.takeEvent()?.code == 77)
    // And the ring goes on.
    let more = next.cache()
    for _ in 0..<200 {
      let slot = try #require(more.allocate())
      #expect(try more.send(slot))
      #expect(consumer.receive() == slot)
      try consumer.release(slot)
    }
  }

  @Test func aConsumersPacketsAreAbandonedAndWhatItWasAboutToReceiveIsReceived() throws {
    let (producer, consumer) = try Self.pair()
    let cache = producer.cache()
    let slots = (0..<5).compactMap { _ in cache.allocate() }
    for slot in slots { #expect(try cache.send(slot)) }
    #expect(consumer.receive() == slots[0])
    // Killed within receive, when the bits were set and the head was not.
    let bit: UInt64 = 1 << UInt64(slots[1].slot)
    consumer.half.taken.setRelaxed(0, consumer.half.taken.relaxed(0) ^ bit)
    let next = try Self.succeed(consumer, producer)
    #expect(next.recovery == ConsumerRecovery(undone: 1, abandoned: 1))
    try producer.attach(consumer: dup(next.descriptor))
    for slot in slots.dropFirst() {
      #expect(next.receive() == slot)
      try next.release(slot)
    }
    #expect(producer.freeSlots == 64)
  }

  @Test func bothEndAndAreSucceededInEitherOrder() throws {
    for producerFirst in [true, false] {
      let (producer, consumer) = try Self.pair()
      let cache = producer.cache()
      for _ in 0..<10 { #expect(try cache.send(try #require(cache.allocate()))) }
      _ = (0..<4).compactMap { _ in consumer.receive() }
      _ = cache.allocate()
      let (next, after): (ChannelProducer, ChannelConsumer)
      if producerFirst {
        next = try Self.succeed(producer, consumer)
        after = try Self.succeed(consumer, next)
      } else {
        after = try Self.succeed(consumer, producer)
        next = try Self.succeed(producer, after)
        try after.attach(producer: dup(next.descriptor))
      }
      try next.attach(consumer: dup(after.descriptor))
      #expect(next.recovery?.reclaimed == 1 && after.recovery?.abandoned == 4)
      var received = 0
      while let packet = after.receive() {
        received += 1
        try after.release(packet)
      }
      #expect(received == 6 && next.freeSlots == 64)
    }
  }

  /// Two threads of a producer and a consumer that was succeeded: the thread that has not seen the new one yet must not
  /// take what the other thread allocated by it for free. Once a true error of ours.
  @Test func anOlderViewOfTheConsumerGivesNoSlotOutTwice() throws {
    let (producer, consumer) = try Self.pair(several: true)
    let (one, other) = (producer.cache(), producer.cache())
    let slots = (0..<64).compactMap { _ in one.allocate() }
    for slot in slots { #expect(try one.send(slot)) }
    #expect(one.allocate() == nil && other.allocate() == nil)
    let next = try Self.succeed(consumer, producer)
    while let packet = next.receive() { try next.release(packet) }
    try producer.attach(consumer: dup(next.descriptor))
    let taken = (0..<64).compactMap { _ in one.allocate() }
    #expect(taken.count == 64)
    #expect(one.allocate() == nil)
    for slot in taken { #expect(try one.send(slot)) }
    #expect(other.allocate() == nil, "all 64 are in the ring")
  }
}
