import CStreamRouter
import Dispatch
import Foundation
import Synchronization
import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// One relay with extensions as the engine's actor holds it: the memory shared with its worker, and the keeper.
///
/// Reports of the keeper, and its end, arrive on a queue of their own; they never wait for the actor or for a packet.
final class ProcessWorker: Sendable {
  let memory: WorkerMemory
  private let launch: Launch
  private let notice: @Sendable (String) -> Void
  private let queue = DispatchQueue(label: "streamrouter.worker")
  private let state: Mutex<State>
  /// Signalled by the end of a keeper that was told to stop.
  private let gone = DispatchSemaphore(value: 0)

  private struct State {
    var keeper: Keeper?
    var mayTakePackets = false
    var isStopping = false
    var account: RelayWorkerSnapshot
    /// Keepers that ended unasked, one after the other.
    var lostKeepers = 0
    /// When a crash was told, and how many were not since.
    var told: ContinuousClock.Instant?
    var untold: UInt64 = 0
  }

  private struct Keeper {
    let pid: pid_t
    let control: Int32
    let started = ContinuousClock.now
  }

  /// How long the end of a worker is waited for: it may have a full queue to relay.
  private static let stopTimeout = DispatchTimeInterval.seconds(3)

  /// Starts a worker up to where it could take packets.
  ///
  /// - Parameters:
  ///   - extensions: What the relay names, in its order.
  ///   - program: This very program: keepers are started from it.
  ///   - notice: Called with each crash, in words.
  init(
    _ relay: Relay, stream: UInt32, extensions: [ExtensionObject], sockets: ProcessSockets,
    scheduling: Scheduling, cpu: Int?, program: String, account: RelayWorkerSnapshot,
    notice: @escaping @Sendable (String) -> Void
  ) throws(EngineError) {
    memory = try WorkerMemory()
    for (place, object) in extensions.enumerated() { memory.begin(place, object.initialState) }
    let plan = WorkerPlan(
      relay: relay, stream: stream, scheduling: scheduling, cpu: cpu,
      extensions: zip(relay.extensions, extensions).map { use, object in
        WorkerPlan.Extension(
          name: use.name, parameters: Data(object.manifest.record(use.settings)),
          state: Data(object.initialState))
      })
    launch = try Launch(
      plan, extensions, memory: memory.descriptor, sockets: sockets.all.map { $0.pointee.descriptor },
      program: program)
    self.notice = notice
    state = Mutex(State(account: account))
    let keeper = try startKeeper()
    state.withLock { $0.keeper = keeper }
    listen(to: keeper)
  }

  deinit { stop(drain: false) }

  /// How often the worker had to be started again, and why.
  var account: RelayWorkerSnapshot { state.withLock { $0.account } }

  /// Lets the worker take packets.
  func go() {
    state.withLock { state in
      state.mayTakePackets = true
      if let keeper = state.keeper { Self.tell(keeper, .go) }
    }
  }

  /// Ends the worker and waits for that; what it shared with the daemon stands still afterwards. Harmless when repeated.
  /// - Parameter drain: Whether it relays what waits in the sockets' queues at this moment.
  func stop(drain: Bool) {
    let keeper = state.withLock { state -> Keeper? in
      guard !state.isStopping else { return nil }
      state.isStopping = true
      if let keeper = state.keeper { Self.tell(keeper, drain ? .drain : .leave) }
      return state.keeper
    }
    guard let keeper else { return }
    if gone.wait(timeout: .now() + Self.stopTimeout) == .timedOut {
      // The worker dies with its keeper.
      kill(keeper.pid, SIGKILL)
      gone.wait()
    }
  }

  /// Takes back ``stop(drain:)``.
  func startAgain() {
    state.withLock { $0.isStopping = false }
    restart(afterMs: 0)
  }

  private static func tell(_ keeper: Keeper, _ command: WorkerCommand) {
    var byte = command.rawValue
    send(keeper.control, &byte, 1, Int32(MSG_NOSIGNAL))
  }

  /// Starts a keeper and waits until its first worker is locked down.
  private func startKeeper() throws(EngineError) -> Keeper {
    let (pid, control) = try launch.start()
    let keeper = Keeper(pid: pid, control: control)
    var event = pollfd(fd: control, events: Int16(POLLIN), revents: 0)
    var report = sr_worker_report()
    let answered =
      poll(&event, 1, 10_000) == 1
      && recv(control, &report, MemoryLayout<sr_worker_report>.size, 0)
        == MemoryLayout<sr_worker_report>.size
    guard answered, report.event == SR_WORKER_READY.rawValue else {
      kill(pid, SIGKILL)
      Self.reap(keeper)
      throw .failed(
        engine: .process, operation: "starting", subject: "the worker of stream \(launch.plan.relay.stream)",
        errno: 0,
        detail: answered
          ? memory.text : "it did not start within ten seconds; is \(launch.program) this very program?")
    }
    return keeper
  }

  private static func reap(_ keeper: Keeper) {
    var status: Int32 = 0
    while waitpid(keeper.pid, &status, 0) < 0, errno == EINTR {}
    close(keeper.control)
  }

  /// Takes the keeper's reports until it ends.
  private func listen(to keeper: Keeper) {
    let source = DispatchSource.makeReadSource(fileDescriptor: keeper.control, queue: queue)
    // The source keeps itself until it is cancelled; its handler keeps no worker, lest none ever ends.
    source.setEventHandler { [weak self, source] in
      var report = sr_worker_report()
      let size = MemoryLayout<sr_worker_report>.size
      let count = recv(keeper.control, &report, size, Int32(MSG_DONTWAIT))
      if count < 0 && (errno == EAGAIN || errno == EINTR) { return }
      if count == size {
        self?.hear(report)
      } else {
        source.cancel()
      }
    }
    source.setCancelHandler { [weak self, gone] in
      Self.reap(keeper)
      // A worker that is being released waits for this too.
      if let self { self.ended() } else { gone.signal() }
    }
    source.resume()
  }

