#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The wall clock of the monitor, the only place where it reads one.
enum MonitorClock {
  /// Nanoseconds since 1970.
  static func nowNs() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
  }
}

extension NodeReading {
  /// Whether the node answered just now.
  var isFresh: Bool { snapshot != nil && staleSeconds == nil }
}
