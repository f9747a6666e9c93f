import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import StreamRouter

/// What every store keeps to: the same for files and for etcd.
@Suite(.serialized)
struct DesiredStoreTests {
  enum Kind: String, CaseIterable, CustomTestStringConvertible {
    case file, etcd

    static let usable = allCases.filter { $0 == .file || EtcdCluster.obstacle == nil }
    var testDescription: String { rawValue }
  }

  /// Runs a test with a store, and with what opens another one over the same data, as after a restart.
  private func with(
    _ kind: Kind,
    _ body: @Sendable (any DesiredStore, @Sendable () throws -> any DesiredStore) async throws -> Void
  ) async throws {
    switch kind {
    case .file:
      let folder = FilePath(FileManager.default.temporaryDirectory.path).appending(
        "sr-store-\(UUID().uuidString)")
      defer { try? FileManager.default.removeItem(atPath: folder.string) }
      try await body(try FileStore(folder: folder)) { try FileStore(folder: folder) }
    case .etcd:
      let cluster = try EtcdCluster()
      try await cluster.place().withClient { client in
        try await body(EtcdStore(client, leadership: nil)) { EtcdStore(client, leadership: nil) }
      }
    }
  }

  @Test("a new store has nothing", arguments: Kind.usable)
  func empty(_ kind: Kind) async throws {
    try await with(kind) { store, _ in
      let current = try await store.current()
      #expect(current == 0)
      #expect(try await store.nextNumber() == 1)
      #expect(try await store.deployment() == nil)
      #expect(try await store.revision(1) == nil)
      #expect(try await store.revisions().isEmpty)
    }
  }

  @Test("a deploy is found as it was noted last, and its revision once it is closed", arguments: Kind.usable)
  func deploys(_ kind: Kind) async throws {
    try await with(kind) { store, another in
      var deployment = Deployment.sample(1)
      try await store.open(deployment)
      #expect(try await another().deployment() == deployment)
      #expect(try await another().current() == 0)
      for phase in [Deployment.Phase.committing, .reverting, .unconfirmed] {
        deployment.phase = phase
        try await store.note(deployment)
        #expect(try await another().deployment() == deployment)
      }
      try await store.close(deployment, outcome: .kept)
      let later = try another()
      #expect(try await later.deployment() == nil)
      #expect(try await later.current() == 1)
      #expect(try await later.nextNumber() == 2)
      #expect(try await later.revision(1) == deployment.revision)
      #expect(try await later.revisions() == [Recorded(revision: deployment.revision, outcome: .kept)])
    }
  }

  @Test("one that is refused leaves the former in force, and its number is used up", arguments: Kind.usable)
  func refused(_ kind: Kind) async throws {
    try await with(kind) { store, another in
      try await store.deploy(.sample(1))
      try await store.deploy(.sample(2, former: 1), outcome: .refused)
      try await store.deploy(.sample(3, former: 1), outcome: .unconfirmed)
      #expect(try await another().current() == 1)
      #expect(try await another().nextNumber() == 4)
      let history = try await another().revisions()
      #expect(history.map(\.revision.number) == [3, 2, 1])
      #expect(history.map(\.outcome) == [.unconfirmed, .refused, .kept])
      #expect(history.map(\.revision.yaml) == [3, 2, 1].map { Deployment.sample($0).revision.yaml })
    }
  }

  @Test("everything destroyed is a revision without text", arguments: Kind.usable)
  func destroyed(_ kind: Kind) async throws {
    try await with(kind) { store, another in
      try await store.deploy(.sample(1))
      var nothing = Deployment.sample(2, former: 1)
      nothing.revision.yaml = ""
      try await store.deploy(nothing)
      #expect(try await another().revision(2)?.isEmpty == true)
      #expect(try await another().revision(1)?.isEmpty == false)
    }
  }

