import Foundation
import Topology

/// Takes the snapshots of one node.
struct Telemetry: Sendable {
  let topology: String
  let node: String
  let reconciler: Reconciler
  let prober: LinkProber
  private let startedNs = realtimeNs()
  private let load = NodeLoadReader()

  init(topology: String, node: String, reconciler: Reconciler, prober: LinkProber) {
    self.topology = topology
    self.node = node
    self.reconciler = reconciler
    self.prober = prober
  }

  func snapshot() async throws -> NodeSnapshot {
    NodeSnapshot(
      topology: topology, node: node, timeNs: realtimeNs(), pid: getpid(), startedNs: startedNs,
      load: await load.read(), datapath: try await reconciler.datapath(),
      relays: try await reconciler.snapshots(), links: prober.snapshots())
  }
}
