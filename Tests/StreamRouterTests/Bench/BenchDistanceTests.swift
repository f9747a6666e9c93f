import Foundation
import Testing

@testable import StreamRouter

struct BenchDistanceTests {
  private static let canMeasure =
    geteuid() == 0 && sysconf(Int32(_SC_NPROCESSORS_ONLN)) >= 2 && Capability.missing([.sysNice]).isEmpty

  @Test(.enabled(if: canMeasure, "needs root, CAP_SYS_NICE and two processors"))
  func aCacheLineGoesToTheOtherProcessorAndBack() async throws {
    let distance = BenchDistance()
    #expect(distance.nearest == .infinity)
    let first = try await distance.measure()
    // No two processors are nearer than their caches. How far they may be, what else this machine does has a say in.
    #expect(first > 5 && first.isFinite, "\(first) ns")
    #expect(distance.nearest == first && distance.isNear(first) && !distance.isNear(first * 2))
    // Without patience nothing is waited for.
    let second = try await distance.waitUntilNear()
    #expect(distance.nearest == min(first, second))
  }

  @Test(.enabled(if: canMeasure, "needs root, CAP_SYS_NICE and two processors"))
  func patienceEnds() async throws {
    let distance = BenchDistance()
    try await distance.calibrate(seconds: 0, patienceSeconds: 0.5)
    let begin = ContinuousClock.now
    _ = try await distance.waitUntilNear()
    _ = try await distance.waitUntilNear()
    // Two steps of a quarter of a second at most, and the measurements between.
    #expect(ContinuousClock.now - begin < .seconds(20))
    #expect(distance.nearest.isFinite)
  }
}
