import Foundation
import TestSupport
import Testing

@testable import StreamRouter

/// What only etcd has: values that others can damage, members that are lost, restarts of all of them.
@Suite(.serialized, .enabled(if: EtcdCluster.obstacle == nil, "\(EtcdCluster.obstacle ?? "")"))
struct EtcdStoreTests {
  @Test("the largest topology file goes through, however its text would be escaped")
  func largestText() async throws {
    let cluster = try EtcdCluster()
    try await cluster.place().withClient { client in
      let store = EtcdStore(client, leadership: nil)
      var deployment = Deployment.sample(1)
      deployment.revision.yaml = String(repeating: "\"\n\\\t", count: (1 << 20) / 4)
      try await store.open(deployment)
      deployment.phase = .committing
      try await store.note(deployment)
      #expect(try await store.deployment() == deployment)
      try await store.close(deployment, outcome: .kept)
      #expect(try await store.revision(1)?.yaml == deployment.revision.yaml)
    }
  }

  @Test("a damaged value is an error that names its key")
  func damaged() async throws {
    let cluster = try EtcdCluster()
    let prefix = "/streamrouter/v1/test/"
    try await cluster.place().withClient { client in
      let store = EtcdStore(client, leadership: nil)
      try await store.deploy(.sample(1))
      try await store.open(.sample(2, former: 1))
    }
    func damage(
      _ key: String, _ value: String, _ ask: @Sendable (EtcdStore) async throws -> Void
    ) async throws {
      try await cluster.place().withClient { client in
        let former = try #require(try await client.range(prefix + key).kvs.first).value
        try await client.put(prefix + key, Data(value.utf8))
        let error = await #expect(throws: ControlError.self) {
          try await ask(EtcdStore(client, leadership: nil))
        }
        #expect(error?.description.contains(prefix + key + " ") == true, "\(String(describing: error))")
        try await client.put(prefix + key, former)
      }
    }
    try await damage("current", "seven") { _ = try await $0.current() }
    try await damage("latest", "-1") { _ = try await $0.nextNumber() }
    try await damage("deployment", "{}") { _ = try await $0.deployment() }
    try await damage("deployment", "{\"body\":") { try await $0.note(.sample(2, former: 1)) }
    try await damage("revisions/1", "[]") { _ = try await $0.revision(1) }
    try await damage("revisions/1", "") { _ = try await $0.revisions() }
    let text = try await cluster.control("get", "--prefix", "--keys-only", prefix + "topologies/")
      .split(separator: "\n").map { String($0.dropFirst(prefix.count)) }
    #expect(text.count == 2)
    for key in text {
      try await damage(key, "another text") { _ = try await ($0.revisions(), $0.deployment()) }
    }
  }

  @Test("two installations in one etcd do not see each other")
  func installations() async throws {
    let cluster = try EtcdCluster()
    try await cluster.place("a").withClient { client in
      try await EtcdStore(client, leadership: nil).deploy(.sample(1))
    }
    try await cluster.place("b").withClient { client in
      let history = try await EtcdStore(client, leadership: nil).revisions()
      #expect(history.isEmpty)
    }
  }

  @Test("without etcd the error says so, and names its members", .timeLimit(.minutes(1)))
  func unreachable() async throws {
    let cluster = try EtcdCluster()
    cluster.lose(0)
    try await cluster.place().withClient { client in
      let error = await #expect(throws: ControlError.self) {
        _ = try await EtcdStore(client, leadership: nil).current()
      }
      guard case .storeUnreachable(let members, _) = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      #expect(members == client.place.text)
    }
  }

  @Test(
    "three members: one is lost, then the leader, while deploys go on; nothing is lost, doubled or half-applied",
    .timeLimit(.minutes(2)))
  func membersLost() async throws {
    let cluster = try EtcdCluster(members: 3)
    let place = try cluster.place()
    let first = try await cluster.leader()
    try await place.withClient { client in
      let store = EtcdStore(client, leadership: nil)
      let deploys = Task {
        var number: UInt64 = 0
        var slowest = Duration.zero
        while !Task.isCancelled {
          number += 1
          var deployment = Deployment.sample(number, former: number - 1)
          let begun = ContinuousClock.now
          // Not cancelled in the middle: what began is to end.
          try await Task {
            try await store.open(deployment)
            deployment.phase = .committing
            try await store.note(deployment)
            try await store.close(deployment, outcome: .kept)
          }.value
          slowest = max(slowest, begun.duration(to: .now))
        }
        return Progress(number: number, slowest: slowest)
      }
      try await Task.sleep(for: .milliseconds(500))
      cluster.lose(first)
      let second = try await cluster.leader()
      try await Task.sleep(for: .seconds(1))
      try cluster.start(first)
      #expect(second != first)
      // It has to be back before the next is lost: two of three decide.
      try await Self.until { try await cluster.isHealthy() }
      cluster.lose((0..<3).first { $0 != first && $0 != second } ?? 0)
      try await Task.sleep(for: .seconds(1))
      deploys.cancel()
      let progress = try await deploys.value
      #expect(progress.slowest < .seconds(5), "\(progress)")
      #expect(progress.number > 20, "\(progress)")
      #expect(try await store.current() == progress.number)
      #expect(try await store.deployment() == nil)
      let history = try await store.revisions()
      #expect(
        history.allSatisfy {
          $0.outcome == .kept && $0.revision.yaml == Deployment.sample($0.revision.number).revision.yaml
        })
      #expect(history.map(\.revision.number) == (1...progress.number).reversed().prefix(FileStore.kept) + [])
      // A deploy under way outlives all members.
      try await store.open(.sample(progress.number + 1, former: progress.number))
      for member in 0..<3 { cluster.lose(member) }
      for member in 0..<3 { try cluster.start(member) }
      _ = try await cluster.leader()
      #expect(try await store.current() == progress.number)
      #expect(try await store.deployment() == .sample(progress.number + 1, former: progress.number))
      #expect(try await store.revisions() == history)
    }
  }

  private struct Progress: Sendable {
    var number: UInt64
    var slowest: Duration
  }

  static func until(
    atMost patience: Duration = .seconds(10), _ condition: () async throws -> Bool
  ) async throws {
    let limit = ContinuousClock.now + patience
    while ContinuousClock.now < limit {
      if (try? await condition()) == true { return }
      try await Task.sleep(for: .milliseconds(100))
    }
    throw EtcdCluster.Failure(description: "it did not come to that within \(patience)")
  }

  @Test(
    "a deploy's transactions are carried out once where the answer is lost",
    arguments: 1...6 as ClosedRange<UInt64>)
  func answerLost(_ seed: UInt64) async throws {
    let cluster = try EtcdCluster()
    try await EtcdStoreTests.until { try await cluster.isHealthy() }
    // Closes a connection before the answer to every few requests goes back.
    let proxy = try LossyProxy(to: cluster.members[0].client, losing: 8, seed: seed)
    defer { proxy.stop() }
    try await #require(EtcdPlace("etcd://127.0.0.1:\(proxy.port)", installation: "test")).withClient { client in
      let store = EtcdStore(client, leadership: nil)
      for number in UInt64(1)...5 { try await store.deploy(.sample(number, former: number - 1)) }
    }
    #expect(proxy.lost > 0, "no answer was lost")
    try await cluster.place().withClient { client in
      let store = EtcdStore(client, leadership: nil)
      #expect(try await store.current() == 5)
      let history = try await store.revisions()
      #expect(history.map(\.revision.number) == [5, 4, 3, 2, 1])
      #expect(history.allSatisfy { $0.outcome == .kept })
    }
  }
}
