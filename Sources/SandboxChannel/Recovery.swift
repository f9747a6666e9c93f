import CStreamRouter

/// What a producer's successor found, and did. See sr_channel.h for whose a slot is.
public struct ProducerRecovery: Equatable, Sendable {
  /// Slots that the dead producer held: allocated, and not sent. Free again.
  public var reclaimed = 0
  /// Packets that it sent and that nobody had received yet. They are received.
  public var kept = 0
  /// Entries of the ring, and of the events' queues, that it reserved and never wrote. Passed over.
  public var holes = 0

  /// Copies what the dead producer left, and puts it in order. The consumer may be at work all the while: it moves only
  /// slots that are in the ring or its own, and those are left alone here.
  static func run(from old: ProducerHalf, to half: ProducerHalf, consumer: ConsumerHalf) -> ProducerRecovery {
    var recovery = ProducerRecovery()
    let geometry = old.half.geometry
    let places = geometry.producerPlaces
    // All but the geometry, which is this half's own.
    let first = MemoryLayout<sr_channel_geometry>.size
    (half.half.memory + first).copyMemory(from: old.half.memory + first, byteCount: Int(places.guard) - first)
    (half.half.memory + half.slots).copyMemory(
      from: old.half.memory + old.slots, byteCount: Int(places.bytes - places.slots))
    // First the head, then the bits: what left the ring before this is marked as taken.
    var inRing = [UInt64](repeating: 0, count: geometry.wordCount)
    let head = consumer.head.acquire(0)
    let tail = Ring(words: half.ring, stride: 1, first: 0, entries: geometry.ringEntries)
      .settle(from: head, to: half.tail.relaxed(0), hole: UInt64(SR_NO_SLOT.rawValue)) { entry in
        guard let entry else {
          recovery.holes += 1
          return
        }
        let slot = Int(Descriptor(word: entry).slot)
        if slot < geometry.slotCount {
          inRing[slot >> 6] |= 1 << UInt64(slot & 63)
          recovery.kept += 1
        }
      }
    half.tail.setRelaxed(0, tail)
    for word in 0..<geometry.wordCount {
      let taken = consumer.taken.acquire(word)
      let freed = consumer.freed.acquire(word)
      let allocated = half.allocated.relaxed(word)
      let held = (allocated ^ freed) & ~(taken ^ freed) & ~inRing[word]
      half.allocated.release(word, allocated ^ held)
      recovery.reclaimed += held.nonzeroBitCount
    }
    for priority in 0..<EventQueues.priorities {
      let tail = Ring(
        words: half.events, stride: 2, first: EventQueues.place(priority, 0, geometry) + 1,
        entries: geometry.queuedEvents
      ).settle(
        from: consumer.eventHeads.acquire(priority), to: half.eventTails.relaxed(priority),
        hole: EventQueues.hole
      ) { if $0 == nil { recovery.holes += 1 } }
      half.eventTails.setRelaxed(priority, tail)
    }
    // One may have been posted and not been told of.
    half.posted.add(0, 1)
    return recovery
  }

  /// Entries that bear the parity of their lap.
  private struct Ring {
    let words: SharedWords
    let stride: Int
    let first: Int
    let entries: Int

    /// Fills what was reserved and never written. Where the ring ends.
    func settle(from head: UInt64, to tail: UInt64, hole: UInt64, _ body: (UInt64?) -> Void) -> UInt64 {
      let shift = UInt64(entries.trailingZeroBitCount)
      var position = head
      // A head that is nonsense makes no more than a lap of it.
      while position &- head < UInt64(entries) {
        let place = first + stride * Int(position & UInt64(entries - 1))
        let lap = Descriptor.lap(position, shift: shift)
        let entry = words.relaxed(place)
        if entry & Descriptor.lapBit == lap {
          body(entry)
        } else if tail &- position <= UInt64(entries), tail != position {
          words.release(place, hole | lap)
          body(nil)
        } else {
          break
        }
        position &+= 1
      }
      return position
    }
  }
}

/// What a consumer's successor found, and did.
public struct ConsumerRecovery: Equatable, Sendable {
  /// Packets that the dead consumer was about to receive. They are received.
  public var undone = 0
  /// Packets that it held. Their slots are free again; what became of them nobody knows.
  public var abandoned = 0

  static func run(from old: ConsumerHalf, to half: ConsumerHalf, producer: ProducerHalf) -> ConsumerRecovery {
    var recovery = ConsumerRecovery()
    let geometry = old.half.geometry
    let first = MemoryLayout<sr_channel_geometry>.size
    (half.half.memory + first).copyMemory(
      from: old.half.memory + first, byteCount: Int(geometry.consumerPlaces.bytes) - first)
    let sleeping = half.half.memory + half.sleeping
    sleeping.storeBytes(of: 0, as: UInt32.self)
    // Packets that are in the ring, though marked as taken: the call that was to give them out never returned.
    let head = half.head.relaxed(0)
    let entries = UInt64(geometry.ringEntries)
    var position = head
    while position &- head < entries {
      let entry = producer.ring.acquire(Int(position & (entries - 1)))
      let lap = Descriptor.lap(position, shift: UInt64(geometry.ringEntries.trailingZeroBitCount))
      guard entry & Descriptor.lapBit == lap else { break }
      let slot = Int(Descriptor(word: entry).slot)
      if slot < geometry.slotCount {
        let bit: UInt64 = 1 << UInt64(slot & 63)
        let taken = half.taken.relaxed(slot >> 6)
        if (taken ^ half.freed.relaxed(slot >> 6)) & bit != 0 {
          half.taken.setRelaxed(slot >> 6, taken ^ bit)
          recovery.undone += 1
        }
      }
      position &+= 1
    }
    for word in 0..<geometry.wordCount {
      let held = half.taken.relaxed(word) ^ half.freed.relaxed(word)
      half.freed.flip(word, held)
      recovery.abandoned += held.nonzeroBitCount
    }
    return recovery
  }
}
