import CStreamRouter
import Foundation
import Synchronization

/// Background threads at normal priority: what a relay must live with. They compute and never wait.
final class BenchLoad: Sendable {
  private let stop = Atomic<Bool>(false)
  private let rounds: [Rounds]

  /// What one thread did: on a cache line of its own, or threads would slow each other down.
  private final class Rounds: Sendable {
    let count = Atomic<UInt64>(0)
    /// Where the work ends up, so that the compiler cannot leave it out.
    let last = Atomic<UInt64>(0)
    private let padding: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0)
  }

  /// - Parameter processor: Where all of them run.
  init(threads: Int, processor: Int) {
    rounds = (0..<threads).map { _ in Rounds() }
    for own in rounds {
      Thread.detachNewThread { [self] in
        sr_thread_begin("sr-load", Int32(processor))
        var work: UInt64 = 0x9e37_79b9
        while !stop.load(ordering: .relaxed) {
          for _ in 0..<1000 { work = work &* 6_364_136_223_846_793_005 &+ 1 }
          own.last.store(work, ordering: .relaxed)
          own.count.wrappingAdd(1, ordering: .relaxed)
        }
      }
    }
  }

  /// Rounds of work done so far, by all threads: what is missing of them was taken by something else.
  var work: UInt64 { rounds.reduce(0) { $0 + $1.count.load(ordering: .relaxed) } }

  func end() { stop.store(true, ordering: .relaxed) }
}
