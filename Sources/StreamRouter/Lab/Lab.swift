import Foundation
import SystemPackage
import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// All nodes of a topology on this machine: brings the network and the daemons up, keeps the note of what it
/// made, and takes all of it down again, after a crash too.
///
/// Holds no state of its own: everything is in `lab.json` (``LabState``), so that each command finds what the one
/// before it made.
public actor Lab {
  /// The command line of one node's daemon, from the topology file (a path from the root) and the node's name.
  public typealias Launcher = @Sendable (_ file: String, _ node: String) throws -> [String]

  /// What `up` found and did.
  public enum Outcome: Hashable, Sendable {
    /// Everything was made.
    case started(nodes: Int, links: Int)
    /// Everything ran already, and the file is the one that the daemons know.
    case unchanged
    /// The lab ran. These daemons were dead and are running again; these were told to read the file again.
    case updated(restarted: [String], reloaded: [String])
    /// The lab ran. These daemons were dead and are running again, and its controller deployed the changed file.
    case deployed(DeployDocument, restarted: [String])
  }

  /// How long a daemon may take until its control socket accepts. One that ends is heard of at once, so only machines
  /// that are slow wait so long: in an emulated one, a lab of three took 25 s.
  public static let readyTimeout: Duration = .seconds(60)
  /// How long a daemon has between SIGTERM and SIGKILL.
  public static let stopTimeout: Duration = .seconds(3)

  public nonisolated let topology: String
  let launcher: Launcher
  let control: LabControl
  let progress: @Sendable (String) -> Void

  /// - Parameters:
  ///   - topology: The topology's name.
  ///   - control: How the nodes come to their relays.
  ///   - launcher: What is started for each node; by default `node run` of this very program.
  ///   - progress: Told what is being done, in a few words.
  public init(
    topology: String, control: LabControl = .file, launcher: Launcher? = nil,
    progress: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.topology = topology
    self.control = control
    self.launcher =
      launcher
      ?? { file, node in
        switch control {
        case .file: try Self.ownDaemon(file, node)
        case .controller: try LabController.memberCommand(topology, node: node)
        }
      }
    self.progress = progress
  }

  /// `streamrouter node run FILE --name NODE`, by the path of the program that runs now.
  public static let ownDaemon: Launcher = { file, node in
    [try LabFiles.ownProgram().string, "node", "run", file, "--name", node]
  }

  /// Brings the lab up, or makes one that runs follow its changed file. Twice is harmless.
  ///
  /// - Parameters:
  ///   - topology: What `file` says.
  ///   - file: The topology file, which the daemons read again.
  ///   - metrics: The first node's daemon answers for metrics on this port of 127.0.0.1, the others on those above; nil
  ///     opens none, and leaves a lab that runs as it is.
  /// - Throws: ``LabError``. What this call made is gone then.
  public func up(_ topology: Topology, file: FilePath, metrics: UInt16? = nil) async throws -> Outcome {
    precondition(topology.name == self.topology, "a lab is asked for another lab's topology")
    try HostsNote.refuse(topology.name)
    var wanted = try wantedState(topology, file: LabFiles.absolute(file))
    wanted.metricsPort = metrics
    if wanted.mode == .namespaces {
      try LabPrivileges.demand(
        operation: "lab \(topology.name): making network namespaces")
    }
    let lock = try await LabLock.take(topology: topology.name)
    if let running = try LabState.load(topology: topology.name), running.complete, isWhole(running) {
      return try await update(running, to: wanted)
    }
    // What a crashed `up` or a restarted machine left, or somebody's `ip netns delete`.
    try await removeAll(extraNamespaces: Array(wanted.namespaces.values))
    do {
      try await make(topology, wanted)
    } catch {
      _ = try? await removeAll(extraNamespaces: Array(wanted.namespaces.values))
      lock.removeFile()
      throw error
    }
    return .started(nodes: wanted.nodes.count, links: wanted.links.count)
  }

  private func wantedState(_ topology: Topology, file: FilePath) throws -> LabState {
    guard let bytes = FileManager.default.contents(atPath: file.string) else {
      throw LabError.failed(
        operation: "reading", subject: file.string, reason: "the daemons could not read it either")
    }
    let loopback = LabNetwork.isLoopback(topology)
    let network = try LabNetwork(topology)
    // A new build of an extension is a change too.
    let library = ExtensionLibrary(places: ExtensionLibrary.places(for: file.string))
    let extensions = try topology.extensionNames.map { try library.object(named: $0).content }.joined()
    return LabState(
      topology: topology.name, file: file.string,
      fileHash: LabNames.hex(LabNames.stableHash(bytes + Data(extensions.utf8))),
      networkFingerprint: network.fingerprint, mode: loopback ? .loopback : .namespaces,
      nodes: topology.nodes.map(\.name), links: topology.links.map { LabLink(a: $0.a, b: $0.b) },
      namespaces: loopback
        ? [:]
        : Dictionary(uniqueKeysWithValues: network.namespaces.map { ($0.node, $0.name) }))
  }

  private func isWhole(_ state: LabState) -> Bool {
    state.namespaces.values.allSatisfy { LabFiles.exists(LabPrivileges.namespaceFile($0)) }
  }

  // MARK: From nothing

  private func make(_ topology: Topology, _ wanted: LabState) async throws {
    var state = wanted
    // Noted first: a crash from here on leaves nothing that `down` does not know.
    try state.save()
    if state.mode == .namespaces {
      let network = try LabNetwork(topology)
      progress("making \(network.namespaces.count) namespaces")
      try await LabShell.batch(network.creation)
      let forwards = LabFiles.read("/proc/sys/net/ipv4/ip_forward").map { !$0.hasPrefix("0") } ?? false
      for space in network.namespaces {
        if forwards { try await stopForwarding(in: space.name) }
        try await LabShell.batch(network.setup(of: space), in: space.name)
      }
    }
    if control == .controller { try await startController(&state) }
    try await start(state.nodes, &state, deploying: control == .controller)
    state.complete = true
    try state.save()
  }

  /// A new namespace takes IPv4 forwarding over from the machine. In a lab the relays forward and nothing else
  /// does, or a packet might arrive by a way that the streams do not name.
  private func stopForwarding(in namespace: String) async throws {
    try await LabShell.run(
      "nsenter",
      [
        "--net=\(LabPrivileges.namespaceFile(namespace))", "--", "/bin/sh", "-c",
        "echo 0 >/proc/sys/net/ipv4/ip_forward",
      ])
  }

  // MARK: From what runs

  private func update(_ running: LabState, to wanted: LabState) async throws -> Outcome {
    guard running.file == wanted.file else {
      throw LabError.runsFromOtherFile(topology: topology, file: running.file, asked: wanted.file)
    }
    guard running.networkFingerprint == wanted.networkFingerprint, running.nodes == wanted.nodes else {
      throw LabError.networkChanged(topology: topology, file: wanted.file)
    }
    if let asked = wanted.metricsPort, asked != running.metricsPort {
      throw LabError.metricsChanged(topology: topology, running: running.metricsPort, asked: asked)
    }
    guard (running.controller != nil) == (control == .controller) else {
      throw LabError.otherControl(topology: topology, hasController: running.controller != nil)
    }
    var state = running
    let dead = state.nodes.filter { state.daemons[$0]?.isRunning != true }
    let changed = state.fileHash != wanted.fileHash
    let alive = changed ? state.nodes.filter { !dead.contains($0) } : []
    if control == .controller { try await startController(&state) }
    if dead.isEmpty && !changed { return .unchanged }
    if control == .controller {
      let done = try await start(dead, &state, deploying: changed)
      state.fileHash = wanted.fileHash
      try state.save()
      return done.map { .deployed($0, restarted: dead) } ?? .updated(restarted: dead, reloaded: [])
    }
    let logs = alive.map { (node: $0, read: LabFiles.read(log(of: $0))?.utf8.count ?? 0) }
    for node in alive { state.daemons[node]?.signal(SIGHUP) }
    do {
      try await start(dead, &state, deploying: false)
    } catch {
      // The others go on running; only what this call started is taken back.
      await LabProcess.end(dead.compactMap { state.daemons[$0] }, patience: Self.stopTimeout)
      throw error
    }
    // Only what every node follows counts as read: the next `up` asks again.
    if let refusal = await refusal(logs) { throw refusal }
    state.fileHash = wanted.fileHash
    try state.save()
    return .updated(restarted: dead, reloaded: alive)
  }

  private func log(of node: String) -> FilePath { NodePaths(topology: topology, node: node).log }

  /// What a node's log says since then about a file that it does not follow; nil: all follow it, or do not answer
  /// within ten seconds, which a verifier may take for a large extension.
  private func refusal(_ logs: [(node: String, read: Int)]) async -> LabError? {
    var waiting = logs
    let deadline = ContinuousClock.now + .seconds(10)
    while !waiting.isEmpty, ContinuousClock.now < deadline {
      for (node, read) in waiting {
        let said = String(decoding: (LabFiles.read(log(of: node)) ?? "").utf8.dropFirst(read), as: UTF8.self)
        if let refused = said.split(separator: "\n").first(where: { $0.contains("again changed nothing: ") }) {
          let reason = refused.split(separator: "again changed nothing: ", maxSplits: 1).last ?? ""
          return .failed(
            operation: "having node \(node) follow", subject: "the changed file", reason: String(reason))
        }
        if said.contains(" again: ") { waiting.removeAll { $0.node == node } }
      }
      try? await Task.sleep(for: .milliseconds(5))
    }
    return nil
  }

  /// Starts those daemons of a running lab that have ended.
  func restartDaemons() async throws {
    var state = try noted()
    try await start(state.nodes.filter { state.daemons[$0]?.isRunning != true }, &state, deploying: false)
  }

  // MARK: Daemons

  /// Starts daemons and waits until each control socket accepts.
  ///
  /// - Returns: What was deployed meanwhile.
  @discardableResult
  private func start(_ nodes: [String], _ state: inout LabState, deploying: Bool) async throws
    -> DeployDocument?
  {
    for node in nodes {
      progress("starting the daemon of \(node)")
      let paths = NodePaths(topology: topology, node: node)
      // A socket that a killed daemon left would look like one that is about to accept.
      unlink(paths.controlSocket.string)
      var command = try launcher(state.file, node)
      if let namespace = state.namespaces[node] {
        // Not `ip netns exec`: that mounts /sys anew and hides the pinned maps below /sys/fs/bpf.
        command = ["nsenter", "--net=\(LabPrivileges.namespaceFile(namespace))", "--"] + command
      }
      state.daemons[node] = try startDaemon(command, of: node, state)
      try state.save()
    }
    try LabMetrics.writeTargets(state)
    // A daemon that never had a part opens its control socket with the first.
    let done = deploying ? try await deploy(state) : nil
    try await waitUntilReady(nodes, state.daemons)
    return done
  }

  private func startDaemon(_ command: [String], of node: String, _ state: LabState) throws -> LabProcess {
    let log = NodePaths(topology: topology, node: node).log
    let mark = Self.mark(topology: topology)
    guard let firstPort = state.metricsPort, let index = state.nodes.firstIndex(of: node) else {
      return try LabProcess.startDetached(command, log: log, mark: mark)
    }
    let socket = try LabMetrics.listen(LabMetrics.endpoint(firstPort, index), node: node)
    defer { close(socket) }
    return try LabProcess.startDetached(
      command + LabMetrics.arguments, log: log, mark: mark, inherited: socket)
  }

  /// Looks at all of them in turn, so that a daemon that ended is heard of at once, whichever it is.
  private func waitUntilReady(_ nodes: [String], _ daemons: [String: LabProcess]) async throws {
    let end = ContinuousClock.now + Self.readyTimeout
    var waiting = nodes
    progress("waiting for the daemons to be ready")
    while true {
      waiting.removeAll { LabSocket.accepts(NodePaths(topology: topology, node: $0).controlSocket) }
      guard let first = waiting.first else { return }
      if let ended = waiting.first(where: { daemons[$0]?.isRunning != true }) {
        throw notReady(ended, "ended before it was ready")
      }
      guard ContinuousClock.now < end else {
        throw notReady(
          first, "did not open its control socket within \(Self.readyTimeout.components.seconds) s")
      }
      try await Task.sleep(for: .milliseconds(10))
    }
  }

  func notReady(_ node: String, _ reason: String) -> LabError {
    .daemonNotReady(
      node: node, reason: reason,
      log: LabFiles.tail(NodePaths(topology: topology, node: node).log, lines: 20))
  }

  /// What the environment of every process started for a lab holds, so that `down` finds those that a crash kept
  /// out of the note.
  static func mark(topology: String) -> String {
    "STREAMROUTER_LAB=\(NodePaths.runtimeDirectory(topology: topology))"
  }
}
