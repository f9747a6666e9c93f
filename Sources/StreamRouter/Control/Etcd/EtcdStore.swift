import Crypto
import EtcdAPI
import Foundation

/// The wanted topology in etcd: each call is one transaction, which is carried out only where nothing that it was made
/// from has changed, and where this controller is the one at work.
struct EtcdStore: DesiredStore {
  /// How often a transaction is made anew where somebody was quicker.
  private static let attempts = 10

  private let client: EtcdClient
  private let keys: EtcdKeys
  private let leadership: Leadership?

  /// - Parameter leadership: nil: whoever comes may deploy, as long as no other deploy is under way.
  init(_ client: EtcdClient, leadership: Leadership?) {
    self.client = client
    keys = EtcdKeys(installation: client.place.installation)
    self.leadership = leadership
  }

  // MARK: Reading

  func current() async throws -> UInt64 { try await state().current }
  func nextNumber() async throws -> UInt64 { try await state().latest + 1 }

  func deployment() async throws -> Deployment? {
    let state = try await state()
    guard let written = state.deployment else { return nil }
    return try await whole(written, at: state.revision)
  }

  func revision(_ number: UInt64) async throws -> Revision? {
    let answer = try await client.range(keys.revision(number))
    guard let value = answer.kvs.first else { return nil }
    return try await whole(Self.recorded(value), at: answer.header.revision).revision
  }

  func revisions() async throws -> [Recorded] {
    let answer = try await client.range(keys.revisions, end: EtcdKeys.end(of: keys.revisions))
    var found: [Recorded] = []
    var texts: [String: String] = [:]
    for value in answer.kvs {
      var written = try Self.recorded(value)
      if let content = written.topology {
        if texts[content] == nil { texts[content] = try await text(content, at: answer.header.revision) }
        written.body.revision.yaml = texts[content] ?? ""
      }
      found.append(written.body)
    }
    return found.sorted { $0.revision.number > $1.revision.number }
  }

  /// What transactions are made from, all of one moment.
  private struct State {
    var current: UInt64 = 0
    var latest: UInt64 = 0
    var deployment: Written<Deployment>?
    /// The store's revision of that moment.
    var revision: Int64
    var unchanged: [EtcdCompare] = []
  }

  private func state() async throws -> State {
    let names = [keys.current, keys.latest, keys.deployment]
    let answer = try await client.transact([], names.map { .get($0) })
    var state = State(revision: answer.header.revision)
    for (name, response) in zip(names, answer.responses) {
      let value = response.responseRange.kvs.first
      state.unchanged.append(.unchanged(name, since: value?.modRevision ?? 0))
      guard let value else { continue }
      switch name {
      case keys.current: state.current = try Self.number(value)
      case keys.latest: state.latest = try Self.number(value)
      default: state.deployment = try Self.decode(value)
      }
    }
    return state
  }

  // MARK: Deploying

  func claim() async throws {
    guard let leadership, !leadership.isHeld else { return }
    throw DeployRefusal(.busy, "\(leadership.refusal)")
  }

  func open(_ deployment: Deployment) async throws {
    try await claim()
    let content = try await putText(of: deployment.revision)
    try await transact { state, write in
      if let other = state.deployment {
        if other.write == write { return nil }
        throw DeployRefusal.busy(with: other.body)
      }
      guard deployment.revision.number == state.latest + 1, deployment.former == state.current else {
        throw DeployRefusal.outrun(by: state.latest)
      }
      return [
        .put(keys.deployment, try Self.encode(Written(deployment, content, write))),
        .put(keys.latest, Self.encode(deployment.revision.number)),
      ]
    } needing: {
      content.map { [.exists(keys.topology($0))] } ?? []
    }
  }

  func note(_ deployment: Deployment) async throws {
    try await transact { state, write in
      guard let open = state.deployment, open.body.revision.number == deployment.revision.number else {
        throw ControlError.superseded(revision: deployment.revision.number)
      }
      if open.write == write { return nil }
      return [.put(keys.deployment, try Self.encode(Written(deployment, open.topology, write)))]
    }
  }

