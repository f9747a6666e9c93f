import CStreamRouter
import Glibc
import SandboxChannel

/// A thread of its own, since a task would wait for others'.
enum Thread {
  static func start(_ body: @escaping @Sendable () throws -> Void) throws {
    final class Box: Sendable {
      let body: @Sendable () throws -> Void
      init(_ body: @escaping @Sendable () throws -> Void) { self.body = body }
    }
    var thread = pthread_t()
    let box = Unmanaged.passRetained(Box(body))
    let result = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        do {
          try Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body()
        } catch {
          fail("\(error)")
        }
        return nil
      }, box.toOpaque())
    guard result == 0 else { throw ChannelError.refused(step: "start a thread", errno: result) }
    pthread_detach(thread)
  }
}

/// Both sides in one process, over one mapping, so that ThreadSanitizer sees who touches what.
struct ThreadsRun {
  let seconds: Double
  let threads: Int
  /// The control: a packet is written once more after it was sent, which ThreadSanitizer has to find.
  let writesAfterSending: Bool

  func run() throws {
    let memory = sr_channel_make("tally", Tally.bytes)
    guard memory >= 0, let tally = Tally(memory) else { fail("no memory for a tally") }
    let producer = try ChannelProducer(
      ChannelGeometry(slotBytes: 256, slotCount: 1_024, queuedEvents: 16, hasSeveralProducers: threads > 1))
    let consumer = try ChannelConsumer(beside: producer)
    for thread in 0..<threads {
      try Thread.start {
        var sender = Sender(thread: thread, tally: tally, cache: producer.cache())
        sender.writesAfterSending = writesAfterSending
        while tally[.order] == Tally.Order.work.rawValue {
          try sender.step()
          if thread == 0 {
            let number = tally[.nextEvent] + 1
            tally[.nextEvent] = number
            if producer.post(ChannelEvent(priority: 3, code: 2, payload: number)) { tally.add(.posted) }
          }
        }
        try sender.rest()
        tally.add(.producerRests)
      }
    }
    var receiver = Receiver(tally: tally, consumer: consumer)
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    let end = Double(now.tv_sec) + Double(now.tv_nsec) / 1e9 + seconds
    while Double(now.tv_sec) + Double(now.tv_nsec) / 1e9 < end {
      _ = try receiver.step()
      clock_gettime(CLOCK_MONOTONIC, &now)
    }
    tally[.order] = Tally.Order.rest.rawValue
    while tally[.producerRests] < UInt64(threads) { usleep(1_000) }
    while try receiver.step() > 0 {}
    tally[.free] = UInt64(producer.freeSlots)
    print(tally.text)
    guard tally[.free] == 1_024, tally[.corrupted] == 0, tally[.repeated] == 0, tally[.eventsRepeated] == 0,
      tally[.received] == tally[.sent], tally[.events] == tally[.posted], tally[.received] > 0,
      consumer.invalid == 0
    else { fail("slots or packets were lost, repeated or garbled") }
  }
}