  private func hear(_ report: sr_worker_report) {
    guard report.event == SR_WORKER_ENDED.rawValue else { return }
    let what = WorkerEnd(report, names: launch.plan.extensions.map(\.name), text: memory.text).description
    let isRepeated = report.pause_ms > 0
    let untold = state.withLock { state -> UInt64? in
      state.account.restarts += 1
      state.account.latest = what
      // A stream whose every packet crashes it need not fill the log.
      if isRepeated, let told = state.told, ContinuousClock.now - told < .seconds(1) {
        state.untold += 1
        return nil
      }
      state.told = .now
      defer { state.untold = 0 }
      return state.untold
    }
    guard let untold else { return }
    let before = untold == 0 ? "" : " (and \(untold) times before)"
    let pause = isRepeated ? "in \(report.pause_ms) ms" : "at once"
    notice(
      "stream \(launch.plan.relay.stream): \(what)\(before); \(report.lost) datagrams were lost with it, it starts again \(pause)"
    )
  }

  /// The keeper has ended.
  private func ended() {
    let (wasAsked, lost) = state.withLock { state in
      let lived = state.keeper.map { ContinuousClock.now - $0.started } ?? .zero
      state.keeper = nil
      state.lostKeepers = lived > .seconds(10) ? 1 : state.lostKeepers + 1
      return (state.isStopping, state.lostKeepers)
    }
    guard !wasAsked else {
      gone.signal()
      return
    }
    let what = "the keeper of its worker ended"
    state.withLock {
      $0.account.restarts += 1
      $0.account.latest = what
    }
    notice("stream \(launch.plan.relay.stream): \(what); it starts again")
    restart(afterMs: lost == 1 ? 0 : min(1_000, 10 << min(lost, 10)))
  }

  private func restart(afterMs: Int) {
    queue.asyncAfter(deadline: .now() + .milliseconds(afterMs)) { [weak self] in self?.restartNow() }
  }

  private func restartNow() {
    guard !state.withLock({ $0.isStopping }) else { return }
    do throws(EngineError) {
      let keeper = try startKeeper()
      let isWanted = state.withLock { state in
        guard !state.isStopping else { return false }
        state.keeper = keeper
        if state.mayTakePackets { Self.tell(keeper, .go) }
        return true
      }
      if isWanted {
        listen(to: keeper)
      } else {
        kill(keeper.pid, SIGKILL)
        Self.reap(keeper)
      }
    } catch {
      notice("stream \(launch.plan.relay.stream): \(error); tried again in a second")
      restart(afterMs: 1_000)
    }
  }
}

/// What it takes to start a keeper.
private final class Launch: Sendable {
  let plan: WorkerPlan
  let program: String
  /// In the order of ``WorkerPlan/Descriptor`` from `plan` on.
  private let descriptors: [Int32]
  /// Those of `descriptors` that are ours to close.
  private let owned: [Int32]

  init(
    _ plan: WorkerPlan, _ extensions: [ExtensionObject], memory: Int32, sockets: [Int32], program: String
  ) throws(EngineError) {
    self.plan = plan
    self.program = program
    guard let encoded = try? JSONEncoder().encode(plan) else { preconditionFailure("A plan is plain values.") }
    var owned: [Int32] = []
    do throws(EngineError) {
      for bytes in [[UInt8](encoded)] + extensions.map(\.native) {
        let descriptor = sr_memory_make("streamrouter-extension", bytes, bytes.count)
        guard descriptor >= 0 else {
          throw EngineError.failed(
            engine: .process, operation: "keeping", subject: "the extensions of stream \(plan.relay.stream)",
            errno: -descriptor, detail: "raise the limits of open files and memory (LimitNOFILE=, MemoryMax=)")
        }
        owned.append(descriptor)
      }
    } catch {
      for descriptor in owned { close(descriptor) }
      throw error
    }
    self.owned = owned
    descriptors = [owned[0], memory] + sockets + owned.dropFirst()
  }

  deinit { for descriptor in owned { close(descriptor) } }

  func start() throws(EngineError) -> (pid: pid_t, control: Int32) {
    var pair: [Int32] = [-1, -1]
    let kind = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, kind, 0, &pair) == 0 else { throw failure(errno) }
    let arguments = ["streamrouter"] + WorkerKeeper.arguments + [plan.relay.stream]
    // Nothing but what the loader may need to find the program's libraries, and no backtraces: the tool that makes
    // them cannot be started from within the lockdown.
    let path = ProcessInfo.processInfo.environment["LD_LIBRARY_PATH"].map { ["LD_LIBRARY_PATH=\($0)"] } ?? []
    let pid = LabFiles.withCStrings(arguments) { arguments in
      LabFiles.withCStrings(path + ["SWIFT_BACKTRACE=enable=no"]) { environment in
        let all = [pair[1]] + descriptors
        return sr_worker_spawn(program, arguments, environment, all, Int32(all.count))
      }
    }
    close(pair[1])
    guard pid > 0 else {
      close(pair[0])
      throw failure(-pid)
    }
    return (pid, pair[0])
  }

  private func failure(_ errno: Int32) -> EngineError {
    .failed(
      engine: .process, operation: "starting",
      subject: "the worker of stream \(plan.relay.stream) from \(program)",
      errno: errno, detail: "raise the limits of processes and open files (TasksMax=, LimitNOFILE=)")
  }
}
