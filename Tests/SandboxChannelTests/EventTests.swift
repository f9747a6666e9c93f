import Foundation
import Testing

@testable import SandboxChannel

/// Events: like POSIX real-time signals (signal(7), "Queueing and delivery semantics").
@Suite struct EventTests {
  @Test func theMostUrgentFirstAndInOrderWithinAPriority() throws {
    let producer = try ChannelProducer(ChannelGeometry(slotCount: 64, queuedEvents: 4))
    let consumer = try ChannelConsumer(beside: producer)
    let events = [(9, 1), (3, 2), (9, 3), (0, 4), (31, 5), (3, 6)].map {
      ChannelEvent(priority: $0.0, code: UInt32($0.1), payload: UInt64($0.1) << 40)
    }
    for event in events { #expect(producer.post(event)) }
    var taken: [ChannelEvent] = []
    while let event = consumer.takeEvent() { taken.append(event) }
    #expect(taken == [events[3], events[1], events[5], events[0], events[2], events[4]])
  }

  @Test func aFullQueueCountsWhatItRefuses() throws {
    let producer = try ChannelProducer(ChannelGeometry(slotCount: 64, queuedEvents: 4))
    let consumer = try ChannelConsumer(beside: producer)
    for round in 1...3 {
      for code in 0..<6 {
        #expect(producer.post(ChannelEvent(priority: 5, code: UInt32(code))) == (code < 4))
      }
      // Another priority has room of its own.
      #expect(producer.post(ChannelEvent(priority: 6, code: 9)))
      #expect(producer.overflowed[5] == UInt64(2 * round) && consumer.overflowed[6] == 0)
      let taken = (0..<6).compactMap { _ in consumer.takeEvent()?.code }
      #expect(taken == [0, 1, 2, 3, 9])
    }
  }

  @Test func aSleeperIsWoken() throws {
    let producer = try ChannelProducer(ChannelGeometry(slotCount: 64))
    let consumer = try ChannelConsumer(beside: producer)
    let doorbell = try Doorbell()
    #expect(!consumer.wait(doorbell.descriptor, milliseconds: 10))
    producer.post(ChannelEvent(priority: 0, code: 1))
    // Nobody slept when it was posted, and it is seen all the same.
    #expect(consumer.wait(doorbell.descriptor, milliseconds: -1))
    #expect(consumer.takeEvent() != nil && consumer.takeEvent() == nil)
    // A thread, since a task waits for those of other tests.
    let waker = Thread {
      Thread.sleep(forTimeInterval: 0.03)
      let cache = producer.cache()
      if let slot = cache.allocate() { _ = try? cache.send(slot) }
      producer.wake(doorbell.descriptor)
    }
    waker.start()
    #expect(consumer.wait(doorbell.descriptor, milliseconds: 10_000))
    #expect(consumer.receive() != nil)
  }
}
