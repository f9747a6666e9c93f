import CStreamRouter

#if canImport(Glibc)
  import Glibc
#endif

/// The worker: the process that a ``WorkerKeeper`` forks, in which extension code runs.
extension WorkerKeeper {
  /// What the forked process does, until it is told to leave or extension code ends it.
  mutating func work(keeper: pid_t) -> Never {
    sr_thread_begin("sr-worker", Int32(truncatingIfNeeded: plan.cpu ?? -1))
    if let failure = ProcessThread.schedule(plan.scheduling) { sr_worker_fail(shared, "\(failure)", 0) }
    lockDown(keeper: keeper)
    if shared.pointee.flow_is_kept == 0 {
      relay.pointee.flow.initialize(to: ProcessFlow())
      shared.pointee.flow_is_kept = 1
    }
    for (place, socket) in sockets.all.enumerated() {
      socket.pointee.resume(queueDrops: shared[queueDrops: place])
    }
    shared.pointee.ready = 1
    loop.serveUntilWoken()
    if shared.pointee.order == SR_ORDER_DRAIN.rawValue {
      for socket in sockets.all { loop.drain(socket) }
    }
    _exit(Int32(SR_WORKER_LEFT.rawValue))
  }

  /// Nothing of an extension runs before: its code is loaded between the two steps, and cannot run by being loaded
  /// (``NativeCode``).
  private func lockDown(keeper: pid_t) {
    let keep =
      sockets.all.map { $0.pointee.descriptor } + [mailbox.descriptors.epoll, mailbox.descriptors.wake]
    keep.withUnsafeBufferPointer { keep in
      var lockdown = sr_lockdown(
        parent: keeper, memory_bytes: Self.workerMemoryBytes, keep: keep.baseAddress,
        keep_count: Int32(keep.count),
        wake: mailbox.descriptors.wake)
      var step: UnsafePointer<CChar>?
      let begun = sr_lockdown_begin(&lockdown, &step)
      if begun != 0 { sr_worker_fail(shared, step, -begun) }
      for (place, use) in plan.extensions.enumerated() { load(place, use) }
      let watched = sr_chain_watch(shared)
      if watched != 0 { sr_worker_fail(shared, "setting the timer", -watched) }
      let finished = sr_lockdown_finish(&lockdown, &step)
      if finished != 0 { sr_worker_fail(shared, step, -finished) }
    }
  }

  private func load(_ place: Int, _ use: WorkerPlan.Extension) {
    let descriptor =
      sockets.all.map { $0.pointee.descriptor }.max()! + 1 + Int32(place)
    guard let run = sr_worker_load(descriptor, shared) else { _exit(Int32(SR_WORKER_FAILED.rawValue)) }
    let extensions = relay.pointee.chain!.extensions
    withUnsafeMutableBytes(of: &extensions.pointee.link) {
      $0.bindMemory(to: sr_link.self)[place] = sr_link(
        run: run, parameters: parameters[place], state: sr_worker_state(shared, UInt32(place)))
    }
  }
}
