import Foundation
import Identity
import Logging
import ServiceLifecycle
import SystemPackage
import UnixSignals

/// The daemon of a node that joined: keeps a session with the controller, and runs the part that it is given.
public struct MemberDaemon: Sendable {
  public struct Configuration: Sendable {
    public var state: StatePaths
    /// What the tables of engine sandbox hold.
    public var capacity: SandboxCapacity
    /// Where metrics and health are answered; nil: nowhere.
    public var metrics: MetricsEndpoint?

    public init(state: StatePaths, capacity: SandboxCapacity, metrics: MetricsEndpoint? = nil) {
      self.state = state
      self.capacity = capacity
      self.metrics = metrics
    }
  }

  private let configuration: Configuration
  private let log: Logger

  public init(configuration: Configuration, log: Logger) {
    self.configuration = configuration
    self.log = log
  }

  /// Runs until SIGTERM or SIGINT.
  ///
  /// - Throws: ``IdentityError`` where it never joined, ``ControlError``.
  public func run() async throws {
    let notice = ServiceNotice.takeFromEnvironment(log: log)
    configuration.metrics?.keepFromChildren()
    let identity = try Identity.load(from: configuration.state.identity.string)
    guard case .node(let name) = identity.role else {
      throw ControlError.unreadable(
        path: configuration.state.identity.string, reason: "it is \(identity.role)'s, and no node's")
    }
    guard let note = try DurableFile.read(configuration.state.controllerNote, as: ControllerNote.self) else {
      throw ControlError.unreadable(
        path: configuration.state.controllerNote.string,
        reason: "the node has not joined; 'streamrouter node join'")
    }
    let lock = try ProcessLock(
      configuration.state.root.appending("node.lock"), what: "a daemon of node \(name)")
    defer { lock.release() }
    let member = try Member(
      node: name, folder: configuration.state.member, capacity: configuration.capacity, log: log)
    try await member.start()
    let current = CurrentIdentity(identity, path: configuration.state.identity)
    let telemetry = MemberTelemetry(node: name)
    let log = self.log
    let places = ControllerPlaces(note, path: configuration.state.controllerNote, log: log)
    let renewal = CertificateRenewal.over(current, places, log: log)
    let session = ControllerSession(
      member: member, places: places, renewal: renewal,
      snapshot: { try await telemetry.snapshot() }, log: log)
    let group = ServiceGroup(
      configuration: .init(
        services: [
          .init(
            service: MemberTopologyService(
              member: member, telemetry: telemetry, metrics: configuration.metrics, current: current, log: log)),
          .init(service: RenewalService(renewal: renewal, log: log)),
          .init(service: session),
          // Last: the first to hear that the node stops.
          .init(service: NoticeService(notice: notice, alive: { _ = await member.settledRevision })),
        ], gracefulShutdownSignals: [.sigterm, .sigint], logger: log))
    notice.send(
      .ready,
      .status("node \(name), controllers at \(note.addresses.map(\.description).joined(separator: ", "))"))
    do { try await group.run() } catch {
      await member.stop()
      throw error
    }
    await member.stop()
    log.info("stopped; relays of engine sandbox go on, and the next daemon takes them over")
  }
}

/// The account of whatever topology the node is part of at the moment.
actor MemberTelemetry {
  private let node: String
  private var telemetry: Telemetry?

  init(node: String) { self.node = node }

  func follow(_ running: Member.Running) -> Telemetry {
    let made = Telemetry(
      topology: running.topology, node: node, reconciler: running.reconciler, prober: running.prober)
    telemetry = made
    return made
  }

  /// nil where the node is part of none.
  func snapshot() async throws -> NodeSnapshot? { try await telemetry?.snapshot() }
}

/// What answers for a topology's relays on this node: the control socket, metrics, and the refreshing of the datapath.
private struct MemberTopologyService: Service {
  let member: Member
  let telemetry: MemberTelemetry
  let metrics: MetricsEndpoint?
  let current: CurrentIdentity
  let log: Logger

  func run() async throws {
    // Not a task group: one that was cancelled takes no further task.
    var answering: [Task<Void, Never>] = []
    for await running in member.running.cancelOnGracefulShutdown() {
      await Self.end(answering)
      let telemetry = await telemetry.follow(running)
      answering = services(running, telemetry).map { service in
        Task {
          do { try await service.run() } catch { log.error("\(error)") }
        }
      }
    }
    await Self.end(answering)
  }

  private static func end(_ tasks: [Task<Void, Never>]) async {
    for task in tasks { task.cancel() }
    for task in tasks { await task.value }
  }

  private func services(_ running: Member.Running, _ telemetry: Telemetry) -> [any Service] {
    let health = NodeHealth()
    let paths = NodePaths(topology: running.topology, node: member.node)
    var services: [any Service] = [
      RefreshService(reconciler: running.reconciler, health: health, log: log),
      ControlService(path: paths.controlSocket.string, snapshot: telemetry.snapshot, log: log),
    ]
    if let metrics {
      services.append(
        MetricsService(
          endpoint: metrics, telemetry: telemetry, health: health,
          certificateEnd: { current.identity.certificate.notAfter }, log: log))
    }
    return services
  }
}
