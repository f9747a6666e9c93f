import CStreamRouter
import Glibc
import TestSupport
import Testing

@testable import SandboxChannel

/// A peer that writes anything into its half. The side under test keeps its own: nothing traps, nothing is read outside
/// of the channel, and a slot that is held here stays held.
@Suite struct HostilePeerTests {
  @Test func aProducerThatGarblesItsRing() throws {
    var random = SeededRandom()
    let producer = try ChannelProducer(ChannelGeometry(slotBytes: 64, slotCount: 64, queuedEvents: 2))
    let consumer = try ChannelConsumer(beside: producer)
    let control = producer.half.half.memory
    let first = MemoryLayout<sr_channel_geometry>.size
    let room = UnsafeMutableBufferPointer<Descriptor>.allocate(capacity: 100)
    defer { room.deallocate() }
    var received = 0
    for _ in 0..<100_000 {
      // Words of the ring mostly, and bytes of everything else.
      if Bool.random(using: &random) {
        let ahead = UInt64.random(in: 0..<3, using: &random)
        let position = Int((consumer.half.head.relaxed(0) + ahead) % 64)
        producer.half.ring.release(position, garbledEntry(&random))
      } else {
        let place = Int.random(in: first..<Int(producer.geometry.producerPlaces.guard), using: &random)
        control.storeBytes(of: UInt8.random(in: 0...255, using: &random), toByteOffset: place, as: UInt8.self)
      }
      let count = consumer.receive(into: room)
      received += count
      for packet in room[..<count] {
        let length = try consumer.bytes(of: packet).reduce(0) { $0 &+ Int($1) }
        #expect(length >= 0)
        if Bool.random(using: &random) { try consumer.release(packet) }
      }
      if let event = consumer.takeEvent() { #expect((0..<32).contains(event.priority)) }
      // Held ones are let go of now and then, so that there is always something to receive.
      if consumer.heldPackets > 32 { releaseAll(consumer) }
      #expect(consumer.heldPackets <= 64)
    }
    #expect(
      received > 1_000 && consumer.invalid > 1_000, "seed \(random.seed): \(received), \(consumer.invalid)")
  }

  @Test func aConsumerThatGarblesItsBits() throws {
    var random = SeededRandom()
    let producer = try ChannelProducer(ChannelGeometry(slotBytes: 64, slotCount: 128, queuedEvents: 2))
    // Written through a mapping that a hostile process would have: its own.
    let hostile = ConsumerHalf(try ChannelHalf(producer.geometry, SR_SIDE_CONSUMER, incarnation: 0))
    producer.attach(hostile)
    let cache = producer.cache()
    let first = MemoryLayout<sr_channel_geometry>.size
    var held: Set<UInt32> = []
    var (sent, refused, overlapping) = (0, 0, 0)
    for _ in 0..<100_000 {
      let place = Int.random(in: first..<Int(producer.geometry.consumerPlaces.bytes), using: &random)
      hostile.half.memory.storeBytes(
        of: UInt8.random(in: 0...255, using: &random), toByteOffset: place, as: UInt8.self)
      hostile.freed.release(Int.random(in: 0..<2, using: &random), random.next())
      if Bool.random(using: &random) { hostile.head.release(0, producer.half.tail.relaxed(0)) }
      if let slot = cache.allocate() {
        // However it garbles: what is held here is not given out again.
        if !held.insert(slot.slot).inserted { overlapping += 1 }
      }
      if held.count > 40, let slot = held.randomElement(using: &random) {
        held.remove(slot)
        if Bool.random(using: &random) {
          if try cache.send(Descriptor(slot: slot, length: 3)) {
            sent += 1
          } else {
            refused += 1
            held.insert(slot)
          }
        } else {
          try cache.giveBack(Descriptor(slot: slot))
        }
      }
      producer.post(ChannelEvent(priority: 1, code: 1))
    }
    #expect(overlapping == 0, "seed \(random.seed)")
    #expect(sent > 1_000, "seed \(random.seed): \(sent), \(refused)")
  }

  @Test func successionToHalvesThatAreGarbled() throws {
    var random = SeededRandom()
    for _ in 0..<500 {
      let geometry = try ChannelGeometry(slotBytes: 64, slotCount: 64, queuedEvents: 2)
      let producer = try ChannelProducer(geometry)
      let consumer = try ChannelConsumer(beside: producer)
      let halves = [
        (producer.half.half.memory, Int(geometry.producerPlaces.guard)),
        (consumer.half.half.memory, Int(geometry.consumerPlaces.bytes)),
      ]
      for (memory, bytes) in halves {
        for _ in 0..<Int.random(in: 0..<200, using: &random) {
          let place = Int.random(in: 64..<bytes, using: &random)
          memory.storeBytes(of: UInt8.random(in: 0...255, using: &random), toByteOffset: place, as: UInt8.self)
        }
      }
      let next = try ChannelProducer(succeeding: dup(producer.descriptor), consumer: dup(consumer.descriptor))
      let after = try ChannelConsumer(succeeding: dup(consumer.descriptor), producer: dup(next.descriptor))
      try next.attach(consumer: dup(after.descriptor))
      let cache = next.cache()
      while let slot = cache.allocate() { _ = try cache.send(slot) }
      while let packet = after.receive() { try after.release(packet) }
      while after.takeEvent() != nil {}
    }
  }

  private func garbledEntry(_ random: inout SeededRandom) -> UInt64 {
    switch Int.random(in: 0..<3, using: &random) {
    case 0: random.next()
    // A slot that may be, with a length that may not.
    case 1: random.next() & 0xffff_ffff_0000_0000 | random.next() & 0x4000_007f
    default: UInt64.random(in: 0..<64, using: &random) | random.next() & 0x4000_0000
    }
  }

  private func releaseAll(_ consumer: ChannelConsumer) {
    for slot in 0..<UInt32(64) { try? consumer.release(Descriptor(slot: slot)) }
  }
}
