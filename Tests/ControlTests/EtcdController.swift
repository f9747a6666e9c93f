import Foundation
import Logging
import ServiceLifecycle
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import StreamRouter

/// A controller without its listeners: what it has of etcd, its registry, its deployer.
final class Controller: Sendable {
  let name: String
  let side: EtcdSide
  let registry: NodeRegistry
  let deployer: Deployer
  let extensions: ControllerExtensions
  private let folder: FilePath
  private let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
  private let running = Mutex<(group: ServiceGroup, task: Task<Void, any Error>)?>(nil)

  init(_ name: String, _ place: EtcdPlace) throws {
    self.name = name
    folder = FilePath(FileManager.default.temporaryDirectory.path).appending(
      "sr-controller-\(UUID().uuidString)")
    side = try EtcdSide(place, own: .init(controller: name, address: "127.0.0.1:1"), log: log)
    let events = EventLog()
    registry = NodeRegistry(events: events, leadership: side.leadership)
    extensions = ControllerExtensions(try ExtensionStore(folder), copies: side.extensions)
    deployer = Deployer(
      store: side.store, registry: registry, extensions: extensions, events: events, log: log,
      times: .init(
        prepare: .seconds(3), step: .seconds(3), verification: .milliseconds(300), drain: .milliseconds(10),
        gathering: .seconds(8)))
  }

  func start() {
    let group = ServiceGroup(
      configuration: .init(
        services: [
          .init(service: side.client),
          .init(service: TermService(etcd: side, deployer: deployer, registry: registry, log: log)),
        ], logger: log))
    running.withLock { $0 = (group, Task { try await group.run() }) }
  }

  /// As by SIGTERM.
  func end() async {
    guard let (group, task) = running.withLock({ $0 }) else { return }
    await group.triggerGracefulShutdown()
    try? await task.value
  }

  /// As by SIGKILL: its connections to etcd end, so that it can neither renew its lease nor give it back.
  func die() async {
    side.client.shutDown()
    let limit = ContinuousClock.now + .seconds(10)
    while side.leadership.isHeld, ContinuousClock.now < limit { try? await Task.sleep(for: .milliseconds(50)) }
    running.withLock { $0?.task.cancel() }
  }

  func remove() { try? FileManager.default.removeItem(atPath: folder.string) }
}

/// A node that does at once whatever it is asked, and remembers it.
final class FakeNode: Sendable {
  let name: String
  private let state = Mutex(State())

  private struct State {
    var asked: [Question] = []
    var silent = false
    var wasEnded = false
    var session: UInt64 = 0
    var settled: UInt64 = 0
    var prepared: UInt64 = 0
  }

  init(_ name: String) { self.name = name }

  var asked: [Question] { state.withLock { $0.asked } }
  var wasEnded: Bool { state.withLock { $0.wasEnded } }
  /// Does what it is asked, and does not answer.
  var silent: Bool {
    get { state.withLock { $0.silent } }
    set { state.withLock { $0.silent = newValue } }
  }

  func connect(_ controller: Controller) async throws {
    let hello = state.withLock { Hello(node: name, version: "1", revision: $0.settled, prepared: $0.prepared) }
    let registry = controller.registry
    let (questions, queue) = AsyncStream.makeStream(of: Asked.self)
    let number = try await registry.open(
      hello, send: { id, question in queue.yield(Asked(id: id, question: question)) },
      end: {
        self.state.withLock { $0.wasEnded = true }
        queue.finish()
      })
    state.withLock { $0.session = number }
    Task {
      for await asked in questions {
        guard let answer = self.take(asked.question) else { continue }
        await registry.heard(name, session: number, question: asked.id, answer)
      }
      await registry.close(name, session: number, reason: "the controller ended it")
    }
  }

  func disconnect(_ controller: Controller) async {
    await controller.registry.close(name, session: state.withLock { $0.session }, reason: "test")
  }

  private struct Asked: Sendable {
    var id: UInt64
    var question: Question
  }

  /// - Returns: nil: it does not answer.
  private func take(_ question: Question) -> Result<Answer, any Error>? {
    state.withLock { state in
      state.asked.append(question)
      switch question {
      case .prepare(let part, _): state.prepared = part.revision
      case .settle(let revision): (state.settled, state.prepared) = (revision, 0)
      case .abandon: state.prepared = 0
      case .advance: if state.silent { return nil }
      case .snapshot, .clock, .renew: return .failure(ControlError.unknownQuestion)
      }
      return .success(Answer())
    }
  }
}

extension DeployOrder {
  /// Three nodes, one stream.
  static let threeNodes = """
    version: 1
    name: three
    nodes:
      camera: {addresses: [10.77.0.1]}
      edge: {addresses: [10.77.0.2]}
      studio: {addresses: [10.77.0.3]}
    links: [camera -- edge, edge -- studio]
    streams:
      video: {protocol: rtp, from: "camera:5004", to: "studio:5004"}
    """

  static func sample() -> DeployOrder {
    DeployOrder(wanted: .topology(yaml: threeNodes, extensions: [:]), file: "three.yaml", who: "alice")
  }
}

extension EtcdCluster {
  func place(_ installation: String = "test") throws -> EtcdPlace {
    try #require(EtcdPlace(store, installation: installation))
  }
}
