import CStreamRouter
import Logging
import Topology

/// Brings a node from the relays that run to those that are wanted, and knows which engine runs each of them.
///
/// A step that fails takes back all that were made before it, so a node runs the old relays or the new ones, never
/// a mixture.
public actor Reconciler {
  /// Where a node's relays may run and what its engines need to start.
  public struct Options: Sendable {
    public var engine: EngineChoice
    public var scheduling: Scheduling
    public var pins: String
    public var capacity: SandboxCapacity
    /// The built extensions that the relays use, by their content.
    public var extensions: [String: ExtensionObject]
    /// Where copies of those that run are kept for the next daemon.
    public var extensionStore: String?
    /// What is expected of the streams, by name. It changes nothing about how a relay runs, so a new limit makes no
    /// change to carry out.
    public var limits: [String: StreamLimits]

    public init(
      engine: EngineChoice, scheduling: Scheduling = .other, pins: String,
      capacity: SandboxCapacity = SandboxCapacity(), extensions: [String: ExtensionObject] = [:],
      extensionStore: String? = nil, limits: [String: StreamLimits] = [:]
    ) {
      self.engine = engine
      self.scheduling = scheduling
      self.pins = pins
      self.capacity = capacity
      self.extensions = extensions
      self.extensionStore = extensionStore
      self.limits = limits
    }
  }

  private struct Running {
    var relay: Relay
    var engine: EngineChoice
    /// Why not the fastest engine.
    var reason: String?
  }

  private var options: Options
  private let log: Logger
  private let shelf = ExtensionShelf()
  private var sandbox: SandboxEngine?
  private var process: ProcessEngine?
  private var upcall: UpcallEngine?
  /// Why engine sandbox cannot run here; nil while it can, or was not tried.
  private var sandboxObstacle: EngineError?
  private var running: [String: Running] = [:]
  private var adopted = false
  /// Those of the file that runs: a file that was refused says nothing about it.
  private var limits: [String: StreamLimits] = [:]

  public init(options: Options, log: Logger) {
    self.options = options
    self.log = log
  }

  /// Carries out the plan from what runs to `wanted`. Throws after taking back what was done.
  ///
  /// - Returns: The changes that were made.
  @discardableResult
  public func apply(_ wanted: [Relay], options: Options? = nil) async throws -> [Change] {
    if let options { self.options = options }
    try await sandbox?.schedule(self.options.scheduling)
    shelf.put(self.options.extensions)
    let plan = Plan(from: running.values.map(\.relay), to: wanted)
    var done: [Change] = []
    for change in plan.changes {
      do {
        try await perform(change)
        done.append(change)
        log.info("\(change)")
      } catch {
        log.error("cannot \(change): \(error)")
        for step in done.reversed() {
          do {
            try await perform(step.undo)
            log.notice("took back: \(step)")
          } catch {
            log.critical("could not take back \(step): \(error)")
          }
        }
        throw error
      }
    }
    limits = self.options.limits
    try await settle()
    shelf.keepOnly(usedBy: wanted)
    return done
  }

  /// What runs, with the engine of each relay and the reason for it.
  public func snapshots() async throws -> [RelaySnapshot] {
    let found =
      try await (sandbox?.snapshots() ?? []) + (process?.snapshots() ?? []) + (upcall?.snapshots() ?? [])
    return found.map { found in
      var found = found
      // What the engine itself says hinders the relay, which matters more.
      found.engineReason = found.engineReason ?? running[found.stream]?.reason
      found.limits = limits[found.stream]
      return found
    }.sorted { ($0.stream, $0.hop) < ($1.stream, $1.hop) }
  }

  public func datapath() async throws -> [String: UInt64] {
    let (own, module) = try await (sandbox?.datapath() ?? [:], upcall?.datapath() ?? [:])
    return own.merging(module) { $0 &+ $1 }
  }

  /// How many relays each engine runs.
  func engines() -> [EngineChoice: Int] { running.values.reduce(into: [:]) { $0[$1.engine, default: 0] += 1 } }

  /// Comes back once this actor and its engines had time for it: a sign of life.
  func answer() async {
    await sandbox?.answer()
    await process?.answer()
    await upcall?.answer()
  }

  /// Keeps up to date what engines cannot know for themselves.
  public func refresh() async throws {
    await process?.refresh()
    try await sandbox?.refresh()
    try await upcall?.refresh()
  }

  /// Ends what belongs to the daemon. Relays of engines sandbox and upcall go on.
  public func stop() async {
    await process?.stop()
    await upcall?.stop()
    await sandbox?.stop()
  }

  // MARK: Steps

  /// A former ingress is listened at where this machine still has its address.
  private func possible(_ relay: Relay) -> Relay {
    var relay = relay
    if let former = relay.formerIngress, !Route.isLocal(former.address) { relay.formerIngress = nil }
    return relay
  }

  private func perform(_ change: Change) async throws {
    switch change {
    case .add(let relay):
      running[relay.stream] = try await start(possible(relay))
      running[relay.stream]?.relay = relay
    case .replace(let old, let new):
      guard let former = running[old.stream] else { preconditionFailure("the plan was made from what runs") }
      guard new.mode == old.mode && (new.transport == .tcp) == (old.transport == .tcp) else {
        return try await exchange(former, for: new)
      }
      try await engine(former.engine).replace(old, with: possible(new))
      running[old.stream] = nil
      running[new.stream] = Running(relay: new, engine: former.engine, reason: former.reason)
    case .remove(let relay):
      guard let former = running[relay.stream] else { return }
      try await engine(former.engine).remove(relay)
      running[relay.stream] = nil
    }
  }

  /// Ends a relay and starts another one of the same stream, since another engine may run it or nothing of the former
  /// one serves. The former one runs again where the other cannot.
  private func exchange(_ former: Running, for new: Relay) async throws {
    try await engine(former.engine).remove(former.relay)
    running[former.relay.stream] = nil
    do {
      running[new.stream] = try await start(possible(new))
      running[new.stream]?.relay = new
    } catch {
      try await engine(former.engine).add(possible(former.relay))
      running[former.relay.stream] = former
      throw error
    }
  }

  /// The fastest engine that can run the relay, unless the topology names one.
  private func start(_ relay: Relay) async throws -> Running {
    if relay.mode == .split, options.engine != .process {
      try await engine(.process).add(relay)
      return Running(
        relay: relay, engine: .process,
        reason:
          "the stream asks for mode split, which is engine process's; without it engine sandbox may run it")
    }
    switch options.engine {
    case .sandbox:
      try await engine(.sandbox).add(relay)
      return Running(relay: relay, engine: .sandbox)
    case .upcall:
      try await engine(.upcall).add(relay)
      return Running(
        relay: relay, engine: .upcall,
        reason:
          "the topology asks for engine upcall, which is experimental; 'engine: auto' would use the fastest "
          + "of the others that runs here")
    case .process:
      try await engine(.process).add(relay)
      return Running(
        relay: relay, engine: .process,
        reason: "the topology asks for engine process; 'engine: auto' would use the fastest that runs here")
    case .auto:
      do {
        try await engine(.sandbox).add(relay)
        return Running(relay: relay, engine: .sandbox)
      } catch let error as EngineError {
        guard case .unsupported(_, let reason, let remedy) = error else { throw error }
        try await engine(.process).add(relay)
        return Running(
          relay: relay, engine: .process, reason: "engine sandbox cannot run here: \(reason); \(remedy)")
      }
    }
  }

  private func engine(_ choice: EngineChoice) async throws -> any Engine {
    if choice == .process {
      if let process { return process }
      let log = self.log
      let started = try ProcessEngine(scheduling: options.scheduling, extensions: shelf.source) {
        log.warning("\($0)")
      }
      process = started
      return started
    }
    if choice == .upcall {
      if let upcall { return upcall }
      let log = self.log
      let started = try UpcallEngine(owner: options.pins, extensions: shelf.source) { log.warning("\($0)") }
      upcall = started
      return started
    }
    if let sandbox { return sandbox }
    if let sandboxObstacle { throw sandboxObstacle }
    do {
      let log = self.log
      let started = try SandboxEngine(
        pins: options.pins, capacity: options.capacity, extensions: shelf.source,
        store: options.extensionStore, scheduling: options.scheduling
      ) { log.warning("\($0)") }
      sandbox = started
      return started
    } catch let error as EngineError {
      if case .unsupported = error { sandboxObstacle = error }
      throw error
    }
  }

  /// Once after the first plan: what a former daemon left and nobody wants any more goes.
  private func settle() async throws {
    guard !adopted else { return }
    adopted = true
    var left: [String] = []
    if let sandbox {
      left = try await sandbox.removeUnclaimed()
    } else {
      SandboxEngine.removeAll(pins: options.pins, store: options.extensionStore)
    }
    if let upcall {
      left += try await upcall.removeUnclaimed()
    } else {
      UpcallEngine.removeAll(owner: options.pins)
    }
    for stream in left {
      log.info("stopped stream \(stream), which a former daemon left and the topology does not name")
    }
  }
}
