import Foundation
import Testing
import Topology

@testable import StreamRouter

/// `scheduling:` of a node with engine sandbox: real daemons, and the machine's own ksoftirqd.
@Suite(.serialized, .enabled(if: LabFixture.obstacle == nil, "\(LabFixture.obstacle ?? "")"))
struct SchedulingTests {
  private static let plain = "studio: {addresses: [10.78.0.3, \"fd78::3\"], engine: sandbox}"

  private func policies() -> Set<Int32> { Set(SoftirqThreads.all().values.map { sched_getscheduler($0) }) }

  /// The file with another policy of studio, read by the daemons.
  private func schedule(_ live: LiveLab, _ policy: String) async throws {
    try live.rewrite(engine: .sandbox, streams: Self.streams)
    let text = try String(contentsOf: live.file, encoding: .utf8)
    try #require(text.contains(Self.plain))
    try text.replacing(Self.plain, with: Self.plain.dropLast() + ", scheduling: \(policy)}")
      .write(to: live.file, atomically: true, encoding: .utf8)
    try await live.up()
  }

  private static let streams = "  video: {protocol: udp, from: \"camera:5004\", to: \"studio:5004\"}"

  @Test(
    .enabled(if: !SoftirqThreads.all().isEmpty, "no ksoftirqd is to be seen in this namespace of process ids"))
  func softirqThreadsFollowTheFileAndGoBackWithTheNode() async throws {
    try #require(policies() == [SCHED_OTHER], "somebody has scheduled ksoftirqd")
    let raised: Int32 = SCHED_FIFO | 0x4000_0000
    let live = try LiveLab("t-sched", engine: .sandbox, streams: Self.streams)
    try await live.use {
      #expect(policies() == [SCHED_OTHER])
      try await schedule(live, "fifo")
      #expect(policies() == [raised])
      try await schedule(live, "other")
      #expect(policies() == [SCHED_OTHER])
      try await schedule(live, "{policy: fifo, priority: 3}")
      #expect(policies() == [raised])
      // Relays outlive their daemon, and so does what they run with.
      kill(try live.pid("studio"), SIGKILL)
      #expect(policies() == [raised])
    }
    #expect(policies() == [SCHED_OTHER])
  }
}
