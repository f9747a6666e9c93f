import Foundation
import Logging
import Topology

/// Carries deploys out on all nodes, in two phases: every node prepares, and only when all have does any change. Where one
/// cannot go on, all go back.
///
/// The store says what was decided before any node hears of it, so a controller that is killed at any moment and started
/// again gives the deploy up, or carries it through, and never leaves half of it.
actor Deployer {
  let store: any DesiredStore
  let registry: NodeRegistry
  let extensions: ControllerExtensions
  let events: EventLog
  let log: Logger
  let times: Times
  private var confirmation: Task<Void, Never>?
  /// A deploy is between its opening and its end within this controller.
  private var isDeploying = false
  /// A deploy that is over, of which the store could not be told.
  private var unclosed: Unclosed?
  /// Nodes that do not follow: each with the latest call that sees to it, and what wakes it before its time.
  var following: [String: Following] = [:]
  private var lastFollowing: UInt64 = 0
  /// What is in force, routed.
  private var routed: InForce?

  /// How long things may take.
  struct Times: Sendable {
    /// To look at a part, the verifier included.
    var prepare = Duration.seconds(30)
    /// To make one step; a node that is started again meanwhile is waited for.
    var step = Duration.seconds(10)
    /// Until packets of a stream have been seen at each hop.
    var verification = Duration.seconds(3)
    /// In which packets on a former way arrive.
    var drain = Duration.milliseconds(300)
    /// For nodes to come back after the controller was started.
    var gathering = Duration.seconds(15)
    /// Between two tries of what has to be done at last: doubled from one to the next, within these.
    var again = Duration.seconds(1)...Duration.seconds(30)
  }

  private struct Unclosed {
    var deployment: Deployment
    var outcome: Recorded.Outcome
    /// Tries again and again.
    var trying: Task<Void, Never>
  }

  init(
    store: any DesiredStore, registry: NodeRegistry, extensions: ControllerExtensions, events: EventLog,
    log: Logger,
    times: Times = Times()
  ) {
    self.store = store
    self.registry = registry
    self.extensions = extensions
    self.events = events
    self.log = log
    self.times = times
  }

  // MARK: Plan

  /// What an order would change.
  ///
  /// - Throws: ``DeployRefusal``.
  func plan(_ order: DeployOrder) async throws -> DeployPlan {
    let number = try await store.current()
    let former = number == 0 ? nil : try await store.revision(number)
    var wanted = Revision(
      number: try await store.nextNumber(), timeNs: realtimeNs(), who: order.who, file: order.file,
      topology: former?.topology ?? "", yaml: "", extensions: [:], changes: 0)
    switch order.wanted {
    case .nothing:
      guard let former, !former.isEmpty else { throw DeployRefusal(.invalid, "nothing is deployed") }
    case .revision(let number):
      guard let revision = try await store.revision(number) else {
        throw DeployRefusal(
          .invalid, "there is no revision \(number); 'streamrouter history' lists those that are kept")
      }
      (wanted.yaml, wanted.extensions, wanted.file) = (revision.yaml, revision.extensions, revision.file)
      wanted.topology = revision.topology
    case .topology(let yaml, let contents):
      wanted.yaml = yaml
      wanted.extensions = contents
      wanted.topology = try await decode(yaml, order.file, contents).name
    }
    if let former, !former.isEmpty, former.topology != wanted.topology {
      throw DeployRefusal(
        .invalid,
        "topology \(former.topology) is deployed here, and \(order.file) is \(wanted.topology): 'streamrouter destroy' ends the former"
      )
    }
    do { return try DeployPlan(from: former, to: wanted) } catch {
      throw DeployRefusal(.invalid, "\(error)")
    }
  }

  /// With the extensions checked by what was sent of them.
  private func decode(_ yaml: String, _ file: String, _ contents: [String: String]) async throws -> Topology {
    var manifests: [ExtensionManifest] = []
    for (name, content) in contents {
      guard let object = try await extensions.object(content), object.manifest.name == name else {
        throw DeployRefusal(.invalid, "extension \(name) was not sent")
      }
      manifests.append(object.manifest)
    }
    do {
      return try Topology.decode(yaml: yaml, file: file, extensions: ExtensionCatalog(manifests))
    } catch { throw DeployRefusal(.invalid, "\(error)") }
  }

  // MARK: Deploy

  /// What came of it.
  struct Done: Hashable, Sendable {
    var topology: String
    var revision: UInt64
    var nodes: Int
    var changes: Int
    var absent: [String] = []
    var confirmUntilNs: UInt64?
    /// Streams of which packets were seen at every hop after the change.
    var verified: [String] = []
    /// Streams of which no packet came in at the first hop.
    var idle: [String] = []
  }

  /// - Parameter progress: Told what is being done, in a few words.
  /// - Throws: ``DeployRefusal``; then everything is as it was, but where it names nodes that are unclear.
  func deploy(_ order: DeployOrder, progress: @Sendable (String) -> Void) async throws -> Done {
    try await store.claim()
    try await closeAtLast()
    if let other = try await store.deployment() {
      guard other.phase != .unconfirmed || isDeploying else {
        throw DeployRefusal(
          .busy,
          "revision \(other.revision.number) of \(other.revision.who) waits to be confirmed: 'streamrouter confirm', or wait until it reverts"
        )
      }
      throw DeployRefusal.busy(with: other)
    }
    let plan = try await plan(order)
    if plan.isEmpty {
      return Done(
        topology: plan.wanted.topology, revision: plan.former?.number ?? 0, nodes: plan.nodes.count, changes: 0)
    }
    // Whatever comes of it: who does not follow is asked again now, and not when his time comes.
    defer { askAgainNow() }
    var present: [String] = []
    for node in plan.nodes where await registry.isConnected(node) { present.append(node) }
    let absent = plan.nodes.filter { !present.contains($0) }
    let needed = absent.filter { plan.busyNodes.contains($0) }
    guard needed.isEmpty || order.partial else {
      throw DeployRefusal(
        .unreachable,
        "\(Self.list(needed, "is", "are")) not connected; start \(needed.count == 1 ? "it" : "them"), or go on without with --partial"
      )
    }
    var deployment = Deployment(
      revision: plan.wanted, former: plan.former?.number ?? 0, phase: .preparing, nodes: present,
      absent: absent,
      confirmSeconds: order.confirmSeconds)
    try await store.open(deployment)
    // Not before: an order that is refused here must not end another's.
    isDeploying = true
    defer { isDeploying = false }
    events.add(
      .deploying,
      "\(order.who) deploys revision \(plan.wanted.number): \(Figure.plural(plan.wanted.changes, "change"))")
    do {
      try await prepare(plan, deployment, progress)
      deployment.phase = .committing
      try await store.note(deployment)
      return try await commit(plan, &deployment, progress)
    } catch {
      throw await giveUp(plan, deployment, because: error)
    }
  }

  private func prepare(
    _ plan: DeployPlan, _ deployment: Deployment, _ progress: @Sendable (String) -> Void
  ) async throws {
    progress("preparing \(Figure.plural(deployment.nodes.count, "node"))")
    let failed = await registry.askAll(deployment.nodes, within: times.prepare) { node in
      .prepare(plan.parts[node]!, revertAfterSeconds: deployment.confirmSeconds)
    }
    guard failed.isEmpty else { throw DeployRefusal(.nodeRefused, Self.explain(failed)) }
  }

  /// The second phase, from wherever it stands: each step is harmless when made twice.
  private func commit(
    _ plan: DeployPlan, _ deployment: inout Deployment, _ progress: @Sendable (String) -> Void
  ) async throws -> Done {
    let (revision, taking) = (plan.wanted.number, Set(deployment.nodes))
    let before = await flowing(plan, taking)
    for step in plan.steps {
      let nodes = step.nodes.filter { taking.contains($0) }
      guard !nodes.isEmpty else { continue }
      progress("hop \(step.hop): \(Self.names(nodes))")
      let failed = await askPatiently(nodes) { _ in .advance(revision: revision, hop: step.hop) }
      guard failed.isEmpty else { throw DeployRefusal(.nodeRefused, Self.explain(failed)) }
    }
    let seen = try await verify(plan, taking, before, progress)
    var done = Done(
      topology: plan.wanted.topology, revision: revision, nodes: deployment.nodes.count,
      changes: plan.wanted.changes,
      absent: deployment.absent.filter { plan.busyNodes.contains($0) }, verified: seen.verified, idle: seen.idle
    )
    if deployment.confirmSeconds > 0 {
      let until = realtimeNs() + UInt64(deployment.confirmSeconds) * 1_000_000_000
      deployment.phase = .unconfirmed
      deployment.confirmUntilNs = until
      done.confirmUntilNs = until
      try await store.note(deployment)
      events.add(.deployed, "revision \(revision) runs, and is given up unless it is confirmed")
      awaitConfirmation(plan, deployment)
      return done
    }
    done.absent += try await settle(plan, deployment)
    return done
  }

  /// The point of no return is behind: a node that fails here converges when it is back.
  ///
  /// - Returns: Those nodes.
  @discardableResult
  private func settle(_ plan: DeployPlan, _ deployment: Deployment) async throws -> [String] {
    try? await Task.sleep(for: times.drain)
    try await store.close(deployment, outcome: .kept)
    let failed = await registry.askAll(deployment.nodes, within: times.step) { _ in
      .settle(revision: deployment.revision.number)
    }
    for (node, error) in failed {
      events.add(.problem, node: node, "follows later: \(error)")
      // One that went back by itself a moment before has forgotten the revision.
      if await registry.isConnected(node) {
        Task { await self.converge(Hello(node: node, version: "", revision: 0, prepared: 0)) }
      }
    }
    let word =
      deployment.revision.isEmpty ? "everything is removed" : Figure.plural(plan.wanted.changes, "change")
    events.add(.deployed, "revision \(deployment.revision.number) is in force: \(word)")
    await keepOnlyUsedExtensions()
    return failed.keys.sorted()
  }

  /// A node that is started again within the time of a step is asked again.
  private func askPatiently(
    _ nodes: [String], _ question: @Sendable (String) -> Question
  ) async -> [String: any Error] {
    let limit = ContinuousClock.now + times.step
    var failed = await registry.askAll(nodes, within: times.step, question)
    while ContinuousClock.now < limit {
      let again = failed.filter { if case ControlError.gone = $0.value { true } else { false } }.map(\.key)
      guard !again.isEmpty else { break }
      try? await Task.sleep(for: .milliseconds(50))
      let still = await registry.askAll(again, within: times.step, question)
      for node in again { failed[node] = still[node] }
    }
    return failed
  }

  // MARK: Back

  /// All nodes go back the way they came. Returns what to say of it.
  private func giveUp(_ plan: DeployPlan, _ deployment: Deployment, because error: any Error) async
    -> DeployRefusal
  {
    var refusal = error as? DeployRefusal ?? DeployRefusal(.failed, "\(error)")
    refusal.unclear = await revert(plan, deployment, outcome: .refused)
    events.add(.refused, "revision \(deployment.revision.number): \(refusal.description)")
    return refusal
  }

  /// - Returns: Nodes that could not be heard; they go back when they are.
  private func revert(_ plan: DeployPlan, _ deployment: Deployment, outcome: Recorded.Outcome) async -> [String]
  {
    var deployment = deployment
    let revision = deployment.revision.number
    if deployment.phase != .preparing {
      deployment.phase = .reverting
      do { try await store.note(deployment) } catch let error as ControlError where error.isOthersTurn {
        // Whoever is at work now sees to all nodes.
        log.error("\(error)")
        return deployment.nodes
      } catch { log.error("\(error)") }
      let steps = plan.steps
      for (place, step) in steps.enumerated().reversed() {
        let nodes = step.nodes.filter { deployment.nodes.contains($0) }
        // Back to where the step before had brought it; before the first, nothing has begun.
        let hop = place > 0 ? steps[place - 1].hop : Int(UInt16.max)
        _ = await registry.askAll(nodes, within: times.step) { _ in .advance(revision: revision, hop: hop) }
      }
      try? await Task.sleep(for: times.drain)
    }
    let failed = await registry.askAll(deployment.nodes, within: times.step) { _ in .abandon(revision: revision)
    }
    await close(deployment, outcome)
    await keepOnlyUsedExtensions()
    return failed.keys.sorted()
  }

  /// Notes that a deploy which was given up is over; where that cannot be written down, again and again until it can.
  private func close(_ deployment: Deployment, _ outcome: Recorded.Outcome) async {
    do { try await store.close(deployment, outcome: outcome) } catch let error as ControlError
      where error.isOthersTurn
    { log.error("\(error)") } catch {
      log.error("\(error)")
      events.add(
        .problem,
        "revision \(deployment.revision.number) is given up on all nodes, and nothing is deployed until that is written down: \(error)"
      )
      let trying = Task {
        var pause = times.again.lowerBound
        while (try? await Task.sleep(for: pause)) != nil, (try? await closeAtLast()) == nil {
          pause = min(pause * 2, times.again.upperBound)
        }
      }
      unclosed = Unclosed(deployment: deployment, outcome: outcome, trying: trying)
    }
  }

  /// Closes what is over, where it is still open.
  private func closeAtLast() async throws {
    guard let left = unclosed else { return }
    let number = left.deployment.revision.number
    do { try await store.close(left.deployment, outcome: left.outcome) } catch let error as ControlError
      where error.isOthersTurn
    {
      // It is closed: by a try beside this one, or by who deploys now.
    } catch {
      throw DeployRefusal(
        .failed,
        "revision \(number) was given up, and the next one has to wait until that is written down: \(error)")
    }
    guard unclosed?.deployment.revision.number == number else { return }
    left.trying.cancel()
    unclosed = nil
    events.add(.refused, "revision \(number) is noted as given up")
  }

  // MARK: Confirm

  private func awaitConfirmation(_ plan: DeployPlan, _ deployment: Deployment) {
    // The wall clock counts only from one life of a controller to the next, and a clock that was set must not make the
    // time longer than was asked for. From here on it is the time that passes.
    let left = Duration.nanoseconds(Int64(clamping: deployment.confirmUntilNs ?? 0) - Int64(realtimeNs()))
    let within = min(max(.zero, left), .seconds(deployment.confirmSeconds))
    confirmation?.cancel()
    confirmation = Task {
      do { try await Task.sleep(for: within) } catch { return }
      await self.lapse(plan, deployment)
    }
  }

  private func lapse(_ plan: DeployPlan, _ deployment: Deployment) async {
    guard !isDeploying, (try? await store.deployment())??.revision.number == deployment.revision.number else {
      return
    }
    isDeploying = true
    defer { isDeploying = false }
    _ = await revert(plan, deployment, outcome: .unconfirmed)
    events.add(.reverted, "revision \(deployment.revision.number) was not confirmed")
  }

  /// Keeps what waits to be confirmed.
  ///
  /// - Returns: Its number.
  /// - Throws: ``DeployRefusal`` where nothing waits.
  func confirm(who: String) async throws -> UInt64 {
    try await store.claim()
    guard let deployment = try await store.deployment(), deployment.phase == .unconfirmed, !isDeploying else {
      throw DeployRefusal(.invalid, "nothing waits to be confirmed")
    }
    isDeploying = true
    defer { isDeploying = false }
    confirmation?.cancel()
    events.add(.confirmed, "\(who) confirms revision \(deployment.revision.number)")
    try await settle(try await plan(of: deployment), deployment)
    return deployment.revision.number
  }

  // MARK: After a crash

  /// Takes up what a former controller left.
  func resume() async throws {
    guard var deployment = try await store.deployment() else { return }
    let plan = try await plan(of: deployment)
    let number = deployment.revision.number
    isDeploying = true
    defer { isDeploying = false }
    switch deployment.phase {
    case .preparing:
      // Nodes give it up when they say hello.
      await close(deployment, .refused)
      events.add(.refused, "revision \(number) was given up: the controller ended while nodes prepared")
      // Those that said hello before it was closed; the others give it up as they come.
      for entry in await registry.all().values where entry.hello.prepared != 0 { await converge(entry.hello) }
    case .reverting:
      await registry.wait(for: deployment.nodes, atMost: times.gathering)
      _ = await revert(plan, deployment, outcome: .refused)
      events.add(.refused, "revision \(number) was given up")
    case .committing:
      await registry.wait(for: deployment.nodes, atMost: times.gathering)
      do { _ = try await commit(plan, &deployment) { _ in } } catch {
        _ = await giveUp(plan, deployment, because: error)
      }
    case .unconfirmed:
      awaitConfirmation(plan, deployment)
    }
  }

  /// Another controller is at work from here on: waits until nothing is under way here. What is ends soon, as neither the
  /// store nor a node hears of this controller any more.
  func standDown() async {
    confirmation?.cancel()
    unclosed?.trying.cancel()
    unclosed = nil
    while isDeploying, !Task.isCancelled { try? await Task.sleep(for: .milliseconds(50)) }
  }

  private func plan(of deployment: Deployment) async throws -> DeployPlan {
    let former = deployment.former == 0 ? nil : try await store.revision(deployment.former)
    return try DeployPlan(from: former, to: deployment.revision)
  }

  // MARK: What is in force

  /// A revision and what each node runs by it.
  struct InForce: Sendable {
    var number: UInt64
    var topology: String
    var parts: [String: NodePart]
  }

  /// The revision in force, routed once: nodes that come back and those who look ask for it all the time.
  ///
  /// - Returns: nil: there is none yet.
  func inForce() async throws -> InForce? {
    let number = try await store.current()
    if let routed, routed.number == number { return routed }
    guard number != 0, let revision = try await store.revision(number) else { return nil }
    let found = InForce(number: number, topology: revision.topology, parts: try revision.parts())
    routed = found
    return found
  }

  /// A number for a call of ``converge(_:)``, which ends the former one of this node.
  func takeOverFollowing(of node: String) -> UInt64 {
    lastFollowing += 1
    following[node]?.wake?.cancel()
    following[node] = Following(call: lastFollowing)
    return lastFollowing
  }

  private func keepOnlyUsedExtensions() async {
    guard let kept = try? await store.revisions() else { return }
    await extensions.keepOnly(Set(kept.flatMap { $0.revision.extensions.values }))
  }

  // MARK: Words

  static func names(_ nodes: [String]) -> String {
    nodes.count > 6
      ? "\(nodes.prefix(5).joined(separator: ", ")) and \(nodes.count - 5) more" : nodes.joined(separator: ", ")
  }

  /// `node edge is`, `nodes edge, studio are`.
  static func list(_ nodes: [String], _ one: String, _ several: String) -> String {
    nodes.count == 1 ? "node \(nodes[0]) \(one)" : "nodes \(names(nodes)) \(several)"
  }

  private static func explain(_ failed: [String: any Error]) -> String {
    failed.sorted { $0.key < $1.key }.map { "\($0.value)" }.joined(separator: "\n")
  }

  static func time(_ ns: UInt64) -> String {
    Date(timeIntervalSince1970: Double(ns) / 1e9).formatted(.iso8601)
  }
}
