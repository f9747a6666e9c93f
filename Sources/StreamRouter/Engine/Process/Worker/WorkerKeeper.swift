import CStreamRouter
import Foundation
import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// The process between the daemon and the worker of one relay: `streamrouter node worker`, started by the daemon only.
///
/// It has one thread, holds everything ready, forks the worker and waits for its end. A worker that ends unasked is
/// replaced at once, or after a pause where that happens again within a second. It ends with the daemon, as its end of
/// the control socket tells it, and the worker ends with it.
public struct WorkerKeeper {
  /// What the daemon starts its own program with.
  public static let arguments = ["node", "worker"]

  let plan: WorkerPlan
  let shared: UnsafeMutablePointer<sr_worker_shared>
  let relay: UnsafeMutablePointer<ProcessRelay>
  let sockets: ProcessSockets
  let mailbox: ProcessMailbox<ProcessLoop>
  var loop: ProcessLoop
  let parameters: [UnsafeMutableRawPointer]
  private var worker: Worker?
  private var order = SR_ORDER_NONE
  /// Crashes in a row, each within a second of its start; the first does not count.
  private var quickCrashes = 0
  private var crashedBefore = false
  private var restartAtNs: UInt64?

  private struct Worker {
    let pid: pid_t
    /// Can be read once the worker has ended.
    let descriptor: Int32
    let startedNs: UInt64
    var lookedNs: UInt64
    /// Runs of extensions that had been started when it was looked at.
    var calls: UInt64 = 0
    /// How often in a row it was seen within the same run.
    var looksAlike = 0
    var wasStuck = false
  }

  /// How often the worker is looked at, lest it waits within an extension and takes no processor time.
  private static let lookMs: Int32 = 1_000
  private static let looksAlikeAllowed = 2
  /// Between the crash of a worker and the next one: what a relay may be away, less the time that both take.
  private static let longestPauseMs: UInt64 = 80
  /// What a worker may take of memory once it is locked down.
  static let workerMemoryBytes = 32 << 20

  /// Runs the keeper; does not return.
  public static func main() -> Never {
    // A terminal or service manager that ends all processes of the node at once ends the daemon, and that ends us.
    for number in [SIGTERM, SIGINT, SIGHUP, SIGPIPE] { signal(number, SIG_IGN) }
    guard let data = contents(of: WorkerPlan.Descriptor.plan.rawValue),
      let plan = try? JSONDecoder().decode(WorkerPlan.self, from: data),
      let shared = WorkerMemory.map(WorkerPlan.Descriptor.memory.rawValue)
    else {
      let text = "streamrouter node worker is started by the node's daemon, not by hand\n"
      FileHandle.standardError.write(Data(text.utf8))
      exit(64)
    }
    do {
      var keeper = try WorkerKeeper(plan, shared)
      keeper.keep()
    } catch {
      report(SR_WORKER_REFUSED)
      _exit(1)
    }
  }

  private static func contents(of descriptor: Int32) -> Data? {
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_size > 0 else { return nil }
    var data = Data(count: Int(status.st_size))
    let count = data.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
    return count == data.count ? data : nil
  }

  /// Takes all memory that the workers will use.
  private init(_ plan: WorkerPlan, _ shared: UnsafeMutablePointer<sr_worker_shared>) throws(EngineError) {
    precondition(
      MemoryLayout<ProcessFlow>.size <= Int(SR_WORKER_FLOW_BYTES.rawValue), "enlarge SR_WORKER_FLOW_BYTES")
    self.plan = plan
    self.shared = shared
    parameters = plan.extensions.map { use in
      let record = UnsafeMutableRawPointer.allocate(byteCount: max(64, use.parameters.count), alignment: 64)
      record.initializeMemory(as: UInt8.self, repeating: 0, count: max(64, use.parameters.count))
      use.parameters.copyBytes(to: UnsafeMutableRawBufferPointer(start: record, count: use.parameters.count))
      return record
    }
    let chain = UnsafeMutablePointer<sr_chain>.allocate(capacity: 1)
    chain.initialize(to: sr_chain(plan.relay))
    chain.pointee.shared = shared
    chain.pointee.count = UInt32(plan.extensions.count)
    chain.pointee.stream = plan.stream
    relay = .allocate(capacity: 1)
    relay.initialize(
      to: ProcessRelay(
        settings: ProcessRelaySettings(plan.relay),
        account: ProcessAccount(at: shared.counters),
        flow: sr_worker_flow(shared).assumingMemoryBound(to: ProcessFlow.self), variations: shared.variations,
        reports: shared.reports,
        chain: ProcessChain(extensions: chain, shared: shared)))
    var sockets = ProcessSockets()
    for (place, listener) in plan.relay.listeners.enumerated() {
      let socket = UnsafeMutablePointer<ProcessSocket>.allocate(capacity: 1)
      socket.initialize(
        to: ProcessSocket(
          descriptor: WorkerPlan.Descriptor.firstSocket.rawValue + Int32(place),
          isCompanion: listener.isCompanion,
          relay: relay, place: place))
      sockets.all.append(socket)
    }
    self.sockets = sockets
    mailbox = try ProcessMailbox<ProcessLoop>()
    loop = ProcessLoop(mailbox: mailbox)
  }

