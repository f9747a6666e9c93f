import Foundation

/// Nanoseconds since 1970 by CLOCK_REALTIME, the clock of the kernel's receive time stamps. Allocates nothing.
func realtimeNs() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_REALTIME, &time)
  return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
}

/// Nanoseconds by CLOCK_MONOTONIC, which nobody sets. Allocates nothing.
func monotonicNs() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
}
