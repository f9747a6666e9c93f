import CStreamRouter
import Synchronization
import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// The one thread of engine process, and how it is scheduled. It ends when this object does.
final class ProcessThread: Sendable {
  let mailbox: ProcessMailbox
  /// nil once it has ended.
  private let thread: Mutex<pthread_t?>

  /// Starts the thread.
  /// - Parameter cpu: The processor to stay on; nil leaves it to the scheduler.
  /// - Throws: ``EngineError/unsupported(engine:reason:remedy:)`` where the user may not use the policy.
  init(scheduling: Scheduling, cpu: Int?) throws(EngineError) {
    let mailbox = try ProcessMailbox()
    self.mailbox = mailbox
    let start = Start(mailbox: mailbox, scheduling: scheduling, cpu: cpu)
    var thread = pthread_t()
    let retained = Unmanaged.passRetained(start)
    let result = pthread_create(
      &thread, nil,
      { context in
        Unmanaged<Start>.fromOpaque(context!).takeRetainedValue().main()
        return nil
      }, retained.toOpaque())
    guard result == 0 else {
      retained.release()
      throw .failed(
        engine: .process, operation: "starting", subject: "its thread", errno: result,
        detail: "raise the limit of threads (ulimit -u, TasksMax=)")
    }
    self.thread = Mutex(thread)
    if let failure = start.outcome.wait() {
      stop()
      throw failure
    }
  }

  deinit { stop() }

  /// Ends the thread after its present round. Harmless when repeated.
  func stop() {
    thread.withLock { thread in
      guard let running = thread else { return }
      mailbox.close()
      pthread_join(running, nil)
      thread = nil
    }
  }

  /// What the thread takes with it into its life.
  private final class Start: Sendable {
    let mailbox: ProcessMailbox
    let scheduling: Scheduling
    let cpu: Int?
    let outcome = ProcessReply<EngineError?>()

    init(mailbox: ProcessMailbox, scheduling: Scheduling, cpu: Int?) {
      self.mailbox = mailbox
      self.scheduling = scheduling
      self.cpu = cpu
    }

    func main() {
      // The node's signals are for its other threads.
      var signals = sigset_t()
      sigfillset(&signals)
      pthread_sigmask(SIG_SETMASK, &signals, nil)
      if let failure = place() ?? ProcessThread.schedule(scheduling) {
        outcome.give(failure)
        return
      }
      var loop = ProcessLoop(mailbox: mailbox)
      outcome.give(nil)
      loop.run()
      loop.deallocate()
    }

    private func place() -> EngineError? {
      let result = sr_thread_begin("sr-process", Int32(truncatingIfNeeded: cpu ?? -1))
      if result == 0 { return nil }
      return .failed(
        engine: .process, operation: "binding its thread to", subject: "processor \(cpu ?? -1)", errno: -result,
        detail: "choose one that this process may use (taskset -p, AllowedCPUs=)")
    }
  }

  /// Schedules the calling thread. nil, or why it cannot.
  static func schedule(_ scheduling: Scheduling) -> EngineError? {
    let (policy, name, priority): (Int32, String, Int) =
      switch scheduling {
      case .other: (SCHED_OTHER, "other", 0)
      case .rr(let priority): (SCHED_RR, "rr", priority)
      case .fifo(let priority): (SCHED_FIFO, "fifo", priority)
      }
    var parameters = sched_param()
    parameters.sched_priority = Int32(clamping: priority)
    // SCHED_OTHER is set too: a thread inherits the policy of the one that made it.
    let result = pthread_setschedparam(pthread_self(), policy, &parameters)
    switch result {
    case 0: return nil
    case EPERM:
      return .unsupported(
        engine: .process,
        reason: "scheduling \(name) with priority \(priority) is not permitted to this user",
        remedy: "give the node CAP_SYS_NICE or a real-time limit (LimitRTPRIO=), or use scheduling other")
    default:
      return .failed(
        engine: .process, operation: "setting", subject: "scheduling \(name) with priority \(priority)",
        errno: result, detail: "priorities go from 1 to 99")
    }
  }
}
