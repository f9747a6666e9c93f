import CStreamRouter
import Foundation
import Synchronization
import UnixSignals

/// A thread of its own for what sends or receives: its pace must not wait for Swift's tasks, nor they for it.
enum TrafficThread {
  /// Runs `body` on a thread of this name until it returns.
  ///
  /// - Parameter realtime: The priority of SCHED_FIFO; nil leaves the thread to the ordinary scheduler.
  static func run<T: Sendable>(
    _ name: String, realtime: Int32? = nil, _ body: @escaping @Sendable () throws -> T
  ) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread {
        sr_thread_begin(name, -1)
        // An ordinary thread's sleep may end 50 us late by default.
        sr_thread_timer_slack(1)
        if let realtime, !becomeFIFO(priority: realtime) {
          return continuation.resume(throwing: TrafficError.needsRealtime)
        }
        continuation.resume(with: Result { try body() })
      }
    }
  }

  /// For the calling thread alone: what it starts, be it a worker that takes up a continuation, is of normal priority
  /// (SCHED_RESET_ON_FORK). Without, what others measure next would run at SCHED_FIFO too.
  static func becomeFIFO(priority: Int32) -> Bool {
    let resetOnFork: Int32 = 0x4000_0000
    var parameters = sched_param()
    parameters.sched_priority = priority
    return sched_setscheduler(0, SCHED_FIFO | resetOnFork, &parameters) == 0
  }
}

/// Asks a sending or receiving thread to come to an end.
final class StopFlag: Sendable {
  private let value = Atomic<Bool>(false)

  var isSet: Bool { value.load(ordering: .acquiring) }
  func set() { value.store(true, ordering: .releasing) }

  /// Runs `body` with a flag that SIGINT and SIGTERM set, so that the report is made all the same.
  static func bySignals<T: Sendable>(_ body: (StopFlag) async throws -> T) async throws -> T {
    let flag = StopFlag()
    let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
    let watching = Task { for await _ in signals { flag.set() } }
    defer { watching.cancel() }
    return try await body(flag)
  }
}

/// Sleeps until shortly before `ns` by CLOCK_MONOTONIC, then waits for it awake: a sleep alone ends late.
func waitExactly(untilMonotonicNs ns: UInt64) {
  /// About what waking up takes on an idle machine.
  let awakeNs: UInt64 = 60_000
  let now = monotonicNs()
  if ns > now + awakeNs {
    let until = ns - awakeNs
    var time = timespec(tv_sec: Int(until / 1_000_000_000), tv_nsec: Int(until % 1_000_000_000))
    // A signal may end it early; what is left is waited for below.
    clock_nanosleep(CLOCK_MONOTONIC, Int32(TIMER_ABSTIME), &time, nil)
  }
  while monotonicNs() < ns {}
}
