import Foundation
import Logging
import Synchronization
import SystemPackage
import Testing

@testable import StreamRouter

/// A node that cannot take on what is in force is asked again.
@Suite struct FollowTests {
  /// A controller that has one revision in force, and a node that refuses to prepare until it is told not to.
  private final class Reluctant: Sendable {
    let folder = FilePath(FileManager.default.temporaryDirectory.path).appending(
      "sr-follow-\(UUID().uuidString)")
    let registry: NodeRegistry
    let deployer: Deployer
    private let state = Mutex(State())

    private struct State {
      var refuses = true
      var prepares = 0
      var session: UInt64 = 0
    }

    var prepares: Int { state.withLock { $0.prepares } }
    func yield() { state.withLock { $0.refuses = false } }

    init(again: ClosedRange<Duration>) async throws {
      let events = EventLog()
      let store = try FileStore(folder: folder)
      registry = NodeRegistry(events: events)
      deployer = Deployer(
        store: store, registry: registry,
        extensions: ControllerExtensions(try ExtensionStore(folder.appending("extensions")), copies: nil),
        events: events, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, times: .init(again: again)
      )
      let revision = Revision(
        number: 1, timeNs: realtimeNs(), who: "test", file: "t.yaml", topology: "t", yaml: Self.yaml(5004),
        extensions: [:], changes: 2)
      let deployment = Deployment(
        revision: revision, former: 0, phase: .committing, nodes: [], absent: ["a", "b"], confirmSeconds: 0)
      try await store.open(deployment)
      try await store.close(deployment, outcome: .kept)
    }

    static func yaml(_ port: Int) -> String {
      """
      version: 1
      name: t
      nodes: {a: {addresses: [127.0.0.1]}, b: {addresses: [127.0.0.2]}}
      links: [a -- b]
      streams: {video: {protocol: rtp, from: "a:5004", to: "b:\(port)"}}

      """
    }

    /// Opens the session of node b, and brings it to what is in force beside the test.
    func connect() async throws -> Task<Void, Never> {
      let hello = Hello(node: "b", version: "1", revision: 0, prepared: 0)
      let number = try await registry.open(hello, send: { id, question in self.answer(id, question) })
      state.withLock { $0.session = number }
      return Task { await self.deployer.converge(hello) }
    }

    private func answer(_ id: UInt64, _ question: Question) {
      let (session, refuses) = state.withLock { state in
        if case .prepare = question { state.prepares += 1 }
        return (state.session, state.refuses)
      }
      let result: Result<Answer, any Error> =
        refuses ? .failure(ControlError.refused(node: "b", reason: "not yet")) : .success(Answer())
      Task { await self.registry.heard("b", session: session, question: id, result) }
    }

    func entry() async throws -> NodeRegistry.Entry { try #require(await registry.all()["b"]) }
    func remove() { try? FileManager.default.removeItem(atPath: folder.string) }
  }

  @Test("again and again, in pauses that grow, with the trouble in its status until it follows")
  func again() async throws {
    let here = try await Reluctant(again: .milliseconds(50)...(.milliseconds(200)))
    defer { here.remove() }
    let following = try await here.connect()
    try await eventually("it was asked four times") { here.prepares >= 4 }
    #expect(
      try await here.entry().problem
        == "does not follow, and is asked again until it does: node b refuses: not yet")
    here.yield()
    await following.value
    let entry = try await here.entry()
    #expect(entry.revision == 1 && entry.problem == nil)
  }

  @Test("at once after an operator deploys, though the deploy itself was refused")
  func atOnce() async throws {
    let here = try await Reluctant(again: .seconds(60)...(.seconds(60)))
    defer { here.remove() }
    let following = try await here.connect()
    try await eventually("it refused") { try await here.entry().problem != nil }
    here.yield()
    try await Task.sleep(for: .milliseconds(300))
    #expect(here.prepares == 1)
    let order = DeployOrder(
      wanted: .topology(yaml: Reluctant.yaml(6004), extensions: [:]), file: "t.yaml", who: "test")
    let refused = await #expect(throws: DeployRefusal.self) { try await here.deployer.deploy(order) { _ in } }
    #expect(refused?.description.contains("node a is not connected") == true)
    try await eventually("it follows", within: .seconds(5)) { try await here.entry().revision == 1 }
    await following.value
    #expect(here.prepares == 2)
  }

  @Test("who looks after it ends with its session")
  func gone() async throws {
    let here = try await Reluctant(again: .milliseconds(50)...(.milliseconds(50)))
    defer { here.remove() }
    let following = try await here.connect()
    try await eventually("it refused") { here.prepares > 0 }
    await here.registry.close("b", session: 1, reason: "test")
    await following.value
  }
}
