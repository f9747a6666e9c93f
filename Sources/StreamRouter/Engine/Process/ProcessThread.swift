import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// The thread of engine process that relays datagrams. It ends when this object does.
final class ProcessThread: Sendable {
  let mailbox: ProcessMailbox<ProcessLoop>
  private let thread: ScheduledThread

  /// Starts the thread.
  /// - Parameter cpu: The processor to stay on; nil leaves it to the scheduler.
  /// - Throws: ``EngineError/unsupported(engine:reason:remedy:)`` where the user may not use the policy.
  init(scheduling: Scheduling, cpu: Int?) throws(EngineError) {
    let mailbox = try ProcessMailbox<ProcessLoop>()
    self.mailbox = mailbox
    thread = try ScheduledThread(name: "sr-process", scheduling: scheduling, cpu: cpu) {
      var loop = ProcessLoop(mailbox: mailbox)
      loop.run()
      loop.deallocate()
    }
  }

  deinit { stop() }

  /// Ends the thread after its present round. Harmless when repeated.
  func stop() {
    mailbox.close()
    thread.join()
  }

  /// Schedules the calling thread. nil, or why it cannot.
  static func schedule(_ scheduling: Scheduling) -> EngineError? {
    let (policy, priority) = scheduling.policy
    var parameters = sched_param()
    parameters.sched_priority = Int32(clamping: priority)
    // SCHED_OTHER is set too: a thread inherits the policy of the one that made it.
    let result = pthread_setschedparam(pthread_self(), policy, &parameters)
    switch result {
    case 0: return nil
    case EPERM:
      return .unsupported(
        engine: .process,
        reason: "scheduling \(scheduling) is not permitted to this user",
        remedy: "give the node CAP_SYS_NICE or a real-time limit (LimitRTPRIO=), or use scheduling other")
    default:
      return .failed(
        engine: .process, operation: "setting", subject: "scheduling \(scheduling)",
        errno: result, detail: "priorities go from 1 to 99")
    }
  }
}
