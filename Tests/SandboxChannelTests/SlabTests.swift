import Testing

@testable import SandboxChannel

/// Slots: allocation, double free, pointers that are none of ours.
@Suite struct SlabTests {
  private static func channel(_ slots: Int = 128, several: Bool = false) throws -> (
    ChannelProducer, ChannelConsumer
  ) {
    let producer = try ChannelProducer(
      ChannelGeometry(slotBytes: 64, slotCount: slots, queuedEvents: 4, hasSeveralProducers: several))
    return (producer, try ChannelConsumer(beside: producer))
  }

  @Test("every slot is given out once, and again once it is free", arguments: [false, true])
  func exhaustion(several: Bool) throws {
    let (producer, consumer) = try Self.channel(several: several)
    let cache = producer.cache()
    for _ in 0..<3 {
      var slots: [Descriptor] = []
      while let slot = cache.allocate() { slots.append(slot) }
      #expect(Set(slots.map(\.slot)).count == 128 && producer.freeSlots == 0 && producer.heldSlots == 128)
      for slot in slots.prefix(64) { try cache.giveBack(slot) }
      #expect(producer.freeSlots == 64)
      for slot in slots.dropFirst(64) { #expect(try cache.send(slot)) }
      #expect(producer.heldSlots == 0 && producer.freeSlots == 64)
      while let packet = consumer.receive() { try consumer.release(packet) }
      #expect(producer.freeSlots == 128 && consumer.heldPackets == 0)
    }
  }

  @Test func twoCachesNeverShareASlot() throws {
    let (producer, _) = try Self.channel(several: true)
    let (one, other) = (producer.cache(), producer.cache())
    let mine = (0..<60).compactMap { _ in one.allocate() }
    let theirs = (0..<60).compactMap { _ in other.allocate() }
    #expect(Set((mine + theirs).map(\.slot)).count == 120)
    // The words are the caches', but a slot may be given back through another one.
    for slot in mine { try other.giveBack(slot) }
    #expect(producer.heldSlots == 60)
  }

  @Test func misuseOfTheProducerIsFound() throws {
    let (producer, consumer) = try Self.channel()
    let cache = producer.cache()
    let slot = try #require(cache.allocate())
    try cache.giveBack(slot)
    #expect(throws: SlotMisuse.notHeld(slot: Int(slot.slot))) { try cache.giveBack(slot) }
    #expect(throws: SlotMisuse.notHeld(slot: Int(slot.slot))) { try cache.send(slot) }
    #expect(throws: SlotMisuse.outside(Descriptor(slot: 128))) { try cache.giveBack(Descriptor(slot: 128)) }
    #expect(throws: SlotMisuse.notHeld(slot: Int(slot.slot))) { try cache.bytes(of: slot) }
    let sent = try #require(cache.allocate())
    #expect(throws: SlotMisuse.outside(Descriptor(slot: sent.slot, offset: 1, length: 64))) {
      try cache.send(Descriptor(slot: sent.slot, offset: 1, length: 64))
    }
    // One that is twice in a batch is sent once.
    #expect(throws: SlotMisuse.notHeld(slot: Int(sent.slot))) {
      try [sent, sent].withUnsafeBufferPointer { try cache.send($0) }
    }
    #expect(consumer.receive() == sent && consumer.receive() == nil)
  }

  @Test func misuseOfTheConsumerIsFound() throws {
    let (producer, consumer) = try Self.channel()
    let cache = producer.cache()
    let slots = (0..<3).compactMap { _ in cache.allocate() }
    for slot in slots { #expect(try cache.send(slot)) }
    let first = try #require(consumer.receive())
    // In the ring still.
    #expect(throws: SlotMisuse.notHeld(slot: Int(slots[1].slot))) { try consumer.release(slots[1]) }
    #expect(throws: SlotMisuse.notHeld(slot: 100)) {
      try consumer.bytes(of: Descriptor(slot: 100))
    }
    #expect(throws: SlotMisuse.outside(Descriptor(slot: 4_000))) {
      try consumer.release(Descriptor(slot: 4_000))
    }
    try consumer.release(first)
    #expect(throws: SlotMisuse.notHeld(slot: Int(first.slot))) { try consumer.release(first) }
    // What stands before the misused one in a batch is released.
    let second = try #require(consumer.receive())
    #expect(throws: SlotMisuse.notHeld(slot: Int(first.slot))) {
      try [second, first].withUnsafeBufferPointer { try consumer.release($0) }
    }
    #expect(consumer.heldPackets == 0)
  }

  @Test(arguments: [(32, 128), (65_536, 128), (96, 128), (2_048, 32), (2_048, 100)])
  func geometriesThatCannotBe(slotBytes: Int, slotCount: Int) {
    #expect(throws: ChannelError.self) { try ChannelGeometry(slotBytes: slotBytes, slotCount: slotCount) }
  }
}
