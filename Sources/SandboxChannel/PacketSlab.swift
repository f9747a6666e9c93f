import Atomics
import CStreamRouter

/// The slots of a producer: which are free, which are held here. Allocates in constant time: one word tells of 64
/// slots.
///
/// What the peer writes (`freed`) only ever offers slots; that a slot is held here stands in memory of our own, so
/// that a peer that garbles its words takes no slot from anybody but itself.
final class PacketSlab: @unchecked Sendable {
  // Sendable: `held` and `claims` are atomic where several threads may come; with one producer one thread does.
  let half: ProducerHalf
  /// The peer's half, exchanged when the peer is succeeded.
  let peer: ManagedAtomic<PeerReference>
  private let held: UnsafeMutablePointer<UInt64.AtomicRepresentation>
  private let claims: UnsafeMutablePointer<UInt64.AtomicRepresentation>
  let heldWords: SharedWords
  private let claimWords: SharedWords
  let wordCount: Int
  let isShared: Bool

  /// Words that one call looks at before it says that nothing is free: the next call goes on from there.
  static let wordsPerSearch = 64

  init(_ half: ProducerHalf, peer: ConsumerHalf) {
    self.half = half
    self.peer = ManagedAtomic(PeerReference(peer))
    wordCount = half.half.geometry.wordCount
    isShared = half.half.geometry.hasSeveralProducers
    held = .allocate(capacity: wordCount)
    held.initialize(repeating: .init(0), count: wordCount)
    claims = .allocate(capacity: wordCount)
    claims.initialize(repeating: .init(0), count: wordCount)
    heldWords = SharedWords(held)
    claimWords = SharedWords(claims)
  }

  deinit {
    held.deallocate()
    claims.deallocate()
  }

  /// Takes a word of slots for one thread. Whether it was free to be taken.
  func claim(_ word: Int) -> Bool {
    guard isShared else { return true }
    return claimWords.relaxed(word) == 0 && claimWords.exchange(word, 0, 1).done
  }

  func disclaim(_ word: Int) {
    if isShared { claimWords.release(word, 0) }
  }

  /// The free slots of a word that is claimed by the caller.
  @inline(__always)
  func free(_ word: Int, freed: SharedWords) -> UInt64 {
    ~(half.allocated.relaxed(word) ^ freed.acquire(word)) & ~heldWords.relaxed(word)
  }

  /// Allocates free slots of a word that is claimed by the caller.
  @inline(__always)
  func take(_ word: Int, _ slots: UInt64) {
    if isShared {
      heldWords.flipShared(word, slots)
      half.allocated.flipShared(word, slots)
    } else {
      heldWords.setRelaxed(word, heldWords.relaxed(word) ^ slots)
      half.allocated.flip(word, slots)
    }
  }

  /// Gives slots back that were not sent.
  func giveBack(_ word: Int, _ slots: UInt64) {
    if isShared {
      half.allocated.flipShared(word, slots)
      heldWords.flipShared(word, slots)
    } else {
      half.allocated.flip(word, slots)
      heldWords.setRelaxed(word, heldWords.relaxed(word) ^ slots)
    }
  }

  /// Ends this side's hold on slots that are about to be sent.
  @inline(__always)
  func letGo(_ word: Int, _ slots: UInt64) {
    if isShared {
      heldWords.flipShared(word, slots)
    } else {
      heldWords.setRelaxed(word, heldWords.relaxed(word) ^ slots)
    }
  }

  /// Why a descriptor does not name bytes of a slot that is held here; nil where it does.
  @inline(__always)
  func misuse(_ descriptor: Descriptor) -> SlotMisuse? {
    let slot = Int(descriptor.slot)
    guard slot < half.half.geometry.slotCount,
      Int(descriptor.offset) + Int(descriptor.length) <= half.half.geometry.slotBytes
    else { return .outside(descriptor) }
    return heldWords.relaxed(slot >> 6) & (1 << UInt64(slot & 63)) != 0 ? nil : .notHeld(slot: slot)
  }
}

/// Holds the half of a peer, for as long as anybody reads it.
final class PeerReference: AtomicReference, Sendable {
  let half: ConsumerHalf
  init(_ half: ConsumerHalf) { self.half = half }
}
