import Foundation
import Logging
import SystemPackage
import TestSupport
import Testing
import Topology

@testable import StreamRouter

/// Several controllers over one etcd: one is at work, the others wait, and whoever ceases to be does nothing more.
@Suite(.serialized, .enabled(if: EtcdCluster.obstacle == nil, "\(EtcdCluster.obstacle ?? "")"))
struct LeadershipTests {
  private static let leader = "/streamrouter/v1/test/leader"

  @Test("of three controllers one is at work, and the next one when it ends", .timeLimit(.minutes(1)))
  func oneAtWork() async throws {
    let cluster = try EtcdCluster()
    let place = try cluster.place()
    let controllers = try ["a", "b", "c"].map { try Controller($0, place) }
    defer { for controller in controllers { controller.remove() } }
    for controller in controllers { controller.start() }
    var ended: Set<String> = []
    for _ in controllers {
      try await EtcdStoreTests.until { controllers.contains { $0.side.leadership.isHeld } }
      try await Task.sleep(for: .milliseconds(700))
      let atWork = controllers.filter { $0.side.leadership.isHeld }
      #expect(atWork.count == 1)
      let name = try #require(atWork.first).name
      #expect(!ended.contains(name))
      #expect(
        try await cluster.control("get", "--print-value-only", Self.leader).contains(
          "\"controller\":\"\(name)\""))
      for other in controllers where other.name != name && !ended.contains(other.name) {
        await #expect(throws: DeployRefusal.self) { try await other.side.store.open(.sample(1)) }
      }
      ended.insert(name)
      await atWork[0].end()
      #expect(!atWork[0].side.leadership.isHeld)
    }
    #expect(try await cluster.control("get", Self.leader).isEmpty)
  }

  @Test("who waits lets no deploy begin, and says who is at work", .timeLimit(.minutes(1)))
  func refusesWhileWaiting() async throws {
    let cluster = try EtcdCluster()
    let (first, second) = try await pair(cluster)
    defer { for controller in [first, second] { controller.remove() } }
    let refusal = await #expect(throws: DeployRefusal.self) {
      try await second.deployer.deploy(.sample()) { _ in }
    }
    #expect(
      refusal?.reason == .busy && refusal?.description.contains("a at 127.0.0.1:1") == true,
      "\(String(describing: refusal))")
    await #expect(throws: ControlError.notAtWork(other: .init(controller: "a", address: "127.0.0.1:1"))) {
      _ = try await second.registry.open(.init(node: "n", version: "1", revision: 0, prepared: 0)) { _, _ in }
    }
    await first.end()
    await second.end()
  }

  @Test(
    "cut off in mid-deploy: it ceases before another begins, and then asks and writes nothing more",
    .timeLimit(.minutes(1)))
  func fenced() async throws {
    let cluster = try EtcdCluster()
    try await EtcdStoreTests.until { try await cluster.isHealthy() }
    let proxy = try LossyProxy(to: cluster.members[0].client, losing: 0)
    defer { proxy.stop() }
    let place = try #require(EtcdPlace("etcd://127.0.0.1:\(proxy.port)", installation: "test"))
    let (first, second) = try await pair(cluster, first: place)
    defer { for controller in [first, second] { controller.remove() } }
    var deployment = Deployment.sample(1)
    try await first.side.store.open(deployment)
    let node = FakeNode("camera")
    try await node.connect(first)
    _ = try await first.registry.ask("camera", .settle(revision: 1))
    proxy.cut()
    let limit = ContinuousClock.now + .seconds(15)
    while !second.side.leadership.isHeld, ContinuousClock.now < limit {
      try await Task.sleep(for: .milliseconds(5))
    }
    // The order counts: the first is asked after the second was seen at work.
    #expect(second.side.leadership.isHeld && !first.side.leadership.isHeld)
    await #expect(throws: ControlError.self) {
      _ = try await first.registry.ask("camera", .settle(revision: 2))
    }
    deployment.phase = .committing
    await #expect(throws: ControlError.notAtWork(other: nil)) { try await first.side.store.note(deployment) }
    await #expect(throws: ControlError.self) { try await first.side.store.close(deployment, outcome: .kept) }
    #expect(node.asked == [.settle(revision: 1)])
    try await EtcdStoreTests.until { node.wasEnded }
    // The next one has given up what only prepared.
    try await EtcdStoreTests.until { try await second.side.store.deployment() == nil }
    #expect(try await second.side.store.revisions().map(\.outcome) == [.refused])
    await first.end()
    await second.end()
  }

  @Test("etcd itself refuses who lost the lease and has not noticed", .timeLimit(.minutes(1)))
  func refusedByStore() async throws {
    let cluster = try EtcdCluster()
    let (first, second) = try await pair(cluster)
    defer { for controller in [first, second] { controller.remove() } }
    let term = try #require(first.side.leadership.term)
    var deployment = Deployment.sample(1)
    try await first.side.store.open(deployment)
    try await cluster.control("lease", "revoke", String(term, radix: 16))
    deployment.phase = .committing
    await #expect(throws: ControlError.self) { try await first.side.store.note(deployment) }
    await #expect(throws: ControlError.self) { try await first.side.store.close(deployment, outcome: .kept) }
    try await EtcdStoreTests.until { second.side.leadership.isHeld && !first.side.leadership.isHeld }
    try await EtcdStoreTests.until { try await second.side.store.deployment() == nil }
    #expect(try await second.side.store.revisions().map(\.outcome) == [.refused])
    await first.end()
    await second.end()
  }

  @Test(
    "cut off from etcd, a controller ceases by its own clock before another may begin", .timeLimit(.minutes(1)))
  func ceasesByItself() async throws {
    let cluster = try EtcdCluster()
    let controller = try Controller("a", cluster.place())
    defer { controller.remove() }
    controller.start()
    try await EtcdStoreTests.until { controller.side.leadership.isHeld }
    cluster.lose(0)
    let begun = ContinuousClock.now
    try await EtcdStoreTests.until { !controller.side.leadership.isHeld }
    #expect(begun.duration(to: .now) < .seconds(Leadership.leaseSeconds))
    await #expect(throws: (any Error).self) { try await controller.side.store.claim() }
    // It is at work again when etcd is.
    try cluster.start(0)
    try await EtcdStoreTests.until(atMost: .seconds(20)) { controller.side.leadership.isHeld }
    await controller.end()
  }

  @Test("leader and lease outlive the loss of a member and of the members' leader", .timeLimit(.minutes(1)))
  func survivesMembers() async throws {
    let cluster = try EtcdCluster(members: 3)
    let controller = try Controller("a", cluster.place())
    defer { controller.remove() }
    let leader = try await cluster.leader()
    controller.start()
    try await EtcdStoreTests.until { controller.side.leadership.isHeld }
    let lease = controller.side.leadership.term
    cluster.lose(leader)
    let watched = ContinuousClock.now + .seconds(8)
    while ContinuousClock.now < watched {
      #expect(controller.side.leadership.lease == lease)
      try await Task.sleep(for: .milliseconds(100))
    }
    await controller.end()
  }

  @Test(
    "a controller that dies between two steps: the next one carries the deploy through", .timeLimit(.minutes(1))
  )
  func takesOver() async throws {
    let cluster = try EtcdCluster()
    let (first, second) = try await pair(cluster)
    defer { for controller in [first, second] { controller.remove() } }
    let nodes = ["camera", "edge", "studio"].map { FakeNode($0) }
    for node in nodes { try await node.connect(first) }
    // Dies when the second of three nodes is asked to change.
    nodes[1].silent = true
    let deploy = Task { try await first.deployer.deploy(.sample()) { _ in } }
    try await EtcdStoreTests.until { nodes[1].asked.contains { if case .advance = $0 { true } else { false } } }
    #expect(try await second.side.store.deployment()?.phase == .committing)
    let asked = nodes.map(\.asked.count)
    await first.die()
    try await EtcdStoreTests.until(atMost: .seconds(20)) { second.side.leadership.isHeld }
    for node in nodes { try await node.connect(second) }
    nodes[1].silent = false
    try await EtcdStoreTests.until(atMost: .seconds(30)) { try await second.side.store.current() == 1 }
    #expect(try await second.side.store.deployment() == nil)
    for node in nodes {
      try await EtcdStoreTests.until { if case .settle(revision: 1) = node.asked.last { true } else { false } }
    }
    #expect(zip(nodes, asked).allSatisfy { $0.asked.count > $1 })
    await #expect(throws: DeployRefusal.self) { _ = try await deploy.value }
    #expect(try await second.side.store.revisions().map(\.outcome) == [.kept])
    await second.end()
  }

  @Test("who looks into etcd sees the nodes that are connected", .timeLimit(.minutes(1)))
  func presence() async throws {
    let cluster = try EtcdCluster()
    let controller = try Controller("a", cluster.place())
    defer { controller.remove() }
    controller.start()
    try await EtcdStoreTests.until { controller.side.leadership.isHeld }
    let nodes = (0..<130).map { FakeNode("node\($0)") }
    for node in nodes { try await node.connect(controller) }
    func present() async throws -> Int {
      try await cluster.control("get", "--prefix", "--keys-only", "/streamrouter/v1/test/nodes/").split(
        separator: "\n"
      ).count
    }
    try await EtcdStoreTests.until { try await present() == 130 }
    await nodes[7].disconnect(controller)
    try await EtcdStoreTests.until { try await present() == 129 }
    await controller.end()
    #expect(try await present() == 0)
  }

  /// Why nothing can be compiled here; nil where it can.
  private static let obstacle =
    (try? ExtensionToolchain.find()) == nil ? "needs swiftc, clang and llvm-objcopy of one toolchain" : nil

  @Test(
    "an extension that one controller was sent is found by another",
    .enabled(if: obstacle == nil, "\(obstacle ?? "")"))
  func extensions() async throws {
    let cluster = try EtcdCluster()
    let folder = FileManager.default.temporaryDirectory.appending(path: "sr-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let source = folder.appending(path: "Passing.swift")
    try """
    import RelayExtension
    @main struct Passing: RelayExtension {
      func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict { .forward }
    }
    """.write(to: source, atomically: true, encoding: .utf8)
    let object = try await ExtensionBuilder().build(source: FilePath(source.path), into: FilePath(folder.path))
      .object
    let (first, second) = try await pair(cluster)
    defer { for controller in [first, second] { controller.remove() } }
    #expect(try await second.extensions.object(object.content) == nil)
    _ = try await first.extensions.put(object.image)
    #expect(try await second.extensions.bytes(object.content) == object.image)
    let key = "/streamrouter/v1/test/extensions/\(object.content)"
    await second.extensions.keepOnly([object.content])
    #expect(try await cluster.control("get", "--keys-only", key).contains(key))
    await second.extensions.keepOnly([])
    #expect(try await cluster.control("get", "--keys-only", key).isEmpty)
    await first.end()
    await second.end()
  }

  /// Two controllers, the first of which is at work.
  private func pair(
    _ cluster: EtcdCluster, first place: EtcdPlace? = nil
  ) async throws -> (Controller, Controller) {
    let first = try Controller("a", place ?? cluster.place())
    let second = try Controller("b", cluster.place())
    first.start()
    try await EtcdStoreTests.until { first.side.leadership.isHeld }
    second.start()
    try await EtcdStoreTests.until { "\(second.side.leadership.refusal)".contains("a at") }
    return (first, second)
  }
}
