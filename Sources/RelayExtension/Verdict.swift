/// What becomes of a packet.
public enum Verdict: Sendable {
  /// It goes on: to the next extension of the relay, then to every sink.
  case forward
  /// It ends here; the hop counts it as `drop_extension`.
  case drop
  /// It goes on, but only to these of the relay's sinks. None is a drop.
  case only(Sinks)
}

/// A choice of a relay's sinks, by their place in the stream's `to`: 0 is the first. A sink on the relay's own node
/// stands last.
public struct Sinks: Sendable, Equatable {
  let mask: UInt32

  init(mask: UInt32) { self.mask = mask }

  /// No sink at all.
  public static var none: Sinks { Sinks(mask: 0) }
  /// Every sink.
  public static var all: Sinks { Sinks(mask: ~0) }

  /// One sink; a place that no relay has (above 15) is no sink.
  public init(_ place: Int) { mask = place >= 0 && place < 16 ? 1 << UInt32(truncatingIfNeeded: place) : 0 }

  /// Those of either.
  public func union(_ other: Sinks) -> Sinks { Sinks(mask: mask | other.mask) }
  /// These without those.
  public func subtracting(_ other: Sinks) -> Sinks { Sinks(mask: mask & ~other.mask) }
}
