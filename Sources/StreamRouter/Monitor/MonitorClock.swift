/// The wall clock of the monitor, the only place where it reads one.
enum MonitorClock {
  /// Nanoseconds since 1970.
  static func nowNs() -> UInt64 { realtimeNs() }
}

/// When the nodes are read: an interval apart from plan to plan, not from reading to reading, or the time that reading
/// takes would add up. A late reading shifts the plan.
struct ReadingPlan {
  private let interval: Duration
  /// When the next reading is due.
  private(set) var next: ContinuousClock.Instant

  init(interval: Duration) {
    self.interval = interval
    next = .now + interval
  }

  /// The reading that was due is being taken.
  mutating func advance() { next = max(next, .now - interval) + interval }
}

extension NodeReading {
  /// Whether the node answered just now.
  var isFresh: Bool { snapshot != nil && staleSeconds == nil }
}
