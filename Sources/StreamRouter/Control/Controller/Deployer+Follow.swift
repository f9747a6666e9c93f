/// Bringing nodes to what is in force that were not there when it was deployed, or could not take it on.
extension Deployer {
  /// A call that sees to one node.
  struct Following {
    var call: UInt64
    /// The pause before the next try.
    var wake: Task<Void, Never>?
  }

  /// Brings a node that said hello to what is in force, unless a deploy under way sees to it. Where the node cannot, it is
  /// asked again until it does: in pauses that grow, and at once after each deploy.
  func converge(_ hello: Hello) async {
    let (node, call) = (hello.node, takeOverFollowing(of: hello.node))
    defer { if following[node]?.call == call { following[node] = nil } }
    var hello = hello
    var pause = times.again.lowerBound
    while true {
      do {
        try await follow(hello)
        return
      } catch {
        guard !Task.isCancelled, await registry.isConnected(node), following[node]?.call == call else { return }
        await registry.noted(node, problem: "does not follow, and is asked again until it does: \(error)")
      }
      guard await sleep(pause, node, call) else { return }
      pause = min(pause * 2, times.again.upperBound)
      // Not while a deploy that it takes part in is under way: that would make it forget what it has prepared.
      while let deployment = (try? await store.deployment()) ?? nil, deployment.nodes.contains(node) {
        guard await sleep(times.again.lowerBound, node, call) else { return }
      }
      // Which may have brought it there.
      guard let entry = await registry.all()[node], entry.isConnected, entry.problem != nil else { return }
      // What it has prepared since is not known: it is asked to prepare again, which is harmless.
      hello.revision = entry.revision
      hello.prepared = 0
    }
  }

  /// Has all nodes that do not follow asked again at once.
  func askAgainNow() {
    for node in following.keys { following[node]?.wake?.cancel() }
  }

  /// - Returns: false: another call sees to the node, or nobody has to any more.
  private func sleep(_ pause: Duration, _ node: String, _ call: UInt64) async -> Bool {
    guard following[node]?.call == call else { return false }
    let wake = Task { _ = try? await Task.sleep(for: pause) }
    following[node]?.wake = wake
    await withTaskCancellationHandler {
      await wake.value
    } onCancel: {
      wake.cancel()
    }
    return !Task.isCancelled && following[node]?.call == call
  }

  /// One try.
  private func follow(_ hello: Hello) async throws {
    if let deployment = try await store.deployment() {
      // A deploy that prepares has asked everybody who was there; whoever comes back later refuses by his absence.
      if deployment.nodes.contains(hello.node), hello.prepared == deployment.revision.number { return }
      if deployment.nodes.contains(hello.node), deployment.phase == .preparing { return }
    }
    let current = try await store.current()
    guard hello.revision != current || hello.prepared != 0 else { return }
    if hello.prepared != 0, hello.prepared != current {
      _ = try await registry.ask(hello.node, .abandon(revision: hello.prepared), within: times.step)
    }
    guard hello.revision != current else { return }
    if hello.prepared != current {
      guard let part = try await part(of: hello.node) else { return }
      _ = try await registry.ask(hello.node, .prepare(part, revertAfterSeconds: 0), within: times.prepare)
    }
    _ = try await registry.ask(hello.node, .settle(revision: current), within: times.step)
    events.add(.converged, node: hello.node, "follows revision \(current)")
  }

  /// What a node runs by the revision in force. One that it does not name has nothing to relay.
  private func part(of node: String) async throws -> NodePart? {
    guard let inForce = try await inForce() else { return nil }
    return inForce.parts[node]
      ?? NodePart(
        topology: inForce.topology, node: node, revision: inForce.number, engine: .auto, scheduling: .other,
        relays: [], limits: [:])
  }
}