  func close(_ deployment: Deployment, outcome: Recorded.Outcome) async throws {
    let number = deployment.revision.number
    // One identity for all attempts: a close whose answer was lost is known by it.
    let write = UUID().uuidString
    try await transact(as: write) { state, write in
      guard let open = state.deployment, open.body.revision.number == number else {
        throw ControlError.superseded(revision: number)
      }
      let recorded = Recorded(revision: deployment.revision, outcome: outcome)
      var operations: [EtcdRequestOp] = [
        .put(keys.revision(number), try Self.encode(Written(recorded, open.topology, write))),
        .delete(keys.deployment),
      ]
      if outcome == .kept { operations.append(.put(keys.current, Self.encode(number))) }
      return operations
    } unless: {
      guard let value = try await client.range(keys.revision(number)).kvs.first else { return false }
      return try Self.recorded(value).write == write
    }
    // What is left too long costs room and nothing else: the next close removes it.
    try? await prune()
  }

  /// - Parameters:
  ///   - body: What to do by what there is; nil where this very transaction was carried out before.
  ///   - needing: What must hold besides.
  ///   - done: Whether it was carried out before, where the body cannot tell.
  private func transact(
    as write: String = UUID().uuidString,
    _ body: (State, String) throws -> [EtcdRequestOp]?, needing: () -> [EtcdCompare] = { [] },
    unless done: () async throws -> Bool = { false }
  ) async throws {
    for attempt in 0..<Self.attempts {
      var fence: [EtcdCompare] = []
      let lease = leadership?.lease
      if let leadership {
        guard let lease else { throw leadership.refusal }
        fence = [.held(keys.leader, by: lease)]
      }
      if attempt > 0, try await done() { return }
      let state = try await state()
      guard let operations = try body(state, write) else { return }
      let answer = try await client.transact(
        state.unchanged + needing() + fence, operations, otherwise: [.get(keys.leader)])
      if answer.succeeded { return }
      // The store may know of the end of a term before this controller does.
      let leader = answer.responses.first?.responseRange.kvs.first
      if let lease, leader?.lease != lease {
        throw ControlError.notAtWork(other: leader.flatMap { Leadership.Leader($0) })
      }
    }
    throw ControlError.storeRefused(reason: "others change the same keys all the time, or took them away")
  }

  // MARK: Texts

  /// - Returns: The text's key, nil for none.
  private func putText(of revision: Revision) async throws -> String? {
    guard !revision.isEmpty else { return nil }
    let content = Self.content(revision.yaml)
    try await client.put(keys.topology(content), Data(revision.yaml.utf8))
    return content
  }

  private static func content(_ text: String) -> String { SHA256.hash(data: Data(text.utf8)).hex() }

  private func text(_ content: String, at revision: Int64) async throws -> String {
    let key = keys.topology(content)
    guard let value = try await client.range(key, at: revision).kvs.first else {
      throw ControlError.damaged(key: key, reason: "it is not there")
    }
    let text = String(decoding: value.value, as: UTF8.self)
    guard Self.content(text) == content else {
      throw ControlError.damaged(key: key, reason: "its content is another than its name says")
    }
    return text
  }

  private func whole(_ written: Written<Deployment>, at revision: Int64) async throws -> Deployment {
    var deployment = written.body
    if let content = written.topology {
      deployment.revision.yaml = try await text(content, at: revision)
    }
    return deployment
  }

  private func whole(_ written: Written<Recorded>, at revision: Int64) async throws -> Recorded {
    var recorded = written.body
    if let content = written.topology { recorded.revision.yaml = try await text(content, at: revision) }
    return recorded
  }

  /// Removes revisions beyond those that are kept, and texts that none names. The revision in force stays, however old.
  private func prune() async throws {
    let state = try await state()
    guard state.deployment == nil else { return }
    let values = try await client.range(keys.revisions, end: EtcdKeys.end(of: keys.revisions)).kvs
    let kept = try values.map { try Self.recorded($0) }
      .sorted { $0.body.revision.number > $1.body.revision.number }
    let old = kept.dropFirst(FileStore.kept).filter { $0.body.revision.number != state.current }
    guard !old.isEmpty else { return }
    let oldNumbers = Set(old.map(\.body.revision.number))
    let used = Set(kept.filter { !oldNumbers.contains($0.body.revision.number) }.compactMap(\.topology))
    let unused = Set(old.compactMap(\.topology)).subtracting(used)
    let operations =
      oldNumbers.map { EtcdRequestOp.delete(keys.revision($0)) }
      + unused.map { EtcdRequestOp.delete(keys.topology($0)) }
    // etcd takes 128 in one transaction.
    _ = try await client.transact(state.unchanged, Array(operations.prefix(120)))
  }
}
