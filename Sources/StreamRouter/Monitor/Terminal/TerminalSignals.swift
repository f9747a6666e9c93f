#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Turns signals into bytes of a pipe, so that one poll(2) waits for keys and signals alike.
///
/// Handlers only write(2) the signal's number. One instance at a time; former actions come back with `remove`.
enum TerminalSignals {
  /// Ends the monitor: asked to stop, or the terminal went away.
  static let ending = [SIGINT, SIGTERM, SIGHUP]
  private static let others = [SIGTSTP, SIGCONT, SIGWINCH]

  private struct Memory {
    var pipe: Int32 = -1
    var former: UnsafeMutablePointer<sigaction>
  }

  // Written before handlers are installed and after they are gone; handlers only read it.
  nonisolated(unsafe) private static let memory: UnsafeMutablePointer<Memory> = {
    let former = UnsafeMutablePointer<sigaction>.allocate(capacity: 65)
    former.initialize(repeating: sigaction(), count: 65)
    let memory = UnsafeMutablePointer<Memory>.allocate(capacity: 1)
    memory.initialize(to: Memory(former: former))
    return memory
  }()

  /// Signals go to the write end of a pipe that does not block.
  static func install(pipe: Int32) {
    memory.pointee.pipe = pipe
    for signal in ending + others { install(signal, former: memory.pointee.former + Int(signal)) }
  }

  static func remove() {
    for signal in ending + others { sigaction(signal, memory.pointee.former + Int(signal), nil) }
    memory.pointee.pipe = -1
  }

  private static func install(_ signal: Int32, former: UnsafeMutablePointer<sigaction>?) {
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { TerminalSignals.note($0) }
    action.sa_flags = SA_RESTART
    sigaction(signal, &action, former)
  }

  /// Async-signal-safe; leaves errno as it was. A full pipe loses a signal whose like is already in it.
  private static func note(_ signal: Int32) {
    let before = errno
    var byte = UInt8(truncatingIfNeeded: signal)
    _ = write(memory.pointee.pipe, &byte, 1)
    errno = before
  }

  /// Stops the process as SIGTSTP does without a handler, and returns after SIGCONT; at once where the process
  /// group is orphaned, because the kernel then ignores the stop.
  static func stopHere() {
    var byDefault = sigaction()
    byDefault.__sigaction_handler.sa_handler = SIG_DFL
    sigaction(SIGTSTP, &byDefault, nil)
    // Threads of the concurrency runtime block signals; a blocked stop would wait for ever.
    var only = sigset_t()
    var before = sigset_t()
    sigemptyset(&only)
    sigaddset(&only, SIGTSTP)
    pthread_sigmask(SIG_UNBLOCK, &only, &before)
    raise(SIGTSTP)
    pthread_sigmask(SIG_SETMASK, &before, nil)
    install(SIGTSTP, former: nil)
  }
}
