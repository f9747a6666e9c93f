import CStreamRouter
import Synchronization
import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// The way into the thread of TCP, as ``ProcessMailbox`` is the one into that of datagrams.
final class SplitMailbox: Sendable {
  typealias Command = @Sendable (inout SplitLoop) -> Void

  private let watch: sr_watch
  private let commands = Mutex<[Command]>([])
  private let closed = Atomic<Bool>(false)

  init() throws(EngineError) {
    var watch = sr_watch()
    let result = sr_watch_open(&watch)
    guard result == 0 else {
      throw .failed(
        engine: .process, operation: "opening", subject: "an epoll descriptor for TCP", errno: -result,
        detail: "raise the limit of open files (ulimit -n, LimitNOFILE=)")
    }
    self.watch = watch
  }

  deinit {
    withUnsafePointer(to: watch) { sr_watch_close(UnsafeMutablePointer(mutating: $0)) }
  }

  /// Runs `body` on the thread and waits for its result, about the time of one round. The loop must run.
  func run<Result: Sendable>(_ body: @escaping @Sendable (inout SplitLoop) -> Result) -> Result {
    let reply = ProcessReply<Result>()
    commands.withLock { $0.append { reply.give(body(&$0)) } }
    withUnsafePointer(to: watch) { sr_watch_wake($0) }
    return reply.wait()
  }

  func close() {
    closed.store(true, ordering: .releasing)
    withUnsafePointer(to: watch) { sr_watch_wake($0) }
  }

  // What follows is called on the thread.

  var isClosed: Bool { closed.load(ordering: .acquiring) }

  func take() -> [Command] {
    commands.withLock { waiting in
      defer { waiting = [] }
      return waiting
    }
  }

  /// Waits until something happens, without end where `milliseconds` is negative. Returns how many of `ready` are
  /// filled.
  func wait(_ ready: UnsafeMutablePointer<sr_ready>, milliseconds: Int32) -> Int {
    let count = withUnsafePointer(to: watch) { sr_ready_wait($0, ready, milliseconds) }
    precondition(count >= 0 || count == -EINTR, "Waiting on epoll fails only for a descriptor that is none.")
    return max(0, Int(count))
  }

  /// 0, or an errno.
  func add(_ listener: UnsafeMutablePointer<SplitListener>) -> Int32 {
    -withUnsafePointer(to: watch) {
      sr_ready_listen($0, listener.pointee.descriptor, SplitContext.of(listener))
    }
  }

  func pause(_ listener: UnsafeMutablePointer<SplitListener>, _ isPaused: Bool) {
    listener.pointee.isPaused = isPaused
    withUnsafePointer(to: watch) {
      sr_ready_pause($0, listener.pointee.descriptor, SplitContext.of(listener), isPaused ? 1 : 0)
    }
  }

  func remove(_ listener: UnsafeMutablePointer<SplitListener>) {
    withUnsafePointer(to: watch) { sr_watch_remove($0, listener.pointee.descriptor) }
  }

  /// 0, or an errno. A socket that is closed is watched no longer.
  func add(_ descriptor: Int32, end place: Int, generation: UInt32) -> Int32 {
    -withUnsafePointer(to: watch) {
      sr_ready_connection($0, descriptor, SplitContext.of(end: place, generation: generation))
    }
  }
}
