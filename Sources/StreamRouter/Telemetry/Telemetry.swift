import Foundation
import Topology

/// Takes the snapshots of one node.
struct Telemetry: Sendable {
  let topology: String
  let node: String
  let reconciler: Reconciler
  private let startedNs = realtimeNs()

  init(topology: String, node: String, reconciler: Reconciler) {
    self.topology = topology
    self.node = node
    self.reconciler = reconciler
  }

  func snapshot() async throws -> NodeSnapshot {
    NodeSnapshot(
      topology: topology, node: node, timeNs: realtimeNs(), pid: getpid(), startedNs: startedNs,
      load: try NodeLoad.read(), datapath: try await reconciler.datapath(),
      relays: try await reconciler.snapshots())
  }
}

extension NodeLoad {
  /// Reads /proc/stat (proc(5)).
  static func read() throws -> NodeLoad {
    parse(
      try String(contentsOfFile: "/proc/stat", encoding: .utf8),
      ticksPerSecond: Double(sysconf(Int32(_SC_CLK_TCK))))
  }

  /// What the text of /proc/stat says; what it does not say counts as 0.
  static func parse(_ text: String, ticksPerSecond: Double) -> NodeLoad {
    var load = NodeLoad(runnableThreads: 0, processors: 0, softirqSeconds: 0, totalSeconds: 0)
    for line in text.split(separator: "\n") {
      let fields = line.split(separator: " ")
      guard let key = fields.first else { continue }
      if key == "procs_running" {
        // The reader itself runs while it reads.
        load.runnableThreads = max(0, (fields.dropFirst().first.flatMap { Int($0) } ?? 1) - 1)
      } else if key == "cpu" {
        // user nice system idle iowait irq softirq steal; guest times are within user and nice.
        let ticks = fields.dropFirst().prefix(8).map { Double($0) ?? 0 }
        load.totalSeconds = ticks.reduce(0, +) / ticksPerSecond
        load.softirqSeconds = (ticks.count > 6 ? ticks[6] : 0) / ticksPerSecond
      } else if key.hasPrefix("cpu") {
        load.processors += 1
      }
    }
    return load
  }
}
