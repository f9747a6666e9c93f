import Foundation
import Synchronization

/// How far apart the sender's processor and the relay's are: the time that a cache line takes to the other one and back.
///
/// A hypervisor may move virtual processors between cores that share a cache and cores that do not, every some ten
/// seconds, and what one processor hands to the other takes longer then: every figure falls by a quarter to a third. Two
/// measurements say nothing about each other when it moved in between.
final class BenchDistance: Sendable {
  private struct State {
    var nearest = Double.infinity
    var patienceSeconds = 0.0
  }
  private let state = Mutex(State())

  /// Longer than the shortest one by more than this factor is another place.
  static let tolerance = 1.5
  private static let trips = 2000

  /// The shortest way that was seen so far, in ns.
  var nearest: Double { state.withLock { $0.nearest } }

  /// Looks for the shortest way for some seconds.
  ///
  /// - Parameter patienceSeconds: How long is waited for it in all afterwards.
  func calibrate(seconds: Double, patienceSeconds: Double) async throws {
    state.withLock { $0.patienceSeconds = patienceSeconds }
    let end = ContinuousClock.now + .seconds(seconds)
    repeat {
      _ = try await measure()
      try await Task.sleep(for: .milliseconds(200))
    } while ContinuousClock.now < end
  }

  /// Whether a distance is about the shortest one.
  func isNear(_ nanoseconds: Double) -> Bool { nanoseconds <= Self.tolerance * nearest }

  /// Waits until the processors are as near as they were at their nearest, or the patience is used up.
  ///
  /// - Returns: The distance then, in ns.
  func waitUntilNear() async throws -> Double {
    while true {
      let distance = try await measure()
      let waits = state.withLock { state in
        guard distance > Self.tolerance * state.nearest, state.patienceSeconds > 0 else { return false }
        state.patienceSeconds -= 0.25
        return true
      }
      guard waits else { return distance }
      try await Task.sleep(for: .milliseconds(250))
    }
  }

  /// Runs a measurement, with `waits` while the processors are near, and once more where they moved meanwhile.
  ///
  /// - Returns: What it found, and the mean of the distances before and after, in ns.
  func around<T>(waits: Bool, _ measurement: () async throws -> T) async throws -> (found: T, distance: Double)
  {
    var mayRepeat = waits
    while true {
      let before = waits ? try await waitUntilNear() : try await measure()
      let found = try await measurement()
      let after = try await measure()
      if !mayRepeat || isNear(before) == isNear(after) { return (found, (before + after) / 2) }
      mayRepeat = false
    }
  }

  /// The distance now, in ns: the least of five rows of trips, since an interrupt may come between.
  func measure() async throws -> Double {
    let ball = Ball()
    let rows = 5
    async let thrown = BenchThread.run("sr-there", processor: BenchFlood.processor, realtime: 40) {
      ball.meet()
      return (0..<rows).map { row in
        let begin = monotonicNs()
        for trip in 0..<Self.trips {
          let number = 2 * (row * Self.trips + trip)
          guard ball.wait(for: number) else { return Double.infinity }
          ball.number.store(number + 1, ordering: .releasing)
        }
        return Double(monotonicNs() - begin) / Double(Self.trips)
      }
    }
    async let back: Void = BenchThread.run("sr-back", processor: BenchNetwork.relayProcessor, realtime: 40) {
      ball.meet()
      for trip in 0..<rows * Self.trips {
        guard ball.wait(for: 2 * trip + 1) else { return }
        ball.number.store(2 * trip + 2, ordering: .releasing)
      }
    }
    let distance = try await thrown.min() ?? .infinity
    try await back
    state.withLock { $0.nearest = min($0.nearest, distance) }
    return distance
  }

  /// What is thrown to and fro, on a cache line of its own.
  private final class Ball: Sendable {
    private let before: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (
      0, 0, 0, 0, 0, 0, 0, 0
    )
    let number = Atomic<Int>(0)
    private let arrived = Atomic<Int>(0)
    private let after: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (
      0, 0, 0, 0, 0, 0, 0, 0
    )

    /// Sleeps until both threads run: who starts them may come to the second one late. After a minute it goes on alone.
    func meet() {
      arrived.wrappingAdd(1, ordering: .relaxed)
      for _ in 0..<60_000 where arrived.load(ordering: .relaxed) < 2 { usleep(1000) }
    }

    /// Spins until the number is there; false after a second, in which the other thread did not run.
    func wait(for wanted: Int) -> Bool {
      var spins = 0
      var deadline: UInt64?
      while number.load(ordering: .acquiring) != wanted {
        spins += 1
        guard spins & 0xffff == 0 else { continue }
        let now = monotonicNs()
        if let deadline, now > deadline { return false }
        deadline = deadline ?? now + 1_000_000_000
      }
      return true
    }
  }
}
