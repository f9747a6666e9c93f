import SystemPackage
import Topology

/// What a lab looks like at one moment.
public struct LabStatus: Hashable, Sendable, Codable {
  public enum DaemonState: String, Hashable, Sendable, Codable {
    case running
    /// It was started and has ended.
    case dead
    /// It was never started, or its namespace is gone.
    case absent
  }

  public struct NodeStatus: Hashable, Sendable, Codable {
    public var node: String
    /// nil in loopback mode.
    public var namespace: String?
    public var pid: Int32?
    public var state: DaemonState
    /// Whether the control socket accepts: the daemon runs all its relays.
    public var ready: Bool
    /// Where it answers for metrics, `127.0.0.1:7480`; nil: nowhere.
    public var metrics: String?
  }

  /// The lab's controller.
  public struct Controller: Hashable, Sendable, Codable {
    public var pid: Int32?
    public var state: DaemonState
    /// The revision in force, 0 for none; nil: it does not answer.
    public var revision: UInt64?
  }

  public var topology: String
  public var file: String
  /// `namespaces` or `loopback`.
  public var mode: String
  public var nodes: [NodeStatus]
  /// nil: the daemons read the file themselves.
  public var controller: Controller?
  public var impairments: [LabImpairment]

  /// Whether every daemon runs and is ready, and the controller answers where there is one.
  public var isUp: Bool {
    nodes.allSatisfy { $0.state == .running && $0.ready } && (controller.map { $0.revision != nil } ?? true)
  }
}

extension Lab {
  /// The names of the labs that run on this machine, or that crashed and wait for `lab down`.
  public static func running() -> [String] { LabState.topologies() }

  /// The name of the lab that runs from this topology file; nil where none does.
  public static func running(file: FilePath) -> String? {
    let path = LabFiles.absolute(file).string
    return LabState.topologies().first { (try? LabState.load(topology: $0))?.file == path }
  }

  /// The topology of a lab that runs, from the file that it runs from.
  public static func topology(of lab: String) throws -> Topology {
    guard let state = try LabState.load(topology: lab) else {
      throw LabError.notRunning(topology: lab, running: LabState.topologies())
    }
    return try Topology.load(path: state.file)
  }

  /// The only lab that runs.
  ///
  /// - Throws: ``LabError/whichLab(running:)`` where none or several do.
  public static func onlyRunning() throws(LabError) -> String {
    let running = LabState.topologies()
    guard let only = running.first, running.count == 1 else { throw .whichLab(running: running) }
    return only
  }

  /// - Throws: ``LabError/notRunning(topology:running:)``, ``LabError/unreadableState(path:topology:reason:)``.
  public func status() async throws -> LabStatus {
    let state = try noted()
    let nodes = state.nodes.enumerated().map { index, node in
      let namespace = state.namespaces[node]
      let daemon = state.daemons[node]
      let home = namespace.map { LabFiles.exists(LabPrivileges.namespaceFile($0)) } ?? true
      let running = daemon?.isRunning == true
      return LabStatus.NodeStatus(
        node: node, namespace: namespace, pid: running ? daemon?.pid : nil,
        state: !home || daemon == nil ? .absent : running ? .running : .dead,
        ready: running && LabSocket.accepts(NodePaths(topology: topology, node: node).controlSocket),
        metrics: state.metricsPort.flatMap { try? LabMetrics.endpoint($0, index) }.map(\.description))
    }
    var impairments: [LabImpairment] = []
    for var impairment in state.impairments {
      impairment.droppedPackets = impairment.lossProgram.flatMap { LossProgram.counts(program: $0)?.dropped }
      impairments.append(impairment)
    }
    return LabStatus(
      topology: topology, file: state.file, mode: state.mode.rawValue, nodes: nodes,
      controller: await controllerStatus(state), impairments: impairments)
  }

  private func controllerStatus(_ state: LabState) async -> LabStatus.Controller? {
    guard let controller = state.controller else { return nil }
    guard controller.isRunning else { return LabStatus.Controller(state: .dead) }
    let client = ControllerClient(socket: LabController.operators(topology))
    return LabStatus.Controller(
      pid: controller.pid, state: .running, revision: try? await client.status().revision)
  }

  /// The command line that runs `command` as a process of a node: inside its namespace, or as it is in loopback
  /// mode. `node` may be ``LabNames/outside``.
  public func command(_ command: [String], on node: String) throws -> [String] {
    let state = try noted()
    guard state.nodes.contains(node) || state.namespaces[node] != nil else {
      throw LabError.unknownNode(
        node: node, topology: topology,
        known: state.nodes + state.namespaces.keys.filter { !state.nodes.contains($0) })
    }
    guard let namespace = state.namespaces[node] else { return command }
    try LabPrivileges.demand(operation: "entering the namespace of \(node)")
    return ["nsenter", "--net=\(LabPrivileges.namespaceFile(namespace))", "--"] + command
  }

  func noted() throws -> LabState {
    guard let state = try LabState.load(topology: topology) else {
      throw LabError.notRunning(topology: topology, running: LabState.topologies())
    }
    return state
  }
}
