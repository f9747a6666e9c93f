/// What a node says of itself in one line.
struct NodeStatus: Sendable {
  let topology: String
  let reconciler: Reconciler
  let health: NodeHealth

  /// As `12 relays of three-hop: 10 sandbox, 2 process`, and why the node is not ready where it is not.
  func line() async -> ServiceNotice.Line {
    let engines = await reconciler.engines().sorted { $0.key.rawValue > $1.key.rawValue }
    let count = engines.reduce(0) { $0 + $1.value }
    let parts = engines.map { "\($0.value) \($0.key.rawValue)" }.joined(separator: ", ")
    let relays = "\(count) \(count == 1 ? "relay" : "relays") of \(topology)\(count == 0 ? "" : ": \(parts)")"
    return .status([relays, health.state.obstacle].compactMap { $0 }.joined(separator: "; "))
  }
}
