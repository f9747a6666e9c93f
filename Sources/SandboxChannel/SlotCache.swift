import Atomics
import CStreamRouter

/// What one thread, or one processor, of a producer allocates and sends with. It takes slots by the word of 64, so
/// that threads do not meet over each packet.
///
/// Used by one thread at a time. A slot may be allocated with one cache and sent or given back with another.
public final class SlotCache {
  private let producer: ChannelProducer
  private let slab: PacketSlab
  private let ring: SharedWords
  private let mask: UInt64
  private let lapShift: UInt64
  /// The peer's half as this thread last saw it, and where its head stood then.
  private var peer: PeerReference
  private var head: UInt64
  private var attachments: UInt64
  /// Where a search begins anew, so that the slots that were free last, and are in a cache, come first.
  private let home: Int
  private var word: Int
  private var holdsWord = false
  /// Whether the last search found too little: then the next one goes on from there, and not from home.
  private var fellShort = false

  init(_ producer: ChannelProducer, first: Int) {
    self.producer = producer
    slab = producer.slab
    ring = slab.half.ring
    mask = UInt64(slab.half.half.geometry.ringEntries - 1)
    lapShift = UInt64(slab.half.half.geometry.ringEntries.trailingZeroBitCount)
    attachments = producer.attachments.load(ordering: .acquiring)
    peer = slab.peer.load(ordering: .acquiring)
    head = peer.half.head.acquire(0)
    home = first % slab.wordCount
    word = home
  }

  deinit {
    if holdsWord { slab.disclaim(word) }
  }

  /// Allocates up to as many slots as the buffer has room for, in constant time for each word of 64.
  ///
  /// - Returns: How many. Fewer, where the peer holds the others or they are in the ring. In a channel of more than
  ///   4,096 slots a call looks at a part of them, and the next one at what follows.
  @discardableResult
  public func allocate(into slots: UnsafeMutableBufferPointer<Descriptor>) -> Int {
    var made = 0
    var searched = 0
    var isHome = word == home || fellShort
    fellShort = false
    while made < slots.count {
      if !holdsWord { holdsWord = slab.claim(word) }
      if holdsWord {
        // Only now: whoever had the word before may have allocated by what a newer consumer has freed, and an older
        // one's bits would then offer slots that are in use.
        followPeer()
        var free = slab.free(word, freed: peer.half.freed)
        var taken: UInt64 = 0
        while free != 0, made < slots.count {
          let bit = free & (0 &- free)
          taken |= bit
          free ^= bit
          slots[made] = Descriptor(slot: UInt32(word << 6 | bit.trailingZeroBitCount))
          made += 1
        }
        if taken != 0 {
          slab.take(word, taken)
          searched = 0
        }
        if made == slots.count { break }
        slab.disclaim(word)
        holdsWord = false
      }
      searched += 1
      word = isHome ? (word + 1 == slab.wordCount ? 0 : word + 1) : home
      isHome = true
      if searched >= min(slab.wordCount, PacketSlab.wordsPerSearch) {
        fellShort = true
        break
      }
    }
    return made
  }

  /// Allocates one slot; nil where none is free.
  public func allocate() -> Descriptor? {
    var descriptor = Descriptor(slot: 0)
    return withUnsafeMutablePointer(to: &descriptor) {
      allocate(into: UnsafeMutableBufferPointer(start: $0, count: 1))
    } == 1 ? descriptor : nil
  }

  /// The bytes of a slot that is held here, to be written until it is sent. They stay where they are as long as the
  /// producer lives; whoever keeps them longer than the slot writes into somebody else's packet.
  public func bytes(of descriptor: Descriptor) throws(SlotMisuse) -> UnsafeMutableRawBufferPointer {
    if let misuse = slab.misuse(Descriptor(slot: descriptor.slot)) { throw misuse }
    return UnsafeMutableRawBufferPointer(
      start: slab.half.slot(descriptor.slot), count: slab.half.half.geometry.slotBytes)
  }

