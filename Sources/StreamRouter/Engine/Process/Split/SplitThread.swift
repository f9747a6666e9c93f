import CStreamRouter
import Topology

/// The thread that serves TCP in engine process, beside the one for datagrams: bytes in bulk do not make those wait.
/// Scheduled as that one is.
final class SplitThread: Sendable {
  let mailbox: SplitMailbox
  /// Those in force.
  let limits: SplitLimits
  private let thread: ScheduledThread

  /// - Throws: ``EngineError/unsupported(engine:reason:remedy:)`` where the user may not use the policy.
  init(scheduling: Scheduling, cpu: Int?, limits wanted: SplitLimits) throws(EngineError) {
    let files = Int(clamping: sr_open_files_raise())
    var limits = wanted
    limits.connections = max(1, min(limits.connections, files / SplitLimits.descriptorsPerConnection))
    let (mailbox, inForce) = (try SplitMailbox(), limits)
    self.mailbox = mailbox
    self.limits = limits
    thread = try ScheduledThread(name: "sr-split", scheduling: scheduling, cpu: cpu) {
      var loop = SplitLoop(mailbox: mailbox, limits: inForce)
      loop.run()
      loop.deallocate()
    }
  }

  deinit { stop() }

  /// Resets all connections and ends the thread. Harmless when repeated.
  func stop() {
    mailbox.close()
    thread.join()
  }
}
