import CStreamRouter
import Synchronization
import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// A thread of engine process with a name, a scheduling policy and, where asked, a processor of its own.
final class ScheduledThread: Sendable {
  /// nil once it has ended.
  private let thread: Mutex<pthread_t?>

  /// Starts the thread, which runs `body` once it is scheduled as asked.
  /// - Parameters:
  ///   - name: At most 15 bytes.
  ///   - cpu: The processor to stay on; nil leaves it to the scheduler.
  /// - Throws: ``EngineError/unsupported(engine:reason:remedy:)`` where the user may not use the policy.
  init(
    name: String, scheduling: Scheduling, cpu: Int?, body: @escaping @Sendable () -> Void
  ) throws(EngineError) {
    let start = Start(name: name, scheduling: scheduling, cpu: cpu, body: body)
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
      join()
      throw failure
    }
  }

  /// Waits until `body` has returned. Harmless when repeated.
  func join() {
    thread.withLock { thread in
      guard let running = thread else { return }
      pthread_join(running, nil)
      thread = nil
    }
  }

  /// What the thread takes with it into its life.
  private final class Start: Sendable {
    let name: String
    let scheduling: Scheduling
    let cpu: Int?
    let body: @Sendable () -> Void
    let outcome = ProcessReply<EngineError?>()

    init(name: String, scheduling: Scheduling, cpu: Int?, body: @escaping @Sendable () -> Void) {
      self.name = name
      self.scheduling = scheduling
      self.cpu = cpu
      self.body = body
    }

    func main() {
      // The node's signals are for its other threads. A peer that went away raises none here.
      var signals = sigset_t()
      sigfillset(&signals)
      pthread_sigmask(SIG_SETMASK, &signals, nil)
      let failure = place() ?? ProcessThread.schedule(scheduling)
      outcome.give(failure)
      if failure == nil { body() }
    }

    private func place() -> EngineError? {
      let result = sr_thread_begin(name, Int32(truncatingIfNeeded: cpu ?? -1))
      if result == 0 { return nil }
      return .failed(
        engine: .process, operation: "binding its thread to", subject: "processor \(cpu ?? -1)", errno: -result,
        detail: "choose one that this process may use (taskset -p, AllowedCPUs=)")
    }
  }
}
