import Atomics
import CStreamRouter
import Glibc

/// The side of a channel that packets and events go to. Used by one thread at a time.
///
/// Makes its half of the memory, and reads the producer's: packets can be read and not changed. A consumer that died is
/// succeeded by one that begins with what it left: packets that it had not received are received, slots that it held are
/// free again.
public final class ChannelConsumer {
  public let geometry: ChannelGeometry
  /// What a successor found.
  public let recovery: ConsumerRecovery?
  /// Entries of the ring that were none of this channel's packets: outside of its slots, or sent twice. The producer
  /// is at fault; they are passed over.
  public private(set) var invalid: UInt64 = 0
  /// Entries that a producer reserved, and died before it wrote them.
  public private(set) var holes: UInt64 = 0

  let half: ConsumerHalf
  private var peer: ProducerHalf
  private var head: UInt64
  private let mask: UInt64
  private let lapShift: UInt64
  private var eventHeads: [UInt64]
  /// What the producer's count of events was when there was none left; nil where that is not known.
  private var postedSeen: UInt64? = 0

  /// Attaches to a producer as its channel's first consumer. Takes the descriptor over.
  public init(producer: Int32) throws(ChannelError) {
    peer = ProducerHalf(try ChannelHalf(producer, of: SR_SIDE_PRODUCER))
    geometry = peer.half.geometry
    half = ConsumerHalf(try ChannelHalf(geometry, SR_SIDE_CONSUMER, incarnation: 0))
    recovery = nil
    head = 0
    mask = UInt64(geometry.ringEntries - 1)
    lapShift = UInt64(geometry.ringEntries.trailingZeroBitCount)
    eventHeads = Array(repeating: 0, count: EventQueues.priorities)
  }

  /// Attaches to a producer of this very process, over the same mapping: each side of it is then a thread.
  package init(beside producer: ChannelProducer) throws(ChannelError) {
    peer = producer.half
    geometry = producer.geometry
    half = ConsumerHalf(try ChannelHalf(geometry, SR_SIDE_CONSUMER, incarnation: 0))
    recovery = nil
    head = 0
    mask = UInt64(geometry.ringEntries - 1)
    lapShift = UInt64(geometry.ringEntries.trailingZeroBitCount)
    eventHeads = Array(repeating: 0, count: EventQueues.priorities)
    producer.attach(half)
  }

  /// Succeeds a consumer that has ended. Takes both descriptors over.
  ///
  /// - Parameters:
  ///   - predecessor: Its half. The process that wrote it must have ended (pidfd_open(2), waitid(2)).
  ///   - producer: The producer's half, the last one there was.
  public init(succeeding predecessor: Int32, producer: Int32) throws(ChannelError) {
    let old: ChannelHalf
    do throws(ChannelError) {
      old = try ChannelHalf(predecessor, of: SR_SIDE_CONSUMER)
    } catch {
      close(producer)
      throw error
    }
    geometry = old.geometry
    peer = ProducerHalf(try ChannelHalf(producer, of: SR_SIDE_PRODUCER, expecting: geometry))
    half = ConsumerHalf(try ChannelHalf(geometry, SR_SIDE_CONSUMER, incarnation: old.incarnation + 1))
    recovery = ConsumerRecovery.run(from: ConsumerHalf(old), to: half, producer: peer)
    postedSeen = nil
    head = half.head.relaxed(0)
    mask = UInt64(geometry.ringEntries - 1)
    lapShift = UInt64(geometry.ringEntries.trailingZeroBitCount)
    eventHeads = (0..<EventQueues.priorities).map(half.eventHeads.relaxed)
  }

  /// A descriptor of this side's half, for the producer. It stays this object's: pass it on, or duplicate it.
  public var descriptor: Int32 { half.half.descriptor }
  /// How many consumers the channel had before this one.
  public var incarnation: UInt64 { half.half.incarnation }

