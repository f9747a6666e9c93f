import CStreamRouter
import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// Engine `process`: relays on ordinary UDP sockets, all served by one thread of this process.
///
/// Needs no privileges (only scheduling rr and fifo do). Packets it sends are new ones: they carry the kernel's
/// default TTL, and the relay's DSCP or where it names none the code point that they came with. Datagrams larger than
/// the MTU towards a sink are dropped and counted, not fragmented.
///
/// Calls wait for the engine's thread, at most for one round of packets; nothing outlives the daemon.
public actor ProcessEngine: Engine {
  public nonisolated let choice = EngineChoice.process

  /// Tests hold it up to let packets wait.
  nonisolated let thread: ProcessThread
  private var running: [String: Running] = [:]
  private var isStopped = false

  /// A relay that runs, kept by the name of its stream.
  private struct Running: Sendable {
    var relay: Relay
    var memory: ProcessRelayMemory
  }

  /// Starts the engine's thread.
  /// - Parameters:
  ///   - scheduling: How the thread is scheduled (sched(7)).
  ///   - cpu: The processor that the thread stays on; nil leaves it to the scheduler.
  /// - Throws: ``EngineError/unsupported(engine:reason:remedy:)`` where the user may not use the policy.
  public init(scheduling: Scheduling = .other, cpu: Int? = nil) throws {
    thread = try ProcessThread(scheduling: scheduling, cpu: cpu)
  }

  deinit {
    thread.stop()
    for entry in running.values { entry.memory.release() }
  }

  public func add(_ relay: Relay) throws {
    try check(relay, replacing: nil)
    let memory = try ProcessRelayMemory(relay)
    do {
      try watch(memory.sockets, relay)
    } catch {
      memory.release()
      throw error
    }
    running[relay.stream] = Running(relay: relay, memory: memory)
  }

  /// Sockets whose address stays are kept, with all that waits in their queues.
  public func replace(_ old: Relay, with new: Relay) throws {
    guard let former = running[old.stream] else { return try add(new) }
    try check(new, replacing: old.stream)
    let keepsIngress = former.relay.ingress == new.ingress
    let keepsCompanion = keepsIngress && former.relay.transport == .rtp && new.transport == .rtp
    var next = former.memory
    var opened = ProcessSockets()
    do {
      if !keepsIngress {
        next.media = try ProcessRelayMemory.open(new, companion: false, next.relay)
        opened.all.append(next.media)
      }
      if !keepsCompanion {
        next.companion = nil
        if new.transport == .rtp {
          let companion = try ProcessRelayMemory.open(new, companion: true, next.relay)
          next.companion = companion
          opened.all.append(companion)
        }
      }
      try exchange(former, for: new, next, opened: opened)
    } catch {
      opened.close()
      throw error
    }
    running[old.stream] = nil
    running[new.stream] = Running(relay: new, memory: next)
  }

  public func remove(_ relay: Relay) throws {
    guard let former = running.removeValue(forKey: relay.stream) else { return }
    let sockets = former.memory.sockets
    thread.mailbox.run { loop in loop.retire(sockets) }
    former.memory.release()
  }

  public func snapshots() throws -> [RelaySnapshot] {
    let entries = Array(running.values)
    var snapshots: [RelaySnapshot] = []
    snapshots.reserveCapacity(entries.count)
    // A few at a time: packets wait no longer than for copying about 70 kB.
    for start in stride(from: 0, to: entries.count, by: 64) {
      let some = entries[start..<min(start + 64, entries.count)]
      let readings = thread.mailbox.run { _ in some.map { ProcessReading($0.memory) } }
      for (entry, reading) in zip(some, readings) { snapshots.append(reading.snapshot(of: entry.relay)) }
    }
    return snapshots
  }

  /// Empty: this engine sees no packets but those of its relays.
  public func datapath() throws -> [String: UInt64] { [:] }

  /// Stops all relays and ends the thread.
  public func stop() {
    guard !isStopped else { return }
    isStopped = true
    thread.stop()
    for entry in running.values { entry.memory.release() }
    running = [:]
  }

  /// Lets the engine's thread serve the sockets: all of them, or none where one cannot be watched.
  private func watch(_ sockets: ProcessSockets, _ relay: Relay) throws(EngineError) {
    let result = thread.mailbox.run { loop in loop.watch(sockets) }
    if result != 0 { throw cannotServe(relay, errno: result) }
  }

  /// Between two packets: serves the opened sockets, empties those that go, and changes the settings.
  private func exchange(
    _ former: Running, for new: Relay, _ memory: ProcessRelayMemory, opened: ProcessSockets
  ) throws(EngineError) {
    let old = former.relay
    let kept = memory.sockets.without(opened)
    let retired = former.memory.sockets.without(kept)
    let exchange = ProcessExchange(
      relay: memory.relay, settings: ProcessRelaySettings(new), restartsFlow: old.transport != new.transport)
    let (result, outdated) = thread.mailbox.run { loop in
      var result = kept.setDSCP(new.dscp, new.ingress)
      if result == 0 { result = loop.watch(opened) }
      if result != 0 {
        _ = kept.setDSCP(old.dscp, old.ingress)
        return (result, exchange)
      }
      // What still waits in a queue that goes away was sent to the relay as it was.
      loop.retire(retired)
      return (0, exchange.carryOut())
    }
    outdated.settings.deallocate()
    if result != 0 { throw cannotServe(new, errno: result) }
    retired.close()
  }

  private func cannotServe(_ relay: Relay, errno: Int32) -> EngineError {
    .failed(
      engine: choice, operation: "serving", subject: "the sockets of \(relay.ingress)", errno: errno,
      detail: "raise fs.epoll.max_user_watches if it is too small")
  }

  /// What sockets cannot do is refused before anything changes.
  private func check(_ relay: Relay, replacing former: String?) throws(EngineError) {
    precondition(!relay.sources.isEmpty && !relay.sinks.isEmpty, "Topology makes no relay without either.")
    precondition(relay.sinks.count <= Int(SR_MAX_SINKS.rawValue), "Topology lets no more sinks through.")
    func refuse(_ detail: String, errno: Int32 = EINVAL) -> EngineError {
      .failed(
        engine: choice, operation: "starting", subject: "stream \(relay.stream) on \(relay.ingress)",
        errno: errno,
        detail: detail)
    }
    if isStopped { throw refuse("the engine has been stopped: start the node again", errno: ESHUTDOWN) }
    if relay.stream != former, running[relay.stream] != nil {
      throw refuse("a stream of this name runs here already: replace it or remove it first", errno: EEXIST)
    }
    let isRTP = relay.transport == .rtp
    if isRTP, relay.ingress.port == .max {
      throw refuse("RTCP needs the next higher port, and there is none: choose a port below 65535")
    }
    if let dscp = relay.dscp, dscp > 63 {
      throw refuse("DSCP \(dscp) is no code point: they go from 0 to 63")
    }
    for sink in relay.sinks {
      if sink.destination.address.family != relay.ingress.address.family {
        throw refuse("sink \(sink.destination) is of another address family: give the stream one family")
      }
      if sink.source.address.family != relay.ingress.address.family || sink.source.port != relay.ingress.port {
        throw refuse(
          "packets to sink \(sink.destination) cannot leave from \(sink.source): the port must be that of the ingress"
        )
      }
      if isRTP, sink.destination.port == .max {
        throw refuse("RTCP to sink \(sink.destination) needs the next higher port: choose a port below 65535")
      }
    }
  }

  /// How often datagrams shared a message since the start.
  func coalesced() -> ProcessCoalescing {
    isStopped ? ProcessCoalescing() : thread.mailbox.run { loop in loop.coalesced }
  }
}
