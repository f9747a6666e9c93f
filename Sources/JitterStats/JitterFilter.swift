/// The interarrival jitter estimate of RFC 3550: a running mean of transit-time differences with gain 1/16.
///
/// Integer arithmetic after RFC 3550 appendix A.8, in 1/16 ns instead of timestamp units, so that the datapath
/// in the kernel (bpf/measure.h), which has no floating point, computes the very same numbers.
public struct JitterFilter: Hashable, Sendable {
  /// The estimate in 1/16 ns.
  public private(set) var q4Ns: UInt64 = 0
  /// The largest value that the estimate reached, in 1/16 ns.
  public private(set) var maxQ4Ns: UInt64 = 0

  /// A difference above this is a pause or a clock that was set, not jitter: 10 s in nanoseconds.
  public static let discontinuityNs: UInt64 = 10_000_000_000

  public init() {}

  /// Takes in one difference |D(i-1, i)| of RFC 3550 section 6.4.1, in nanoseconds. Differences above
  /// ``discontinuityNs`` are left out; the caller goes on from the new arrival either way.
  public mutating func update(differenceNs: UInt64) {
    guard differenceNs <= Self.discontinuityNs else { return }
    // RFC 3550 A.8: J += |D| - ((J + 8) >> 4), J being 16 times the estimate. It cannot go below zero, since
    // (J + 8) >> 4 is at most J for every J above 0, and is 0 for J = 0.
    q4Ns = q4Ns &+ differenceNs &- ((q4Ns &+ 8) >> 4)
    maxQ4Ns = max(maxQ4Ns, q4Ns)
  }

  /// The estimate in seconds.
  public var seconds: Double { Double(q4Ns) / 16e9 }
  /// The largest estimate so far, in seconds.
  public var maxSeconds: Double { Double(maxQ4Ns) / 16e9 }
}