  /// Reads the half of a producer's successor from now on, which has a copy of the packets that are held here. Takes the
  /// descriptor over. Pointers to packets' bytes end with it.
  public func attach(producer: Int32) throws(ChannelError) {
    peer = ProducerHalf(try ChannelHalf(producer, of: SR_SIDE_PRODUCER, expecting: geometry))
    postedSeen = nil
  }

  // MARK: Packets

  /// Receives up to as many packets as the buffer has room for, in the order in which they were sent. They are held here
  /// until they are released.
  ///
  /// - Returns: How many.
  public func receive(into packets: UnsafeMutableBufferPointer<Descriptor>) -> Int {
    var received = 0
    var position = head
    var word = 0
    var bits: UInt64 = 0
    var held: UInt64 = 0
    // At most a lap, however the producer garbles its ring.
    while received < packets.count, position &- head <= mask {
      let entry = peer.ring.acquire(Int(position & mask))
      guard entry & Descriptor.lapBit == Descriptor.lap(position, shift: lapShift) else { break }
      position &+= 1
      let packet = Descriptor(word: entry)
      guard packet.slot != Descriptor.noSlot else {
        holes += 1
        continue
      }
      let slot = Int(packet.slot)
      guard slot < geometry.slotCount, Int(packet.offset) + Int(packet.length) <= geometry.slotBytes else {
        invalid += 1
        continue
      }
      // Runs of packets in one word of slots are marked by one store.
      if slot >> 6 != word || bits == 0 {
        if bits != 0 { half.taken.setRelaxed(word, half.taken.relaxed(word) ^ bits) }
        word = slot >> 6
        bits = 0
        held = half.taken.relaxed(word) ^ half.freed.relaxed(word)
      }
      let bit: UInt64 = 1 << UInt64(slot & 63)
      guard (held | bits) & bit == 0 else {
        invalid += 1
        continue
      }
      bits |= bit
      packets[received] = packet
      received += 1
    }
    if bits != 0 { half.taken.setRelaxed(word, half.taken.relaxed(word) ^ bits) }
    if position != head {
      head = position
      half.head.release(0, position)
    }
    return received
  }

  /// Receives one packet; nil where there is none.
  public func receive() -> Descriptor? {
    var packet = Descriptor(slot: 0)
    return withUnsafeMutablePointer(to: &packet) {
      receive(into: UnsafeMutableBufferPointer(start: $0, count: 1))
    } == 1 ? packet : nil
  }

  /// The bytes of a packet that is held here, to be read until it is released or a producer is attached. A hostile producer
  /// can change them while they are read: copy what decisions hang on.
  public func bytes(of packet: Descriptor) throws(SlotMisuse) -> UnsafeRawBufferPointer {
    guard Int(packet.offset) + Int(packet.length) <= geometry.slotBytes else { throw .outside(packet) }
    try check(packet.slot)
    let start = UnsafeRawPointer(peer.slot(packet.slot)) + Int(packet.offset)
    return UnsafeRawBufferPointer(start: start, count: Int(packet.length))
  }

  /// Asks for what packets stand in, before they are read one after the other.
  public func prefetch(_ packets: UnsafeBufferPointer<Descriptor>) {
    for packet in packets where Int(packet.slot) < geometry.slotCount {
      sr_channel_fetch(peer.slot(packet.slot) + Int(packet.offset), UInt32(packet.length), 0)
    }
  }

  /// Gives packets' slots back to the producer.
  ///
  /// - Throws: `SlotMisuse` at the first that is not held here: released twice, or never received. Those before it are
  ///   released.
  public func release(_ packets: UnsafeBufferPointer<Descriptor>) throws(SlotMisuse) {
    var index = 0
    while index < packets.count {
      let word = Int(packets[index].slot >> 6)
      guard word < geometry.wordCount else { throw .outside(packets[index]) }
      let held = half.taken.relaxed(word) ^ half.freed.relaxed(word)
      var bits: UInt64 = 0
      var misused: Int?
      while index < packets.count, Int(packets[index].slot >> 6) == word {
        let bit: UInt64 = 1 << UInt64(packets[index].slot & 63)
        guard held & ~bits & bit != 0 else {
          misused = Int(packets[index].slot)
          break
        }
        bits |= bit
        index += 1
      }
      if bits != 0 { half.freed.flip(word, bits) }
      if let misused { throw .notHeld(slot: misused) }
    }
  }

