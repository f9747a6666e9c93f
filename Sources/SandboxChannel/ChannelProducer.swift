import Atomics
import CStreamRouter
import Glibc

/// The side of a channel that packets and events come from.
///
/// Makes its half of the memory, which nobody else can write, and reads the consumer's. A producer that died is
/// succeeded by one that begins with what it left: packets that it sent are received, slots that it held are free
/// again.
public final class ChannelProducer: Sendable {
  public let geometry: ChannelGeometry
  /// What a successor found.
  public let recovery: ProducerRecovery?
  let slab: PacketSlab
  let half: ProducerHalf
  let attachments = ManagedAtomic<UInt64>(0)
  private let nextCache = ManagedAtomic<Int>(0)

  /// Makes a channel.
  public init(_ geometry: ChannelGeometry) throws(ChannelError) {
    self.geometry = geometry
    half = ProducerHalf(try ChannelHalf(geometry, SR_SIDE_PRODUCER, incarnation: 0))
    // Until a consumer attaches, one that has done nothing.
    slab = PacketSlab(half, peer: ConsumerHalf(try ChannelHalf(geometry, SR_SIDE_CONSUMER, incarnation: 0)))
    recovery = nil
  }

  /// Succeeds a producer that has ended. Takes both descriptors over.
  ///
  /// - Parameters:
  ///   - predecessor: Its half. The process that wrote it must have ended (pidfd_open(2), waitid(2)).
  ///   - consumer: The consumer's half, the last one there was; nil if there never was one.
  public init(succeeding predecessor: Int32, consumer: Int32?) throws(ChannelError) {
    let old: ProducerHalf
    do throws(ChannelError) {
      old = ProducerHalf(try ChannelHalf(predecessor, of: SR_SIDE_PRODUCER))
    } catch {
      if let consumer { close(consumer) }
      throw error
    }
    geometry = old.half.geometry
    half = ProducerHalf(
      try ChannelHalf(geometry, SR_SIDE_PRODUCER, incarnation: old.half.incarnation + 1))
    let peer =
      if let consumer {
        try ChannelHalf(consumer, of: SR_SIDE_CONSUMER, expecting: geometry)
      } else {
        try ChannelHalf(geometry, SR_SIDE_CONSUMER, incarnation: 0)
      }
    let reader = ConsumerHalf(peer)
    recovery = ProducerRecovery.run(from: old, to: half, consumer: reader)
    slab = PacketSlab(half, peer: reader)
  }

  /// A descriptor of this side's half, for the consumer. It stays this object's: pass it on, or duplicate it.
  public var descriptor: Int32 { half.half.descriptor }
  /// How many producers the channel had before this one.
  public var incarnation: UInt64 { half.half.incarnation }

  /// Reads a consumer's half from now on. Takes the descriptor over.
  ///
  /// A consumer that sleeps may have missed what was sent before this: `wake` it afterwards. A half that is older than
  /// the one that is read is never attached: it would offer slots that are in use.
  public func attach(consumer: Int32) throws(ChannelError) {
    attach(ConsumerHalf(try ChannelHalf(consumer, of: SR_SIDE_CONSUMER, expecting: geometry)))
  }

  func attach(_ consumer: ConsumerHalf) {
    slab.peer.store(PeerReference(consumer), ordering: .releasing)
    attachments.wrappingIncrement(ordering: .releasing)
  }

  /// A cache for one thread or processor. In a channel with one producer there is one at a time.
  public func cache() -> SlotCache {
    let index = nextCache.loadThenWrappingIncrement(ordering: .relaxed)
    return SlotCache(self, first: index &* 7)
  }

  /// Slots that are neither held here, nor in the ring, nor the consumer's. Exact while nobody works.
  public var freeSlots: Int {
    let freed = slab.peer.load(ordering: .acquiring).half.freed
    return (0..<slab.wordCount).reduce(0) { $0 + slab.free($1, freed: freed).nonzeroBitCount }
  }

  /// Slots that are held here.
  public var heldSlots: Int {
    (0..<slab.wordCount).reduce(0) { $0 + slab.heldWords.relaxed($1).nonzeroBitCount }
  }

  // MARK: Events

  /// Queues an event, from any thread.
  ///
  /// - Returns: Whether it found room. Where not, it is counted in `overflowed`.
  @discardableResult
  public func post(_ event: ChannelEvent) -> Bool {
    precondition((0..<Int(SR_EVENT_PRIORITIES.rawValue)).contains(event.priority), "priorities are 0 to 31")
    precondition(event.code <= SR_MAX_EVENT_CODE.rawValue, "codes are less than 2^30")
    let room = UInt64(geometry.queuedEvents)
    let heads = slab.peer.load(ordering: .acquiring).half.eventHeads
    var position = half.eventTails.relaxed(event.priority)
    while true {
      guard position &- heads.acquire(event.priority) < room else {
        // The head may have gone past a tail that was read before it, as other threads posted meanwhile.
        let now = half.eventTails.relaxed(event.priority)
        if now != position {
          position = now
          continue
        }
        half.eventOverflows.add(event.priority, 1)
        return false
      }
      let (done, found) = half.eventTails.exchange(event.priority, position, position &+ 1)
      if done { break }
      position = found
    }
    let place = EventQueues.place(event.priority, position, geometry)
    half.events.setRelaxed(place, event.payload)
    half.events.release(
      place + 1, UInt64(event.code) | Descriptor.lap(position, shift: EventQueues.shift(geometry)))
    half.posted.add(0, 1)
    return true
  }

  /// Events of each priority that found their queue full, since the channel began.
  public var overflowed: [UInt64] { EventQueues.overflowed(half) }

  /// Wakes a consumer that sleeps in `ChannelConsumer.wait`. Called after a batch was sent; costs a fence where
  /// nobody sleeps.
  ///
  /// - Parameter doorbell: The eventfd(2) that the consumer waits on.
  public func wake(_ doorbell: Int32) {
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    let peer = slab.peer.load(ordering: .acquiring).half
    let sleeping = UnsafeAtomic<UInt32>(
      at: (peer.half.memory + peer.sleeping).assumingMemoryBound(to: UInt32.AtomicRepresentation.self))
    if sleeping.load(ordering: .sequentiallyConsistent) != 0 {
      var one: UInt64 = 1
      _ = write(doorbell, &one, 8)
    }
  }
}