  /// Asks for what the first `length` bytes of slots stand in, before they are written one after the other.
  public func prefetch(_ slots: UnsafeBufferPointer<Descriptor>, length: Int) {
    for slot in slots where slot.slot < slab.half.half.geometry.slotCount {
      sr_channel_fetch(slab.half.slot(slot.slot), UInt32(length), 1)
    }
  }

  /// Gives a slot back that is not sent after all.
  ///
  /// - Throws: `SlotMisuse`, and leaves all as it was, if it is not held here: given back twice, or sent.
  public func giveBack(_ descriptor: Descriptor) throws(SlotMisuse) {
    if let misuse = slab.misuse(Descriptor(slot: descriptor.slot)) { throw misuse }
    slab.giveBack(Int(descriptor.slot >> 6), 1 << UInt64(descriptor.slot & 63))
  }

  /// Sends packets, in their order. From here on they are the consumer's.
  ///
  /// - Returns: How many were sent, from the first on: all, since the ring has room for every slot, unless a predecessor
  ///   left entries that it never wrote and the consumer has yet to pass over, or the consumer's words are garbled.
  /// - Throws: `SlotMisuse` at the first packet that is not held here. Those before it were sent.
  @discardableResult
  public func send(_ packets: UnsafeBufferPointer<Descriptor>) throws(SlotMisuse) -> Int {
    var sent = 0
    while sent < packets.count {
      // What is held is let go of by the word, before it is published: from then on the consumer may free it.
      let first = packets[sent].slot >> 6
      var bits: UInt64 = 0
      var end = sent
      var misuse: SlotMisuse?
      while end < packets.count, packets[end].slot >> 6 == first {
        let packet = packets[end]
        let bit: UInt64 = 1 << UInt64(packet.slot & 63)
        misuse = bits & bit == 0 ? slab.misuse(packet) : .notHeld(slot: Int(packet.slot))
        if misuse != nil { break }
        bits |= bit
        end += 1
      }
      if end > sent {
        guard let from = reserve(end - sent) else { break }
        slab.letGo(Int(first), bits)
        publish(packets, sent..<end, from)
        sent = end
      }
      if let misuse { throw misuse }
    }
    return sent
  }

  public func send(_ packet: Descriptor) throws(SlotMisuse) -> Bool {
    try withUnsafePointer(to: packet) { (pointer) throws(SlotMisuse) in
      try send(UnsafeBufferPointer(start: pointer, count: 1))
    } == 1
  }

  /// Reserves entries of the ring. The first one's position.
  private func reserve(_ count: Int) -> UInt64? {
    let count = UInt64(count)
    let tail = slab.half.tail
    var position = tail.relaxed(0)
    while true {
      if position &+ count &- head > mask &+ 1 {
        followPeer()
        head = peer.half.head.acquire(0)
        // Other threads may have gone past what was read; the head, when it was read, was not.
        position = tail.relaxed(0)
        // Also where the peer's head is nonsense.
        if position &+ count &- head > mask &+ 1 { return nil }
      }
      guard slab.isShared else {
        tail.setRelaxed(0, position &+ count)
        return position
      }
      let (done, found) = tail.exchange(0, position, position &+ count)
      if done { return position }
      position = found
    }
  }

  @inline(__always)
  private func publish(_ packets: UnsafeBufferPointer<Descriptor>, _ range: Range<Int>, _ from: UInt64) {
    var position = from
    for index in range {
      ring.release(Int(position & mask), packets[index].word(lap: Descriptor.lap(position, shift: lapShift)))
      position &+= 1
    }
  }

  /// Reads a new consumer's half where there is one.
  @inline(__always)
  private func followPeer() {
    let now = producer.attachments.load(ordering: .acquiring)
    if now != attachments {
      attachments = now
      peer = slab.peer.load(ordering: .acquiring)
      head = peer.half.head.acquire(0)
    }
  }
}