  public func release(_ packet: Descriptor) throws(SlotMisuse) {
    try withUnsafePointer(to: packet) { (pointer) throws(SlotMisuse) in
      try release(UnsafeBufferPointer(start: pointer, count: 1))
    }
  }

  /// Packets that are held here.
  public var heldPackets: Int {
    (0..<geometry.wordCount).reduce(0) {
      $0 + (half.taken.relaxed($1) ^ half.freed.relaxed($1)).nonzeroBitCount
    }
  }

  private func check(_ slot: UInt32) throws(SlotMisuse) {
    let number = Int(slot)
    guard number < geometry.slotCount else { throw .outside(Descriptor(slot: slot)) }
    let held = half.taken.relaxed(number >> 6) ^ half.freed.relaxed(number >> 6)
    guard held & (1 << UInt64(number & 63)) != 0 else { throw .notHeld(slot: number) }
  }

  // MARK: Events

  /// The most urgent event; nil where there is none. An event that was taken is not offered to a successor.
  public func takeEvent() -> ChannelEvent? {
    let posted = peer.posted.acquire(0)
    if posted == postedSeen { return nil }
    for priority in 0..<EventQueues.priorities {
      while let (event, isHole) = event(priority) {
        eventHeads[priority] &+= 1
        half.eventHeads.release(priority, eventHeads[priority])
        if !isHole { return event }
      }
    }
    postedSeen = posted
    return nil
  }

  private func event(_ priority: Int) -> (ChannelEvent, isHole: Bool)? {
    let position = eventHeads[priority]
    let place = EventQueues.place(priority, position, geometry)
    let word = peer.events.acquire(place + 1)
    guard word & Descriptor.lapBit == Descriptor.lap(position, shift: EventQueues.shift(geometry)) else {
      return nil
    }
    let code = UInt32(truncatingIfNeeded: word) & UInt32(SR_MAX_EVENT_CODE.rawValue)
    let event = ChannelEvent(priority: priority, code: code, payload: peer.events.relaxed(place))
    return (event, word & EventQueues.hole != 0)
  }

  /// Events of each priority that found their queue full, since the channel began, as the producer counts them.
  public var overflowed: [UInt64] { EventQueues.overflowed(peer) }

  // MARK: Sleep

  /// Sleeps until there is a packet or an event, or the time is up.
  ///
  /// - Parameters:
  ///   - doorbell: An eventfd(2), without EFD_SEMAPHORE, that the producer wakes with.
  ///   - milliseconds: At most so long; negative for ever.
  /// - Returns: Whether there is something.
  public func wait(_ doorbell: Int32, milliseconds: Int32) -> Bool {
    let sleeping = UnsafeAtomic<UInt32>(
      at: (half.half.memory + half.sleeping).assumingMemoryBound(to: UInt32.AtomicRepresentation.self))
    sleeping.store(1, ordering: .sequentiallyConsistent)
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    defer { sleeping.store(0, ordering: .sequentiallyConsistent) }
    if hasSomething { return true }
    var ready = pollfd(fd: doorbell, events: Int16(POLLIN), revents: 0)
    if poll(&ready, 1, milliseconds) > 0 {
      var rings: UInt64 = 0
      _ = read(doorbell, &rings, 8)
    }
    return hasSomething
  }

  private var hasSomething: Bool {
    peer.ring.acquire(Int(head & mask)) & Descriptor.lapBit == Descriptor.lap(head, shift: lapShift)
      || peer.posted.acquire(0) != postedSeen
  }
}