  private mutating func keep() -> Never {
    shared.pointee.order = SR_ORDER_NONE.rawValue
    start()
    guard isReady() else {
      Self.report(SR_WORKER_REFUSED)
      _exit(1)
    }
    Self.report(SR_WORKER_READY)
    while true {
      var events = [
        pollfd(fd: WorkerPlan.Descriptor.control.rawValue, events: Int16(POLLIN), revents: 0),
        pollfd(fd: worker?.descriptor ?? -1, events: Int16(POLLIN), revents: 0),
      ]
      poll(&events, 2, waitMs())
      if events[0].revents != 0 { obey() }
      if events[1].revents != 0 { bury() }
      look()
      if let time = restartAtNs, time <= monotonicNs() {
        restartAtNs = nil
        start()
      }
    }
  }

  private func waitMs() -> Int32 {
    guard let restartAtNs else { return Self.lookMs }
    let now = monotonicNs()
    return restartAtNs > now ? Int32(clamping: (restartAtNs - now) / 1_000_000 + 1) : 0
  }

  private mutating func start() {
    shared.pointee.ready = 0
    shared.pointee.stage = 0
    shared.pointee.unread = 0
    shared.pointee.unread_bytes = 0
    shared.pointee.unsettled = 0
    var descriptor: Int32 = -1
    let keeper = getpid()
    let pid = sr_worker_fork(&descriptor)
    if pid == 0 { work(keeper: keeper) }
    guard pid > 0, descriptor >= 0 else {
      // Out of processes or descriptors: the daemon hears that we are gone, and tries again later.
      _exit(1)
    }
    let now = monotonicNs()
    worker = Worker(pid: pid, descriptor: descriptor, startedNs: now, lookedNs: now)
  }

  /// Waits for the worker to be locked down, or to end before.
  private func isReady() -> Bool {
    guard let worker else { return false }
    var event = pollfd(fd: worker.descriptor, events: Int16(POLLIN), revents: 0)
    while shared.pointee.ready == 0 {
      if poll(&event, 1, 1) == 1 { return false }
    }
    return true
  }

  /// Carries out what the daemon wants.
  private mutating func obey() {
    var command: UInt8 = 0
    let count = recv(WorkerPlan.Descriptor.control.rawValue, &command, 1, Int32(MSG_DONTWAIT))
    if count < 0 && (errno == EAGAIN || errno == EINTR) { return }
    guard count == 1, let command = WorkerCommand(rawValue: command) else {
      // The daemon is gone, and with it whoever wants these packets relayed.
      if let worker { kill(worker.pid, SIGKILL) }
      _exit(0)
    }
    switch command {
    case .go:
      for socket in sockets.all where mailbox.add(socket) != 0 { _exit(1) }
    case .leave, .drain:
      order = command == .leave ? SR_ORDER_LEAVE : SR_ORDER_DRAIN
      shared.pointee.order = order.rawValue
      mailbox.wake()
      if worker == nil { _exit(0) }
    }
  }

  /// The worker has ended.
  private mutating func bury() {
    guard let ended = worker else { return }
    worker = nil
    close(ended.descriptor)
    var status: Int32 = 0
    while waitpid(ended.pid, &status, 0) < 0, errno == EINTR {}
    if ended.wasStuck { status = Int32(SR_WORKER_STUCK.rawValue) << 8 }
    if order != SR_ORDER_NONE {
      settle()
      _exit(0)
    }
    let now = monotonicNs()
    // A worker that stays up for a second is a good one, whatever came before.
    quickCrashes = crashedBefore && now - ended.startedNs < 1_000_000_000 ? quickCrashes + 1 : 0
    crashedBefore = true
    let pauseMs = quickCrashes == 0 ? 0 : min(Self.longestPauseMs, 5 << UInt64(min(quickCrashes, 10)))
    let stage = min(shared.pointee.stage, UInt32(plan.extensions.count))
    let lost = settle()
    forget(stage)
    Self.report(SR_WORKER_ENDED, status: status, stage: stage, pauseMs: UInt32(pauseMs), lost: lost)
    restartAtNs = now + UInt64(pauseMs) * 1_000_000
  }

