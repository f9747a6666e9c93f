import Synchronization

/// Whether a node follows its topology: what the daemon's services note here, and `/readyz` and the metrics say.
final class NodeHealth: Sendable {
  /// What is known at one moment.
  struct State: Hashable, Sendable {
    /// How often the topology file was read again and followed, or refused.
    var followed: UInt64 = 0
    var refused: UInt64 = 0
    /// Why the latest change was refused; nil: it was followed, or there was none.
    var refusal: String?
    /// Why clocks and neighbours could not be refreshed, the latest time; nil: they could.
    var staleness: String?

    /// Whether the node runs what its file says.
    var isReady: Bool { refusal == nil && staleness == nil }

    /// Why the node is not ready, and what to do; nil: it is.
    var obstacle: String? {
      if let refusal {
        return
          "the latest change of the topology was refused, and the node runs what it ran before: \(refusal); correct the file and send SIGHUP"
      }
      if let staleness { return "the datapath could not be refreshed: \(staleness); the log says since when" }
      return nil
    }
  }

  private let guarded = Mutex(State())

  var state: State { guarded.withLock { $0 } }

  /// The file was read again and is in force.
  func followed() {
    guarded.withLock {
      $0.followed += 1
      $0.refusal = nil
    }
  }

  /// The file was read again and changed nothing.
  func refused(_ reason: String) {
    guarded.withLock {
      $0.refused += 1
      $0.refusal = reason
    }
  }

  /// The datapath was refreshed; or it was not, for a reason.
  func refreshed(problem: String?) { guarded.withLock { $0.staleness = problem } }
}
