import Foundation

/// Random numbers that a seed makes repeatable (SplitMix64). Tests print its seed when they fail; `SR_SEED=N swift
/// test` runs them with a given one.
struct SeededRandom: RandomNumberGenerator {
  let seed: UInt64
  private var state: UInt64

  init() {
    let given = ProcessInfo.processInfo.environment["SR_SEED"].flatMap { UInt64($0) }
    seed = given ?? .random(in: 0 ... .max)
    state = seed
  }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  /// True once in `times`.
  mutating func once(in times: Int) -> Bool { Int.random(in: 0..<times, using: &self) == 0 }

  mutating func bytes(_ count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    for start in stride(from: 0, to: count, by: 8) {
      var word = next()
      for offset in start..<min(start + 8, count) {
        bytes[offset] = UInt8(truncatingIfNeeded: word)
        word >>= 8
      }
    }
    return bytes
  }
}
