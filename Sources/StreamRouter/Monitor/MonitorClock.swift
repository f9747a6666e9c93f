/// The wall clock of the monitor, the only place where it reads one.
enum MonitorClock {
  /// Nanoseconds since 1970.
  static func nowNs() -> UInt64 { realtimeNs() }
}

extension NodeReading {
  /// Whether the node answered just now.
  var isFresh: Bool { snapshot != nil && staleSeconds == nil }
}
