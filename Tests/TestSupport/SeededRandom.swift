import Foundation

/// Random numbers that a seed makes repeatable (Steele, Lea, Flood: SplitMix64). Tests print its seed when they fail;
/// `SR_SEED=N swift test` runs them with a given one.
public struct SeededRandom: RandomNumberGenerator, Sendable {
  public let seed: UInt64
  private var state: UInt64

  /// - Parameter seed: nil: that of `SR_SEED`, or another one every time.
  public init(seed: UInt64? = nil) {
    let given = ProcessInfo.processInfo.environment["SR_SEED"].flatMap { UInt64($0) }
    self.seed = seed ?? given ?? .random(in: 0 ... .max)
    state = self.seed
  }

  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  /// True once in `times`.
  public mutating func once(in times: Int) -> Bool { Int.random(in: 0..<times, using: &self) == 0 }

  public mutating func bytes(_ count: Int) -> [UInt8] {
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
