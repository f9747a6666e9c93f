import Foundation
import Logging
import ServiceLifecycle
import Topology
import UnixSignals

/// The daemon `streamrouter node run`: reads its part of a topology, has the ``Reconciler`` carry it out, answers on
/// its control socket, reads the file again on SIGHUP.
public struct NodeDaemon: Sendable {
  /// What the daemon is started with.
  public struct Configuration: Sendable {
    /// The topology file.
    public var file: String
    /// The node's name in it.
    public var node: String
    /// What the tables of engine sandbox hold.
    public var capacity: SandboxCapacity
    /// Where metrics and health are answered; nil: nowhere.
    public var metrics: MetricsEndpoint?

    public init(file: String, node: String, capacity: SandboxCapacity, metrics: MetricsEndpoint? = nil) {
      self.file = file
      self.node = node
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

  /// Runs until SIGTERM or SIGINT. The order of the services is the order of start; they end in reverse.
  public func run() async throws {
    let notice = ServiceNotice.takeFromEnvironment(log: log)
    configuration.metrics?.keepFromChildren()
    let (topology, relays, options) = try Self.read(configuration)
    let prober = LinkProber(log: log)
    let paths = NodePaths(topology: topology.name, node: configuration.node)
    // Two daemons of one node would write the same tables, and the later one would take the earlier one's socket.
    guard !LabSocket.accepts(paths.controlSocket) else {
      throw NodeError.alreadyRuns(node: configuration.node, socket: paths.controlSocket.string)
    }
    let reconciler = Reconciler(options: options, log: log)
    try await reconciler.apply(relays)
    prober.follow(topology.probes(on: configuration.node))
    defer { prober.stop() }
    let telemetry = Telemetry(
      topology: topology.name, node: configuration.node, reconciler: reconciler, prober: prober)
    log.info("node \(configuration.node) of \(topology.name) runs \(relays.count) relays")

    let health = NodeHealth()
    let status = NodeStatus(topology: topology.name, reconciler: reconciler, health: health)
    var services: [ServiceGroupConfiguration.ServiceConfiguration] = [
      .init(service: RefreshService(reconciler: reconciler, health: health, log: log)),
      .init(
        service: ReloadService(
          configuration: configuration, topology: topology.name, reconciler: reconciler, prober: prober,
          health: health, notice: notice, status: status, log: log)),
    ]
    if let endpoint = configuration.metrics {
      services.append(
        .init(
          service: MetricsService(endpoint: endpoint, telemetry: telemetry, health: health, log: log)))
    }
    // Whoever is answered finds everything running.
    services.append(
      .init(
        service: ControlService(
          path: paths.controlSocket.string, snapshot: telemetry.snapshot, log: log,
          answering: { notice.send(.ready, await status.line()) })))
    // Last: the first to hear that the node stops.
    services.append(.init(service: NoticeService(notice: notice, alive: reconciler.answer)))
    let group = ServiceGroup(
      configuration: .init(
        services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: log))
    do {
      try await group.run()
    } catch {
      await reconciler.stop()
      throw error
    }
    await reconciler.stop()
    log.info("stopped; relays of engine sandbox go on until 'streamrouter node remove'")
  }

  /// This node's part of the file, with the extensions that its relays use.
  static func read(_ configuration: Configuration) throws -> (Topology, [Relay], Reconciler.Options) {
    let library = ExtensionLibrary(places: ExtensionLibrary.places(for: configuration.file))
    let topology = try Topology.load(path: configuration.file, extensions: library.catalog)
    guard let node = topology.node(configuration.node) else {
      throw NodeError.unknownNode(
        name: configuration.node, file: configuration.file, known: topology.nodes.map(\.name))
    }
    let paths = NodePaths(topology: topology.name, node: node.name)
    var relays = topology.relays(on: node.name)
    var objects: [String: ExtensionObject] = [:]
    for relay in relays.indices {
      for place in relays[relay].extensions.indices {
        let object = try library.object(named: relays[relay].extensions[place].name)
        relays[relay].extensions[place].content = object.content
        objects[object.content] = object
      }
    }
    let options = Reconciler.Options(
      engine: node.engine, scheduling: node.scheduling, pins: paths.pins.string,
      capacity: configuration.capacity, extensions: objects, extensionStore: paths.extensions.string,
      limits: topology.limits)
    return (topology, relays, options)
  }
}

/// Why a node cannot run.
public enum NodeError: Error, Hashable, Sendable, CustomStringConvertible {
  case unknownNode(name: String, file: String, known: [String])
  case alreadyRuns(node: String, socket: String)
  case renamed(file: String, from: String, to: String)
  case controlSocket(path: String, reason: String)

  public var description: String {
    switch self {
    case .unknownNode(let name, let file, let known):
      "\(file) names no node \(name); its nodes are \(known.joined(separator: ", "))"
    case .alreadyRuns(let node, let socket):
      "a daemon of node \(node) answers on \(socket) already; end it first, or send it SIGHUP to read a changed file"
    case .renamed(let file, let from, let to):
      "\(file) now has the name \(to), where this node runs \(from); start a new node for another topology"
    case .controlSocket(let path, let reason):
      "cannot answer on \(path): \(reason)"
    }
  }
}

/// Refreshes what the datapath cannot know for itself: clocks and neighbours.
struct RefreshService: Service {
  let reconciler: Reconciler
  let health: NodeHealth
  let log: Logger

  func run() async throws {
    try? await cancelWhenGracefulShutdown {
      var isStarting = true
      while true {
        try await Task.sleep(for: .seconds(5))
        if isStarting { StartupPages.letGo() }
        isStarting = false
        do {
          try await reconciler.refresh()
          health.refreshed(problem: nil)
        } catch {
          health.refreshed(problem: "\(error)")
          log.warning("refreshing the datapath: \(error)")
        }
      }
    }
  }
}

/// Reads the topology again on SIGHUP. A wrong file changes nothing.
private struct ReloadService: Service {
  let configuration: NodeDaemon.Configuration
  let topology: String
  let reconciler: Reconciler
  let prober: LinkProber
  let health: NodeHealth
  let notice: ServiceNotice
  let status: NodeStatus
  let log: Logger

  func run() async throws {
    let signals = await UnixSignalsSequence(trapping: .sighup)
    for await _ in signals.cancelOnGracefulShutdown() {
      notice.send(.reloading)
      do {
        let (read, relays, options) = try NodeDaemon.read(configuration)
        guard read.name == topology else {
          throw NodeError.renamed(file: configuration.file, from: topology, to: read.name)
        }
        let changes = try await reconciler.apply(relays, options: options)
        prober.follow(read.probes(on: configuration.node))
        health.followed()
        log.info("read \(configuration.file) again: \(Figure.plural(changes.count, "change"))")
      } catch {
        health.refused("\(error)")
        log.error("reading \(configuration.file) again changed nothing: \(error)")
      }
      notice.send(.ready, await status.line())
    }
  }
}
