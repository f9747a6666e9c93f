import Atomics

/// Words of memory that two processes share. Each access says its order; sr_channel.h says why it is that one.
struct SharedWords: @unchecked Sendable {
  // Sendable: all access is atomic, and the memory outlives this: its owner holds the half that it is part of.
  private let base: UnsafeMutablePointer<UInt64.AtomicRepresentation>

  init(_ memory: UnsafeMutableRawPointer) {
    base = memory.assumingMemoryBound(to: UInt64.AtomicRepresentation.self)
  }

  @inline(__always)
  private func word(_ index: Int) -> UnsafeAtomic<UInt64> { UnsafeAtomic(at: base + index) }

  @inline(__always)
  func relaxed(_ index: Int) -> UInt64 { word(index).load(ordering: .relaxed) }
  @inline(__always)
  func acquire(_ index: Int) -> UInt64 { word(index).load(ordering: .acquiring) }
  @inline(__always)
  func setRelaxed(_ index: Int, _ value: UInt64) { word(index).store(value, ordering: .relaxed) }
  @inline(__always)
  func release(_ index: Int, _ value: UInt64) { word(index).store(value, ordering: .releasing) }

  /// Flips bits of a word that only this thread writes, and releases: one plain store.
  @inline(__always)
  func flip(_ index: Int, _ bits: UInt64) { release(index, relaxed(index) ^ bits) }

  /// Flips bits of a word that other threads of this side write too.
  @inline(__always)
  func flipShared(_ index: Int, _ bits: UInt64) {
    _ = word(index).loadThenBitwiseXor(with: bits, ordering: .acquiringAndReleasing)
  }

  func add(_ index: Int, _ amount: UInt64) {
    word(index).wrappingIncrement(by: amount, ordering: .acquiringAndReleasing)
  }

  /// Sets a word to `desired` if it still is `expected`. Otherwise what it is.
  @inline(__always)
  func exchange(_ index: Int, _ expected: UInt64, _ desired: UInt64) -> (done: Bool, found: UInt64) {
    let result = word(index).weakCompareExchange(
      expected: expected, desired: desired, successOrdering: .acquiringAndReleasing, failureOrdering: .relaxed)
    return (result.exchanged, result.original)
  }
}

extension UInt64 {
  /// The numbers of the bits that are set, from the lowest on.
  func forEachBit(_ body: (Int) -> Void) {
    var rest = self
    while rest != 0 {
      body(rest.trailingZeroBitCount)
      rest &= rest &- 1
    }
  }
}
