import Foundation
import Testing
import Topology

@testable import StreamRouter

/// They belong to the whole machine: one test, which puts back what it found.
@Suite(.serialized) struct SoftirqThreadsTests {
  private static let canSchedule =
    geteuid() == 0 && !SoftirqThreads.all().isEmpty && Capability.missing([.sysNice]).isEmpty

  @Test func thereIsOneForEachProcessor() throws {
    let threads = SoftirqThreads.all()
    try #require(!threads.isEmpty || geteuid() != 0, "no ksoftirqd in /proc")
    #expect(threads.isEmpty || threads.count >= sysconf(Int32(_SC_NPROCESSORS_ONLN)))
  }

  @Test func whereNoneIsSeenTheRemedyIsNamed() {
    let error = #expect(throws: EngineError.self) {
      try SoftirqThreads.schedule(.fifo(priority: 10), [pid_t](), again: true)
    }
    #expect("\(error!)".contains("fifo 10") && "\(error!)".contains("process ids"))
  }

  @Test(.enabled(if: canSchedule, "needs root, CAP_SYS_NICE and the machine's own process ids"))
  func aPolicyIsGivenKeptAndTakenBack() throws {
    let threads = SoftirqThreads.all().values.sorted()
    let other = try #require(threads.first)
    let mark: Int32 = 0x4000_0000
    func policies() -> [Int32] { threads.map { sched_getscheduler($0) } }
    let before = policies()
    try #require(before.allSatisfy { $0 == SCHED_OTHER }, "somebody has scheduled ksoftirqd: \(before)")
    defer {
      var parameters = sched_param()
      for thread in threads { sched_setscheduler(thread, SCHED_OTHER, &parameters) }
    }
    try SoftirqThreads.schedule(.fifo(priority: 7), threads, again: true)
    #expect(policies().allSatisfy { $0 == SCHED_FIFO | mark })
    // What keeps it leaves the priority alone, what changes it does not.
    try SoftirqThreads.schedule(.rr(priority: 9), threads, again: false)
    #expect(policies().allSatisfy { $0 == SCHED_FIFO | mark })
    try SoftirqThreads.schedule(.rr(priority: 9), threads, again: true)
    #expect(policies().allSatisfy { $0 == SCHED_RR | mark })
    var parameters = sched_param()
    sched_getparam(other, &parameters)
    #expect(parameters.sched_priority == 9)

    // What somebody else raised is theirs.
    parameters.sched_priority = 3
    sched_setscheduler(other, SCHED_FIFO, &parameters)
    try SoftirqThreads.schedule(.rr(priority: 9), threads, again: true)
    #expect(sched_getscheduler(other) == SCHED_FIFO)
    SoftirqThreads.putBack()
    #expect(sched_getscheduler(other) == SCHED_FIFO)
    #expect(threads.dropFirst().allSatisfy { sched_getscheduler($0) == SCHED_OTHER })
  }
}
