import Foundation
import Logging
import SystemPackage
import Topology

/// A node whose part comes from a controller: takes a revision on in two phases, and is as it was before where it refuses.
///
/// Questions come one after the other; each is answered once it is done. A node that is started again goes on where it was
/// killed.
actor Member {
  nonisolated let node: String
  private let log: Logger
  private let capacity: SandboxCapacity
  private let store: ExtensionStore
  private var state: MemberState
  private var reconciler: Reconciler?
  nonisolated let prober: LinkProber
  private var runningTopology: String?
  /// Waits for the time at which a revision that was not settled is given up.
  private var lapse: Task<Void, Never>?
  /// Told of each topology that this node becomes part of.
  private nonisolated let topologies: AsyncStream<Running>.Continuation
  nonisolated let running: AsyncStream<Running>

  /// What runs a topology's relays here.
  struct Running: Sendable {
    var topology: String
    var reconciler: Reconciler
    var prober: LinkProber
  }

  /// - Parameters:
  ///   - folder: What it keeps, its own.
  ///   - capacity: What the tables of engine sandbox hold.
  init(node: String, folder: FilePath, capacity: SandboxCapacity, log: Logger) throws {
    self.node = node
    self.log = log
    self.capacity = capacity
    state = try MemberState(folder: folder)
    store = try ExtensionStore(folder.appending("extensions"))
    prober = LinkProber(log: log)
    (running, topologies) = AsyncStream.makeStream()
  }

  /// The revision that is the node's own, 0 for none.
  var settledRevision: UInt64 { state.settled?.revision ?? 0 }
  var preparedRevision: UInt64 { state.prepared?.part.revision ?? 0 }

  /// Runs what ran when the node ended.
  func start() async throws {
    guard let part = state.prepared?.hop != nil ? state.prepared?.part : state.settled else { return }
    let relays = now
    let reconciler = await reconciler(for: part)
    try await reconciler.apply(relays, options: options(part))
    log.info(
      "node \(node) of \(part.topology) runs \(Figure.plural(relays.count, "relay")) of revision \(part.revision)"
    )
    prober.follow((state.settled ?? part).probes)
    if let prepared = state.prepared, prepared.hop != nil { awaitSettling(prepared) }
  }

  /// Ends what belongs to the daemon.
  func stop() async {
    lapse?.cancel()
    topologies.finish()
    prober.stop()
    await reconciler?.stop()
  }

  /// The content hashes of extensions that a part needs and that are not here.
  func missingExtensions(of part: NodePart) -> [String] {
    part.extensionContents.filter { store.object($0) == nil }.sorted()
  }

  func put(extension bytes: [UInt8]) throws { try store.put(bytes) }

  // MARK: Two phases

  /// Sees whether the part can run here, and changes nothing that runs. A revision that was prepared before is forgotten.
  ///
  /// - Parameter revertAfterSeconds: The node goes back by itself where the revision is not settled so long after its first
  ///   step; 0: it does not.
  /// - Throws: Why the node refuses.
  func prepare(_ part: NodePart, revertAfterSeconds: UInt32 = 0) async throws {
    guard part.node == node else { throw ControlError.otherNode(asked: part.node, here: node) }
    // Asked twice: what it took on of it since goes on running.
    if state.prepared?.part == part {
      // In force by now, so there is no going back.
      if revertAfterSeconds == 0 { lapse?.cancel() }
      return
    }
    if state.prepared != nil { try await abandon() }
    if let former = state.settled, former.topology != part.topology, !former.relays.isEmpty {
      throw ControlError.refused(
        node: node, reason: "it relays topology \(former.topology); 'streamrouter destroy' ends that")
    }
    if let missing = missingExtensions(of: part).first { throw ControlError.missingExtension(name: missing) }
    try PartCheck(part: part, former: state.settled, capacity: capacity.relays, extensions: objects(of: part))
      .run()
    try state.prepare(part, revertAfterSeconds: revertAfterSeconds)
    log.info("revision \(part.revision) is prepared")
  }

  /// Relays of `hop` and beyond become those of the prepared revision, those before it the former ones: a deploy that is
  /// given up goes the same way back. Twice is harmless.
  func advance(revision: UInt64, hop: Int) async throws {
    let part = try prepared(revision)
    let reconciler = await reconciler(for: part)
    let isFirst = state.prepared?.hop == nil
    try state.advance(to: hop)
    try await reconciler.apply(now, options: options(part))
    if isFirst, let prepared = state.prepared { awaitSettling(prepared) }
  }

  /// A change may cut the node off from whoever could take it back.
  private func awaitSettling(_ prepared: MemberState.Prepared) {
    guard prepared.revertAfterSeconds > 0 else { return }
    lapse?.cancel()
    lapse = Task {
      do { try await Task.sleep(for: .seconds(prepared.revertAfterSeconds)) } catch { return }
      do { try await self.abandon(revision: prepared.part.revision) } catch {
        self.log.error("going back to the revision before: \(error)")
      }
    }
  }

  /// What the prepared revision does not name is removed, and it is the node's own. Twice is harmless.
  func settle(revision: UInt64) async throws {
    if state.prepared == nil, state.settled?.revision == revision { return }
    let part = try prepared(revision)
    lapse?.cancel()
    let reconciler = await reconciler(for: part)
    try await reconciler.apply(part.relays, options: options(part))
    try state.settle()
    prober.follow(part.probes)
    store.keepOnly(state.extensionContents)
    log.info("revision \(revision) is settled: \(Figure.plural(part.relays.count, "relay"))")
  }

  /// Back to the revision that was settled last. Twice is harmless.
  func abandon(revision: UInt64) async throws {
    guard state.prepared?.part.revision == revision else { return }
    try await abandon()
  }

  private func abandon() async throws {
    guard let prepared = state.prepared else { return }
    lapse?.cancel()
    if prepared.hop != nil, let reconciler {
      let former = state.settled ?? prepared.part.emptied()
      try await reconciler.apply(former.relays, options: options(former))
    }
    try state.forgetPrepared()
    store.keepOnly(state.extensionContents)
    log.notice(
      "revision \(prepared.part.revision) is given up; \(settledRevision == 0 ? "nothing" : "revision \(settledRevision)") runs"
    )
  }

  private func prepared(_ revision: UInt64) throws -> NodePart {
    guard let prepared = state.prepared, prepared.part.revision == revision else {
      throw ControlError.otherRevision(asked: revision, here: preparedRevision)
    }
    return prepared.part
  }

  // MARK: What runs

  /// What should run at this moment of a deploy.
  private var now: [Relay] {
    let settled = state.settled?.relays ?? []
    guard let prepared = state.prepared, let hop = prepared.hop else { return settled }
    return Transition(from: settled, to: prepared.part.relays).relays(downTo: hop)
  }

  private func reconciler(for part: NodePart) async -> Reconciler {
    if let reconciler, runningTopology == part.topology { return reconciler }
    if let former = runningTopology {
      // It has no relay any more, or this part would have been refused. Its datapath would keep the next one from devices.
      await reconciler?.stop()
      let paths = NodePaths(topology: former, node: node)
      SandboxEngine.removeAll(pins: paths.pins.string, store: paths.extensions.string)
      UpcallEngine.removeAll(owner: paths.pins.string)
      rmdir(NodePaths.pinDirectory(topology: former).string)
      log.info("nothing of topology \(former) is left here")
    }
    let made = Reconciler(options: options(part), log: log)
    reconciler = made
    runningTopology = part.topology
    topologies.yield(Running(topology: part.topology, reconciler: made, prober: prober))
    return made
  }

  private func options(_ part: NodePart) -> Reconciler.Options {
    let paths = NodePaths(topology: part.topology, node: node)
    // Those of both revisions: former relays go on beside the new ones.
    let contents = part.extensionContents.union(state.extensionContents)
    return Reconciler.Options(
      engine: part.engine, scheduling: part.scheduling, pins: paths.pins.string, capacity: capacity,
      extensions: objects(contents), extensionStore: paths.extensions.string, limits: part.limits)
  }

  private func objects(of part: NodePart) -> [String: ExtensionObject] { objects(part.extensionContents) }

  private func objects(_ contents: Set<String>) -> [String: ExtensionObject] {
    Dictionary(
      contents.compactMap { content in store.object(content).map { (content, $0) } },
      uniquingKeysWith: { first, _ in first })
  }
}
