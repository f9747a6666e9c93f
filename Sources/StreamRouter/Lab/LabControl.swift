import Foundation
import Logging
import SystemPackage
import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// How the nodes of a lab come to their relays.
public enum LabControl: Hashable, Sendable {
  /// Each daemon reads the topology file, and again when the lab is brought up again.
  case file
  /// A controller deploys the file on daemons that have joined it, as on machines.
  case controller
}

/// The controller of a lab: beside the namespaces, reached through unix sockets, since no network leads to all nodes.
enum LabController {
  private static func folder(_ topology: String) -> FilePath {
    NodePaths.runtimeDirectory(topology: topology).appending("controller")
  }

  /// Where operators reach it.
  static func operators(_ topology: String) -> FilePath { folder(topology).appending("operators.sock") }
  static func log(_ topology: String) -> FilePath { folder(topology).appending("controller.log") }
  private static func nodes(_ topology: String) -> FilePath { folder(topology).appending("nodes.sock") }

  /// What the controller keeps.
  static func state(_ topology: String) -> StatePaths {
    StatePaths(folder(topology).appending("state"))
  }

  /// What a node keeps.
  static func state(_ topology: String, node: String) -> StatePaths {
    StatePaths(NodePaths.runtimeDirectory(topology: topology).appending("state").appending(node))
  }

  static func command(_ topology: String) throws -> [String] {
    [
      try LabFiles.ownProgram().string, "controller", "run", "--state-directory", state(topology).root.string,
      "--listen", "unix:\(nodes(topology))", "--join", "none", "--socket", operators(topology).string,
    ]
  }

  static func memberCommand(_ topology: String, node: String) throws -> [String] {
    [
      try LabFiles.ownProgram().string, "node", "run", "--state-directory",
      state(topology, node: node).root.string,
    ]
  }

  /// An authority, the controller's own identity, and one for each node. What is there stays.
  static func enroll(_ topology: String, nodes names: [String]) throws {
    guard let first = names.first else { return }
    try LabFiles.makeFolder(folder(topology))
    let own = state(topology)
    let enrollment = Enrollment(state: own, log: Logger(label: "lab") { _ in SwiftLogNoOpLogHandler() })
    let address = ControllerAddress(path: nodes(topology).string)
    if !LabFiles.exists(own.controllerNote) { try enrollment.initialize(node: first, addresses: [address]) }
    for name in names {
      let node = state(topology, node: name)
      guard !LabFiles.exists(node.controllerNote) else { continue }
      try enrollment.issue(node: name, controller: ControllerNote(address: address, node: first), to: node)
    }
  }
}

extension Lab {
  /// The unix socket of a lab's controller.
  ///
  /// - Throws: ``LabError`` where no such lab runs, or it has none.
  public static func controllerSocket(_ topology: String) throws -> FilePath {
    guard let state = try LabState.load(topology: topology) else {
      throw LabError.notRunning(topology: topology, running: LabState.topologies())
    }
    guard state.controller != nil else {
      throw LabError.failed(
        operation: "asking the controller of", subject: "lab \(topology)",
        reason: "its daemons read the file themselves; 'streamrouter lab up' makes them read it again")
    }
    return LabController.operators(topology)
  }

  /// Starts the controller where none runs, and waits until it answers.
  func startController(_ state: inout LabState) async throws {
    guard state.controller?.isRunning != true else { return }
    progress("starting the controller")
    try LabController.enroll(topology, nodes: state.nodes)
    let (log, socket) = (LabController.log(topology), LabController.operators(topology))
    unlink(socket.string)
    let controller = try LabProcess.startDetached(
      LabController.command(topology), log: log, mark: Self.mark(topology: topology))
    state.controller = controller
    try state.save()
    let end = ContinuousClock.now + Self.readyTimeout
    while !LabSocket.accepts(socket) {
      guard controller.isRunning, ContinuousClock.now < end else {
        throw LabError.daemonNotReady(
          node: "the controller", reason: "did not open its socket", log: LabFiles.tail(log, lines: 20))
      }
      try await Task.sleep(for: .milliseconds(10))
    }
  }

  /// Starts the controller of a running lab where it has ended.
  func restartController() async throws {
    var state = try noted()
    try await startController(&state)
  }

  /// Has the controller deploy the file, once all nodes are connected.
  ///
  /// - Throws: ``LabError`` with what the controller says.
  @discardableResult
  func deploy(_ state: LabState) async throws -> DeployDocument {
    let client = ControllerClient(socket: LabController.operators(topology))
    progress("waiting for \(Figure.plural(state.nodes.count, "node"))")
    let end = ContinuousClock.now + Self.readyTimeout
    while true {
      let connected = try await client.status().nodes.count { $0.state == "connected" }
      if connected >= state.nodes.count { break }
      if let ended = state.nodes.first(where: { state.daemons[$0]?.isRunning != true }) {
        throw notReady(ended, "ended before it was connected")
      }
      guard ContinuousClock.now < end else { break }
      try await Task.sleep(for: .milliseconds(20))
    }
    do {
      let file = try ControllerClient.File(path: state.file)
      return try await client.deploy(.file(file), .init(), progress: progress)
    } catch let error as DeployFailure {
      throw LabError.failed(operation: "deploying", subject: state.file, reason: error.description)
    }
  }
}
