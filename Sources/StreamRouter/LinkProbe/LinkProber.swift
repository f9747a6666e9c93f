import CStreamRouter
import Foundation
import Logging
import Synchronization
import Topology

/// Probes the links of this node and answers the probes of its peers, in a thread of its own: neither waits for Swift's
/// tasks.
///
/// One for a daemon, whatever topology it follows.
final class LinkProber: Sendable {
  /// What the thread and those who ask share.
  struct State: Sendable {
    /// What is wanted, and how often that changed.
    var wanted: NodeProbes?
    var changes = 0
    var isEnding = false
    /// The epoll descriptor and what wakes the thread; nil while there is none.
    var watch: sr_watch?
    var sessions: [LinkProbeSession] = []
    var reflectors: [IPAddress: LinkReflector] = [:]
    /// Why an address does not answer.
    var problems: [IPAddress: String] = [:]
  }

  private let state: Mutex<State> = Mutex(State())
  private let log: Logger

  init(log: Logger) { self.log = log }

  /// Probes these links from now on; nil: none. Sessions of links that stay go on.
  func follow(_ probes: NodeProbes?) {
    let starts = state.withLock { state -> Bool in
      guard !state.isEnding, state.wanted != probes else { return false }
      state.wanted = probes
      state.changes += 1
      if let watch = state.watch {
        withUnsafePointer(to: watch) { sr_watch_wake($0) }
        return false
      }
      guard probes != nil else { return false }
      var watch = sr_watch()
      let result = sr_watch_open(&watch)
      guard result == 0 else {
        log.error("links are not probed: no descriptor to wait on (errno \(-result))")
        return false
      }
      state.watch = watch
      return true
    }
    guard starts else { return }
    Thread.detachNewThread { [self] in
      sr_thread_begin("sr-probe", -1)
      var loop = LinkProbeLoop(prober: self, log: log)
      loop.run()
    }
  }

  /// Ends the thread; it closes its sockets itself, at once.
  func stop() {
    state.withLock { state in
      state.isEnding = true
      if let watch = state.watch { withUnsafePointer(to: watch) { sr_watch_wake($0) } }
    }
  }

  /// The account of each link, in the order of the topology.
  func snapshots() -> [LinkSnapshot] {
    state.withLock { state in
      state.sessions.map { session in
        var account = session.account
        account.reflected = state.reflectors[account.local]?.answered(account.remote.address) ?? 0
        account.problem = account.problem ?? state.problems[account.local]
        return account
      }
    }
  }

  /// For the thread.
  func withState<Result>(_ body: (inout sending State) -> sending Result) -> sending Result {
    state.withLock(body)
  }
}
