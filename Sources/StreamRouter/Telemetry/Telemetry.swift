import Foundation
import Topology

/// Takes the snapshots of one node.
struct Telemetry: Sendable {
  let topology: String
  let node: String
  let reconciler: Reconciler
  private let startedNs = realtimeNs()
  private let load = NodeLoadReader()

  init(topology: String, node: String, reconciler: Reconciler) {
    self.topology = topology
    self.node = node
    self.reconciler = reconciler
  }

  func snapshot() async throws -> NodeSnapshot {
    NodeSnapshot(
      topology: topology, node: node, timeNs: realtimeNs(), pid: getpid(), startedNs: startedNs,
      load: await load.read(), datapath: try await reconciler.datapath(),
      relays: try await reconciler.snapshots())
  }
}
