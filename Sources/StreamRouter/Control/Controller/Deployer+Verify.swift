import Topology

/// Seeing that streams still arrive: what came in at each hop before and after the change.
extension Deployer {
  /// Packets that came in at the relays of nodes.
  struct Arrivals: Sendable {
    private var counts: [String: [String: UInt64]] = [:]

    mutating func note(_ stream: String, _ node: String, _ count: UInt64) {
      counts[stream, default: [:]][node] = count
    }

    func at(_ relay: Relay) -> UInt64 { counts[relay.stream]?[relay.node] ?? 0 }
    /// Whether its node told.
    func isKnown(_ relay: Relay) -> Bool { counts[relay.stream]?[relay.node] != nil }
  }

  /// What arrived until now at the relays of these nodes.
  private func arrivals(_ plan: DeployPlan, _ taking: Set<String>) async -> Arrivals {
    let nodes = plan.busyNodes.filter { taking.contains($0) }
    var found = Arrivals()
    for (node, snapshot) in await registry.snapshots(of: nodes) {
      for relay in snapshot.relays { found.note(relay.stream, node, relay.counters["packets_in"] ?? 0) }
    }
    return found
  }

  /// Streams of which packets come in at the first hop, before the change.
  func flowing(_ plan: DeployPlan, _ taking: Set<String>) async -> Set<String> {
    let first = plan.formerParts.values.flatMap(\.relays).filter { $0.hop == 0 }
    guard !first.isEmpty else { return [] }
    let before = await arrivals(plan, taking)
    try? await Task.sleep(for: .milliseconds(200))
    let after = await arrivals(plan, taking)
    return Set(first.filter { after.at($0) > before.at($0) }.map(\.stream))
  }

  /// Waits until packets of each stream that flows have come in at every hop.
  ///
  /// - Throws: ``DeployRefusal``: a stream that flowed before does not arrive any more.
  func verify(
    _ plan: DeployPlan, _ taking: Set<String>, _ before: Set<String>, _ progress: @Sendable (String) -> Void
  ) async throws -> (verified: [String], idle: [String]) {
    var changed: Set<String> = []
    for change in plan.plan.changes {
      if case .remove = change { continue }
      changed.insert(change.relay.stream)
    }
    let relays = plan.parts.values.flatMap(\.relays)
      .filter { changed.contains($0.stream) && taking.contains($0.node) }
    let hops = Dictionary(grouping: relays, by: \.stream)
    guard !hops.isEmpty else { return ([], []) }
    progress("verifying \(Figure.plural(hops.count, "stream"))")
    let start = await arrivals(plan, taking)
    let limit = ContinuousClock.now + times.verification
    var silent: [String: [Relay]] = hops
    var broken: [String] = []
    var now = start
    repeat {
      try? await Task.sleep(for: .milliseconds(100))
      now = await arrivals(plan, taking)
      silent = hops.mapValues { [now] relays in relays.filter { now.at($0) <= start.at($0) } }
      // A stream that nobody sends is no reason to wait.
      broken = hops.keys.filter { before.contains($0) && silent[$0]?.isEmpty == false }.sorted()
    } while ContinuousClock.now < limit && !broken.isEmpty
    if let stream = broken.first, let relays = silent[stream] {
      let nodes = relays.sorted { $0.hop < $1.hop }.map(\.node)
      let mute = relays.filter { !now.isKnown($0) }.sorted { $0.hop < $1.hop }.map(\.node)
      guard mute.isEmpty else {
        throw DeployRefusal(
          .failed,
          "whether stream \(stream) still arrives is not known: \(Self.list(mute, "does", "do")) not answer after the change"
        )
      }
      throw DeployRefusal(
        .failed,
        "stream \(stream) came in before the change and does not arrive at \(Self.names(nodes)) after it")
    }
    let verified = hops.keys.filter { silent[$0]?.isEmpty == true }.sorted()
    return (verified, hops.keys.filter { !verified.contains($0) }.sorted())
  }
}
