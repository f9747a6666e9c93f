import CStreamRouter
import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// Engine `process`: relays on ordinary sockets, served by one thread of this process for datagrams and another one for
/// TCP, where each connection ends and another one goes on (split mode).
///
/// Needs no privileges (only scheduling rr and fifo do). Packets it sends are new ones: they carry the kernel's
/// default TTL, and the relay's DSCP or where it names none the code point that they came with. Datagrams larger than
/// the MTU towards a sink are dropped and counted, not fragmented.
///
/// A relay with extensions runs in a process of its own, its worker, which can do nothing but relay: whatever extension
/// code does, it costs that relay some milliseconds (``ProcessWorker``).
///
/// Calls wait for the engine's thread, at most for one round of packets, and where a relay has extensions for the start
/// and the end of a worker, some tens of milliseconds; nothing outlives the daemon.
public actor ProcessEngine: Engine {
  public nonisolated let choice = EngineChoice.process

  /// Tests hold it up to let packets wait.
  nonisolated let thread: ProcessThread
  let scheduling: Scheduling
  let cpu: Int?
  /// Finds the built extension that a relay uses.
  let installed: ExtensionSource
  /// What workers are started from.
  let program: String
  let notice: @Sendable (String) -> Void
  /// By the names of the streams.
  private(set) var running: [String: ProcessRunning] = [:]
  var nextStream: UInt32 = 0
  private var peers = PeerLedger()
  /// Protocol tcp, by the names of the streams.
  var splits: [String: SplitRunning] = [:]
  /// nil before the first relay of protocol tcp.
  var splitThread: SplitThread?
  let splitLimits: SplitLimits
  private var isStopped = false

  /// Starts the engine's thread.
  /// - Parameters:
  ///   - scheduling: How the thread and the workers are scheduled (sched(7)).
  ///   - cpu: The processor that they stay on; nil leaves it to the scheduler.
  ///   - extensions: Finds the built extension that a relay uses.
  ///   - program: This program: workers are started from it, by the arguments that ``WorkerKeeper`` names.
  ///   - notice: Called with each crash of extension code, in words.
  /// - Throws: ``EngineError/unsupported(engine:reason:remedy:)`` where the user may not use the policy.
  public init(
    scheduling: Scheduling = .other, cpu: Int? = nil,
    extensions: @escaping ExtensionSource = noExtensions,
    program: String = "/proc/self/exe", notice: @escaping @Sendable (String) -> Void = { _ in }
  ) throws {
    try self.init(
      scheduling: scheduling, cpu: cpu, extensions: extensions, program: program, split: SplitLimits(),
      notice: notice)
  }

  init(
    scheduling: Scheduling = .other, cpu: Int? = nil,
    extensions: @escaping ExtensionSource = noExtensions,
    program: String = "/proc/self/exe", split: SplitLimits,
    notice: @escaping @Sendable (String) -> Void = { _ in }
  ) throws {
    splitLimits = split
    self.scheduling = scheduling
    self.cpu = cpu
    installed = extensions
    self.program = program
    self.notice = notice
    thread = try ProcessThread(scheduling: scheduling, cpu: cpu)
  }

  deinit {
    thread.stop()
    for entry in running.values { entry.release() }
    splitThread?.stop()
    for entry in splits.values { entry.release() }
  }

  public func add(_ relay: Relay) throws {
    try check(relay, replacing: nil)
    if relay.transport == .tcp { return try addSplit(relay) }
    let memory = try ProcessRelayMemory(relay)
    do {
      let extended = try extend(relay, memory, former: nil)
      if let extended { extended.worker.go() } else { try watch(memory.sockets, relay) }
      running[relay.stream] = ProcessRunning(relay: relay, memory: memory, extended: extended)
      peers.begin(relay.stream)
    } catch {
      memory.release()
      throw error
    }
  }

  /// Sockets whose address stays are kept, with all that waits in their queues.
  public func replace(_ old: Relay, with new: Relay) throws {
    if let former = splits[old.stream] {
      try check(new, replacing: old.stream)
      return try replaceSplit(former, with: new)
    }
    guard let former = running[old.stream] else { return try add(new) }
    try check(new, replacing: old.stream)
    var next = former.memory
    var opened = ProcessSockets()
    var runs: ProcessRunning
    do {
      next.listening = []
      for listener in new.listeners {
        if let same = former.memory.listening.first(where: { $0.listener == listener }) {
          next.listening.append(same)
        } else {
          let listening = try ProcessRelayMemory.open(listener, of: new, next.relay)
          next.listening.append(listening)
          opened.all.append(listening.socket)
        }
      }
      runs = ProcessRunning(relay: new, memory: next)
      runs.extended = try extend(new, next, former: former)
      if runs.extended != nil || former.extended != nil {
        try handOver(former, to: runs, opened: opened)
      } else {
        try exchange(former, for: new, next, opened: opened)
      }
      running[old.stream] = nil
      running[new.stream] = runs
      peers.rename(old.stream, to: new.stream)
      if former.relay.transport != new.transport { peers.restart(new.stream) }
    } catch {
      opened.close()
      throw error
    }
  }

  public func remove(_ relay: Relay) throws {
    if let former = splits[relay.stream] { return removeSplit(former) }
    guard let former = running.removeValue(forKey: relay.stream) else { return }
    let sockets = former.memory.sockets
    if let extended = former.extended {
      extended.worker.stop(drain: true)
    } else {
      thread.mailbox.run { loop in loop.retire(sockets) }
    }
    former.memory.release()
    peers.forget(relay.stream)
  }

  public func snapshots() throws -> [RelaySnapshot] {
    refresh()
    var rates: [UInt32: UInt32] = [:]
    let entries = running.values.filter { $0.extended == nil }
    var snapshots: [RelaySnapshot] = []
    snapshots.reserveCapacity(running.count)
    for entry in running.values {
      guard let worker = entry.extended?.worker else { continue }
      let reading = worker.memory.reading(entry.memory.sockets, clockRate: entry.relay.clockRate)
      rates.merge(reading.clockRates) { $1 }
      var snapshot = reading.snapshot(of: entry.relay)
      snapshot.worker = worker.account
      snapshot.extensions = zip(entry.relay.extensions, extensionAccounts(of: entry.relay.stream)).compactMap {
        use, account in (try? installed(use)).map { ExtensionSnapshot($0, account) }
      }
      snapshots.append(snapshot)
    }
    // A few at a time: packets wait no longer than for copying about 70 kB.
    for start in stride(from: 0, to: entries.count, by: 64) {
      let some = entries[start..<min(start + 64, entries.count)]
      let readings = thread.mailbox.run { _ in some.map { ProcessReading($0.memory) } }
      for (entry, reading) in zip(some, readings) {
        rates.merge(reading.clockRates) { $1 }
        snapshots.append(reading.snapshot(of: entry.relay))
      }
    }
    for place in snapshots.indices where snapshots[place].transport == .rtp {
      snapshots[place].peers = peers.account(of: snapshots[place].stream) { rates[$0] }
    }
    return snapshots + splitSnapshots()
  }

  /// Reads the RTCP that came, before later packets take its place; call it every few seconds.
  public func refresh() {
    guard !isStopped else { return }
    let entries = running.values.filter { $0.relay.transport == .rtp }
    for entry in entries {
      guard let shared = entry.extended?.worker.memory.shared else { continue }
      let stream = entry.relay.stream
      peers.take(ReportReading(shared.reports, since: peers.mark(of: stream)), of: stream)
    }
    let plain = entries.filter { $0.extended == nil }
    for start in stride(from: 0, to: plain.count, by: 64) {
      let some = plain[start..<min(start + 64, plain.count)].map {
        (memory: $0.memory, mark: peers.mark(of: $0.relay.stream))
      }
      let readings = thread.mailbox.run { _ in
        some.map { ReportReading($0.memory.relay.pointee.reports, since: $0.mark) }
      }
      for (entry, reading) in zip(plain[start...], readings) { peers.take(reading, of: entry.relay.stream) }
    }
    peers.resolve()
  }

  /// Empty: this engine sees no packets but those of its relays.
  public func datapath() throws -> [String: UInt64] { [:] }

  /// Stops all relays and ends the threads.
  public func stop() {
    guard !isStopped else { return }
    isStopped = true
    thread.stop()
    for entry in running.values { entry.release() }
    running = [:]
    stopSplit()
  }

  /// Lets the engine's thread serve the sockets: all of them, or none where one cannot be watched.
  private func watch(_ sockets: ProcessSockets, _ relay: Relay) throws(EngineError) {
    let result = thread.mailbox.run { loop in loop.watch(sockets) }
    if result != 0 { throw cannotServe(relay, errno: result) }
  }

  /// Between two packets: serves the opened sockets, empties those that go, and changes the settings.
  private func exchange(
    _ former: ProcessRunning, for new: Relay, _ memory: ProcessRelayMemory, opened: ProcessSockets
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

  func cannotServe(_ relay: Relay, errno: Int32) -> EngineError {
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
    if relay.stream != former, running[relay.stream] != nil || splits[relay.stream] != nil {
      throw refuse("a stream of this name runs here already: replace it or remove it first", errno: EEXIST)
    }
    if relay.transport == .tcp {
      precondition(relay.sinks.count == 1 && relay.extensions.isEmpty, "Topology lets neither through for TCP.")
      if relay.mode == .packet {
        throw EngineError.unsupported(
          engine: choice,
          reason:
            "stream \(relay.stream) asks for mode packet, in which segments pass through the kernel's datapath",
          remedy: "let engine sandbox run it ('engine: auto' or 'engine: sandbox'), or write 'mode: split'")
      }
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
      // TCP's is left to the kernel.
      let hasPort = relay.transport == .tcp || sink.source.port == relay.ingress.port
      if sink.source.address.family != relay.ingress.address.family || !hasPort {
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
