import Foundation
import Topology

/// The threads that softirq work goes on in once it overruns its time: ksoftirqd/N, one for each processor of the
/// machine. They are scheduled like any other thread, so a relay that is busy all the time competes with programs there,
/// unless they have a real-time policy (sched(7)).
///
/// Those that were given one here are marked in the kernel itself, by SCHED_RESET_ON_FORK, which means nothing to a
/// thread that never forks: whoever removes a node finds them without any record, and leaves alone those that somebody
/// else raised.
struct SoftirqThreads {
  /// How they are scheduled by this node.
  private var scheduling = Scheduling.other
  /// As they were found last.
  private var threads: [Int: pid_t] = [:]

  /// SCHED_RESET_ON_FORK (linux/sched.h).
  private static let mark: Int32 = 0x4000_0000

  /// Schedules them so from now on.
  mutating func schedule(_ scheduling: Scheduling) throws(EngineError) {
    guard scheduling != self.scheduling else { return }
    threads = Self.all()
    try Self.schedule(scheduling, threads.values, again: true)
    self.scheduling = scheduling
  }

  /// Schedules those that need it: a processor may be new, and another node that was removed has put all threads back.
  mutating func keep() throws(EngineError) {
    guard scheduling != .other else { return }
    if threads.count != sysconf(Int32(_SC_NPROCESSORS_ONLN)) { threads = Self.all() }
    try Self.schedule(scheduling, threads.values, again: false)
  }

  /// The threads by processor. Empty where this process sees none, as in a container with its own process ids.
  static func all() -> [Int: pid_t] {
    var found: [Int: pid_t] = [:]
    for name in LabFiles.list(.init("/proc")) {
      guard let pid = pid_t(name),
        let word = LabFiles.read(.init("/proc/\(pid)/comm")), word.hasPrefix("ksoftirqd/"),
        let processor = Int(word.dropFirst("ksoftirqd/".count).dropLast()),
        // Any program may bear that name; the kernel's threads alone have no memory of their own.
        LabFiles.read(.init("/proc/\(pid)/statm"))?.hasPrefix("0 ") == true
      else { continue }
      found[processor] = pid
    }
    return found
  }

  /// Gives threads the policy: those without a real-time one, and with `again` also those that were given one here.
  ///
  /// - Throws: ``EngineError/unsupported(engine:reason:remedy:)`` where this user may not, or sees no such thread.
  static func schedule(_ scheduling: Scheduling, _ threads: some Collection<pid_t>, again: Bool)
    throws(EngineError)
  {
    let (policy, priority) = scheduling.policy
    guard policy != SCHED_OTHER else { return putBack(threads) }
    guard !threads.isEmpty else {
      throw .unsupported(
        engine: .sandbox, reason: "scheduling \(scheduling): no thread ksoftirqd is to be seen from here",
        remedy: "run the node in the machine's own namespace of process ids, or remove 'scheduling:'")
    }
    for thread in threads {
      let present = sched_getscheduler(thread)
      guard present == SCHED_OTHER || again && present & mark != 0 else { continue }
      var parameters = sched_param()
      parameters.sched_priority = Int32(clamping: priority)
      guard sched_setscheduler(thread, policy | mark, &parameters) != 0 else { continue }
      switch errno {
      case EPERM:
        throw .unsupported(
          engine: .sandbox,
          reason: "scheduling \(scheduling) of the threads ksoftirqd is not permitted to this user",
          remedy: "give the node CAP_SYS_NICE, or remove 'scheduling:'")
      // A processor was taken away meanwhile.
      case ESRCH: continue
      case let error:
        throw .failed(
          engine: .sandbox, operation: "setting", subject: "scheduling \(scheduling) of ksoftirqd",
          errno: error,
          detail: "priorities go from 1 to 99")
      }
    }
  }

  /// Gives those that were raised here the usual policy again. Harmless when repeated.
  static func putBack(_ threads: some Collection<pid_t> = all().values) {
    for thread in threads where sched_getscheduler(thread) > 0 && sched_getscheduler(thread) & mark != 0 {
      var parameters = sched_param()
      sched_setscheduler(thread, SCHED_OTHER, &parameters)
    }
  }
}

extension Scheduling {
  /// The kernel's number of the policy, and the priority.
  var policy: (number: Int32, priority: Int) {
    switch self {
    case .other: (SCHED_OTHER, 0)
    case .rr(let priority): (SCHED_RR, priority)
    case .fifo(let priority): (SCHED_FIFO, priority)
    }
  }
}
