import Atomics
import Glibc

/// What both sides count, in memory that outlives them. Every word is atomic.
public struct Tally: @unchecked Sendable {
  // Sendable: all access is atomic, and the memory stays mapped until the process ends.
  public enum Word: Int, CaseIterable, Sendable {
    /// What the peers are to do: an `Order`.
    case order
    /// Packets, and events, that were sent; the sum over the threads.
    case sent, posted
    case received, bytes, corrupted, repeated, misused, invalid
    /// What the sides say once they have nothing to do: free slots, packets held, and how often they came to rest.
    case free, held, producerRests, consumerRests
    case events, eventsRepeated
    /// Sums over all recoveries.
    case reclaimed, kept, holes, undone, abandoned
    /// The number of the packet that each thread of the producer made last, and of the one that came last.
    case sent0, sent1, sent2, sent3
    case last0, last1, last2, last3
    case nextEvent, lastEvent
  }
  public enum Order: UInt64, Sendable { case work, rest }

  public static let bytes = 4_096
  private let memory: UnsafeMutablePointer<UInt64.AtomicRepresentation>

  /// Maps it from a descriptor.
  public init?(_ descriptor: Int32) {
    guard let memory = mmap(nil, Self.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
      memory != MAP_FAILED
    else { return nil }
    self.memory = memory.bindMemory(to: UInt64.AtomicRepresentation.self, capacity: Self.bytes / 8)
  }

  private func atomic(_ word: Int) -> UnsafeAtomic<UInt64> { UnsafeAtomic(at: memory + word) }

  public subscript(_ word: Word) -> UInt64 {
    get { atomic(word.rawValue).load(ordering: .acquiring) }
    nonmutating set { atomic(word.rawValue).store(newValue, ordering: .releasing) }
  }
  /// A thread's word: such as `sent0` and 2 for `sent2`.
  public subscript(_ first: Word, _ thread: Int) -> UInt64 {
    get { atomic(first.rawValue + thread).load(ordering: .acquiring) }
    nonmutating set { atomic(first.rawValue + thread).store(newValue, ordering: .releasing) }
  }
  public func add(_ word: Word, _ amount: UInt64 = 1) {
    atomic(word.rawValue).wrappingIncrement(by: amount, ordering: .acquiringAndReleasing)
  }
  public func add(_ word: Word, _ amount: Int) { add(word, UInt64(amount)) }

  public var text: String { Word.allCases.map { "\($0) \(self[$0])" }.joined(separator: ", ") }
}
