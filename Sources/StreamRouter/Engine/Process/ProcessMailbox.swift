import CStreamRouter
import Dispatch
import Synchronization
import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// The way into a thread of the engine: commands that run between two rounds of its loop, and the descriptor that wakes
/// it.
final class ProcessMailbox<Loop>: Sendable {
  typealias Command = @Sendable (inout Loop) -> Void

  let watch: sr_watch
  private let commands = Mutex<[Command]>([])
  private let closed = Atomic<Bool>(false)

  init() throws(EngineError) {
    var watch = sr_watch()
    let result = sr_watch_open(&watch)
    guard result == 0 else {
      throw .failed(
        engine: .process, operation: "opening", subject: "an epoll descriptor", errno: -result,
        detail: "raise the limit of open files (ulimit -n, LimitNOFILE=)")
    }
    self.watch = watch
  }

  deinit {
    withUnsafePointer(to: watch) { sr_watch_close(UnsafeMutablePointer(mutating: $0)) }
  }

  /// Runs `body` on the thread and waits for its result: about the time of one round. The loop must run.
  func run<Result: Sendable>(_ body: @escaping @Sendable (inout Loop) -> Result) -> Result {
    let reply = ProcessReply<Result>()
    commands.withLock { $0.append { reply.give(body(&$0)) } }
    wake()
    return reply.wait()
  }

  func close() {
    closed.store(true, ordering: .releasing)
    wake()
  }

  // What follows is called on the thread.

  var isClosed: Bool { closed.load(ordering: .acquiring) }

  func take() -> [Command] {
    commands.withLock { waiting in
      defer { waiting = [] }
      return waiting
    }
  }

  /// Makes the loop look for commands, from any thread or process that has it.
  func wake() {
    withUnsafePointer(to: watch) { sr_watch_wake($0) }
  }

  /// What it waits on, and what wakes it.
  var descriptors: (epoll: Int32, wake: Int32) { (watch.epoll, watch.wake) }
}

extension ProcessMailbox<ProcessLoop> {
  /// Waits until something can be read; writes the contexts, nil for commands. Returns their number.
  func wait(_ ready: UnsafeMutablePointer<UnsafeMutableRawPointer?>, capacity: Int) -> Int {
    let count = withUnsafePointer(to: watch) { sr_watch_wait($0, ready, Int32(capacity)) }
    precondition(count >= 0 || count == -EINTR, "Waiting on epoll fails only for a descriptor that is none.")
    return max(0, Int(count))
  }

  /// 0, or an errno.
  func add(_ socket: UnsafeMutablePointer<ProcessSocket>) -> Int32 {
    -withUnsafePointer(to: watch) { sr_watch_add($0, socket.pointee.descriptor, socket) }
  }

  func remove(_ socket: UnsafeMutablePointer<ProcessSocket>) {
    withUnsafePointer(to: watch) { sr_watch_remove($0, socket.pointee.descriptor) }
  }
}

/// One result on its way from the engine's thread to whoever waits for it.
///
/// Unchecked: `value` is written before the semaphore is signalled and read after it was waited for, once each.
final class ProcessReply<Value: Sendable>: @unchecked Sendable {
  private var value: Value?
  private let arrived = DispatchSemaphore(value: 0)

  func give(_ value: Value) {
    self.value = value
    arrived.signal()
  }

  func wait() -> Value {
    arrived.wait()
    return value!
  }
}