  @Test("while one deploy is open no other is, and the refusal says whose it is", arguments: Kind.usable)
  func busy(_ kind: Kind) async throws {
    try await with(kind) { store, another in
      try await store.open(.sample(1))
      let refusal = await #expect(throws: DeployRefusal.self) {
        try await another().open(.sample(1, who: "bob"))
      }
      #expect(refusal?.reason == .busy && refusal?.description.contains("alice deploys revision 1") == true)
      #expect(try await store.deployment()?.revision.who == "alice")
    }
  }

  @Test("a plan that was made before another deploy is refused", arguments: Kind.usable)
  func outrun(_ kind: Kind) async throws {
    try await with(kind) { store, _ in
      try await store.deploy(.sample(1))
      let refusal = await #expect(throws: DeployRefusal.self) { try await store.open(.sample(1, who: "bob")) }
      #expect(refusal?.reason == .busy && refusal?.description.contains("revision 1 was deployed") == true)
      #expect(try await store.revision(1)?.who == "alice")
      #expect(try await store.deployment() == nil)
    }
  }

  @Test("what is not open can neither be noted nor closed", arguments: Kind.usable)
  func superseded(_ kind: Kind) async throws {
    try await with(kind) { store, another in
      let first = Deployment.sample(1)
      try await store.deploy(first)
      let later = try another()
      try await later.open(.sample(2, former: 1))
      for late in [first, .sample(3, former: 1)] {
        await #expect(throws: ControlError.superseded(revision: late.revision.number)) {
          try await later.note(late)
        }
        await #expect(throws: ControlError.superseded(revision: late.revision.number)) {
          try await later.close(late, outcome: .refused)
        }
      }
      #expect(try await later.deployment() == .sample(2, former: 1))
      #expect(try await later.revisions().map(\.outcome) == [.kept])
    }
  }

  @Test("of many that open a deploy at once exactly one does", arguments: Kind.usable)
  func race(_ kind: Kind) async throws {
    try await with(kind) { store, another in
      // Files belong to one controller: there it is one store that is asked at once.
      let other = kind == .file ? store : try another()
      for number in UInt64(1)...10 {
        let former = number - 1
        let winners = await withTaskGroup(of: String?.self) { group in
          for rival in 0..<8 {
            let who = "rival \(rival)"
            group.addTask {
              do {
                try await (rival % 2 == 0 ? store : other).open(.sample(number, former: former, who: who))
                return who
              } catch let refusal as DeployRefusal { return refusal.reason == .busy ? nil : "\(refusal)" } catch
              {
                return "\(error)"
              }
            }
          }
          var winners: [String] = []
          for await winner in group { if let winner { winners.append(winner) } }
          return winners
        }
        let open = try #require(try await store.deployment())
        #expect(winners == [open.revision.who])
        try await store.close(open, outcome: .kept)
      }
      #expect(try await store.current() == 10)
    }
  }

  @Test("the latest hundred are kept, and the one in force however old", arguments: Kind.usable)
  func prunes(_ kind: Kind) async throws {
    try await with(kind) { store, another in
      try await store.deploy(.sample(1))
      try await store.deploy(.sample(2, former: 1))
      for number in UInt64(3)...105 { try await store.deploy(.sample(number, former: 2), outcome: .refused) }
      let numbers = try await another().revisions().map(\.revision.number)
      #expect(numbers == (6...105).reversed() + [2])
      #expect(try await another().revision(2) == Deployment.sample(2, former: 1).revision)
    }
  }
}

extension Deployment {
  /// A deploy of a topology that differs from that of any other number.
  static func sample(_ number: UInt64, former: UInt64 = 0, who: String = "alice") -> Deployment {
    Deployment(
      revision: Revision(
        number: number, timeNs: 1_764_000_000_000_000_000 + number, who: who, file: "three.yaml",
        topology: "three", yaml: DeployOrder.threeNodes + "\n# \(number)\n",
        extensions: ["stamp": "\(number)"],
        changes: 3),
      former: former, phase: .preparing, nodes: ["camera", "edge"], absent: ["studio"], confirmSeconds: 0)
  }
}

extension DesiredStore {
  func deploy(_ deployment: Deployment, outcome: Recorded.Outcome = .kept) async throws {
    try await open(deployment)
    try await close(deployment, outcome: outcome)
  }
}
