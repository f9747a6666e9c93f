import Foundation
import Identity
import Logging
import SystemPackage
import Testing
import Topology

@testable import StreamRouter

/// A lab whose nodes reach their controller by TCP, as machines do, over a network of its own, each node by a link that
/// can be cut. Streams take the links of the topology.
///
///     send --> camera 10.78.0.1 ---- edge 10.78.0.2 ---- studio 10.78.0.3 --> receive
///                | 10.79.0.1           | 10.79.1.1         | 10.79.2.1
///                '--- 10.79.0.2 --- 10.79.1.2 --- 10.79.2.2 ---'
///                              control, port 7117
struct RemoteLab: Sendable {
  let live: LiveLab
  /// What stands before a daemon's command line, by node; the controller's by ``control``.
  var before: @Sendable (String) -> [String] = { _ in [] }

  static let control = "control"

  private var name: String { live.topology.name }
  private var nodes: [String] { live.topology.nodes.map(\.name) }
  private var space: String { LabNames.namespace(topology: name, node: Self.control) }

  /// Runs a test's body while the lab is up, and takes it down whatever comes of it.
  func use(_ body: () async throws -> Void) async throws {
    do {
      try await up()
      try await body()
    } catch {
      await down()
      throw error
    }
    await down()
    #expect(!LabFiles.exists(NodePaths.pinDirectory(topology: name)), "lab down leaves no pins")
  }

  private func down() async {
    do { _ = try await live.lab.downAnyway(live.topology) } catch { Issue.record("lab down: \(error)") }
    try? FileManager.default.removeItem(at: live.folder)
  }

  private func up() async throws {
    let network = try LabNetwork(live.topology)
    var state = LabState(
      topology: name, file: live.file.path, fileHash: "", networkFingerprint: network.fingerprint,
      mode: .namespaces, nodes: nodes, links: live.topology.links.map { LabLink(a: $0.a, b: $0.b) },
      namespaces: Dictionary(uniqueKeysWithValues: network.namespaces.map { ($0.node, $0.name) }))
    state.namespaces[Self.control] = space
    state.complete = true
    try state.save()
    try await LabShell.batch(network.creation + ["netns add \(space)"])
    for space in network.namespaces { try await LabShell.batch(network.setup(of: space), in: space.name) }
    try await LabShell.batch(
      nodes.enumerated().map { place, node in
        "link add to-control netns \(live.namespace(node)) type veth peer name n\(place) netns \(space)"
      })
    for (place, node) in nodes.enumerated() {
      try await LabShell.batch(
        ["address add 10.79.\(place).1/30 dev to-control", "link set to-control up"], in: live.namespace(node))
    }
    try await LabShell.batch(
      ["link set lo up"]
        + nodes.indices.flatMap { ["address add 10.79.\($0).2/30 dev n\($0)", "link set n\($0) up"] }, in: space
    )
    try enroll()
    try await start(Self.control)
    for node in nodes { try await start(node) }
    try await live.until("all are connected") {
      try await live.controlStatus().nodes.count { $0.state == "connected" } == nodes.count
    }
    let client = ControllerClient(socket: LabController.operators(name))
    _ = try await client.deploy(.file(.init(path: live.file.path)), .init()) { _ in }
  }

  private func enroll() throws {
    let own = LabController.state(name)
    let enrollment = Enrollment(state: own, log: Logger(label: "lab") { _ in SwiftLogNoOpLogHandler() })
    for (place, node) in nodes.enumerated() {
      let address = try #require(ControllerAddress("10.79.\(place).2:7117"))
      if place == 0 { try enrollment.initialize(node: node, addresses: [address]) }
      try enrollment.issue(
        node: node, controller: ControllerNote(address: address, node: nodes[0]),
        to: LabController.state(name, node: node))
    }
  }

  // MARK: Daemons

  /// Starts the daemon of a node, or the controller.
  func start(_ who: String) async throws {
    var state = try #require(try LabState.load(topology: name))
    let isControl = who == Self.control
    let command =
      isControl
      ? [
        try LabFiles.ownProgram().string, "controller", "run", "--state-directory",
        LabController.state(name).root.string, "--listen", "0.0.0.0:7117", "--join", "none", "--socket",
        LabController.operators(name).string,
      ] : try LabController.memberCommand(name, node: who)
    try LabFiles.makeFolder(log(who).removingLastComponent())
    let process = try LabProcess.startDetached(
      ["nsenter", "--net=/run/netns/\(isControl ? space : live.namespace(who))", "--"] + before(who) + command,
      log: log(who), mark: Lab.mark(topology: name))
    if isControl { state.controller = process } else { state.daemons[who] = process }
    try state.save()
    if isControl {
      try await live.until("the controller answers") { LabSocket.accepts(LabController.operators(name)) }
    }
  }

  func log(_ who: String) -> FilePath {
    who == Self.control ? LabController.log(name) : NodePaths(topology: name, node: who).log
  }

  func says(_ who: String, _ text: String) -> Bool { (LabFiles.read(log(who)) ?? "").contains(text) }

  // MARK: Links

  /// How a node loses its controller. No side is told: no packet says that a connection has ended.
  enum Cut: Sendable {
    /// The node's own device goes down.
    case here
    /// The controller's end goes down.
    case there
    /// The node sends what is for the controller to nowhere.
    case route
  }

  func cut(_ node: String, _ how: Cut) async throws { try await set(node, how, isUp: false) }
  func mend(_ node: String, _ how: Cut) async throws { try await set(node, how, isUp: true) }

  private func set(_ node: String, _ how: Cut, isUp: Bool) async throws {
    let place = try #require(nodes.firstIndex(of: node))
    switch how {
    // Not by a command: the moment counts.
    case .here: try Self.setDevice("to-control", in: live.namespace(node), isUp: isUp)
    case .there: try Self.setDevice("n\(place)", in: space, isUp: isUp)
    case .route:
      try await LabShell.batch(
        ["route \(isUp ? "del" : "add") blackhole 10.79.\(place).2/32"], in: live.namespace(node))
    }
  }

  private static func setDevice(_ device: String, in namespace: String, isUp: Bool) throws {
    let socket = try NamespaceSocket(namespace: namespace, family: AF_INET)
    // struct ifreq of netdevice(7): the name in 16 bytes, then the flags in two.
    var request = [UInt8](repeating: 0, count: 40)
    request.replaceSubrange(0..<device.utf8.count, with: Array(device.utf8))
    let (get, set): (UInt, UInt) = (0x8913, 0x8914)
    try #require(ioctl(socket.descriptor, get, &request) == 0, "flags of \(device): \(errno)")
    request[16] = isUp ? request[16] | 1 : request[16] & ~1
    try #require(ioctl(socket.descriptor, set, &request) == 0, "flags of \(device): \(errno)")
  }
}

extension LiveLab {
  /// What a node has prepared; nil: nothing.
  func prepared(_ node: String) -> MemberState.Prepared? {
    let file = LabController.state(topology.name, node: node).member.appending("prepared.json")
    return (try? DurableFile.read(file, as: MemberState.Prepared.self)) ?? nil
  }

  /// What the controller has noted.
  func noted() -> String {
    LabFiles.read(LabController.state(topology.name).controller.appending("state.json")) ?? ""
  }

  /// Waits for a moment of a deploy, looking each millisecond.
  func moment(_ what: String, _ holds: () -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(20)
    while !holds() {
      try #require(ContinuousClock.now < end, "it never came: \(what)")
      try await Task.sleep(for: .milliseconds(1))
    }
  }
}