  /// Accounts for the datagrams that were with a worker. Returns their number.
  @discardableResult
  private func settle() -> UInt64 {
    let lost = shared.pointee.unsettled
    let account = relay.pointee.account
    account.add(SR_PACKETS_IN, Int(truncatingIfNeeded: shared.pointee.unread))
    account.add(SR_BYTES_IN, Int(truncatingIfNeeded: shared.pointee.unread_bytes))
    account.add(SR_DROP_EXTENSION_FAULT, Int(truncatingIfNeeded: lost))
    shared.pointee.unread = 0
    shared.pointee.unread_bytes = 0
    shared.pointee.unsettled = 0
    return lost
  }

  /// What was being written begins anew, and everything does after a second crash in a row.
  private func forget(_ stage: UInt32) {
    if stage > 0 {
      let place = Int(stage) - 1
      shared.account(place).pointee.verdicts.3 &+= 1
      reset(place)
    }
    if stage == 0 || quickCrashes > 0 { shared.pointee.flow_is_kept = 0 }
    if quickCrashes > 0 { for place in plan.extensions.indices { reset(place) } }
  }

  private func reset(_ place: Int) {
    let state = plan.extensions[place].state
    let room = UnsafeMutableRawBufferPointer(
      start: sr_worker_state(shared, UInt32(place)), count: Int(SR_WORKER_STATE_BYTES.rawValue))
    state.copyBytes(to: room, count: min(state.count, room.count))
  }

  /// Ends a worker that waits within an extension. One that computes there ends itself (sr_chain_watch).
  private mutating func look() {
    let nowNs = monotonicNs()
    guard var current = worker, nowNs - current.lookedNs >= UInt64(Self.lookMs) * 1_000_000 else { return }
    current.lookedNs = nowNs
    let calls = shared.pointee.calls
    current.looksAlike = shared.pointee.stage > 0 && calls == current.calls ? current.looksAlike + 1 : 0
    current.calls = calls
    if current.looksAlike > Self.looksAlikeAllowed {
      current.wasStuck = true
      kill(current.pid, SIGKILL)
    }
    worker = current
  }

  private static func report(
    _ event: sr_worker_event, status: Int32 = 0, stage: UInt32 = 0, pauseMs: UInt32 = 0, lost: UInt64 = 0
  ) {
    var report = sr_worker_report(
      event: event.rawValue, status: status, stage: stage, pause_ms: pauseMs, lost: lost)
    // A daemon that does not listen loses the report, not the relay.
    send(
      WorkerPlan.Descriptor.control.rawValue, &report, MemoryLayout<sr_worker_report>.size,
      Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
  }
}

/// What the daemon tells a keeper, one byte each.
enum WorkerCommand: UInt8 {
  /// Take packets.
  case go
  /// End after the batch in hand.
  case leave
  /// End once what waits in the sockets' queues is relayed.
  case drain
}

extension UnsafeMutablePointer where Pointee == sr_worker_shared {
  var counters: UnsafeMutablePointer<sr_counters> {
    let offset = MemoryLayout<sr_worker_shared>.offset(of: \.counters)!
    return (UnsafeMutableRawPointer(self) + offset).assumingMemoryBound(to: sr_counters.self)
  }

  var variations: UnsafeMutablePointer<sr_variations> {
    let offset = MemoryLayout<sr_worker_shared>.offset(of: \.variations)!
    return (UnsafeMutableRawPointer(self) + offset).assumingMemoryBound(to: sr_variations.self)
  }

  var reports: UnsafeMutablePointer<sr_reports> {
    let offset = MemoryLayout<sr_worker_shared>.offset(of: \.reports)!
    return (UnsafeMutableRawPointer(self) + offset).assumingMemoryBound(to: sr_reports.self)
  }

  /// By the place of the socket among the relay's ``Topology/Relay/listeners``. Allocates nothing.
  subscript(queueDrops place: Int) -> UInt32 {
    get { withUnsafeBytes(of: &pointee.queue_drops) { $0.bindMemory(to: UInt32.self)[place] } }
    nonmutating set {
      withUnsafeMutableBytes(of: &pointee.queue_drops) { $0.bindMemory(to: UInt32.self)[place] = newValue }
    }
  }

  func account(_ place: Int) -> UnsafeMutablePointer<sr_extension_account> {
    let offset = MemoryLayout<sr_worker_shared>.offset(of: \.extension)!
    return (UnsafeMutableRawPointer(self) + offset).assumingMemoryBound(to: sr_extension_account.self) + place
  }
}
