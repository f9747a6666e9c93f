import CStreamRouter

#if canImport(Glibc)
  import Glibc
#endif

/// The way into the thread of TCP.
typealias SplitMailbox = ProcessMailbox<SplitLoop>

extension ProcessMailbox<SplitLoop> {
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
