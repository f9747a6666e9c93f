#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Gives the terminal back when the process dies of itself: `exit`, a trap, a fault, an abort.
///
/// Signal handlers may call only what signal-safety(7) lists, so everything they need lies ready in memory that
/// is never freed: they write(2) a fixed sequence, call tcsetattr(3), and hand on to whoever handled the signal
/// before, which may be Swift's own crash report. Only one terminal can be armed at a time.
enum TerminalRescue {
  /// Leaves the alternate screen, shows the cursor, resets colours.
  static let leaveSequence = "\u{1b}[0m\u{1b}[?25h\u{1b}[?1049l"

  private static let fatal = [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGQUIT, SIGSEGV, SIGSYS, SIGTRAP]

  private struct Memory {
    /// 1 while a terminal must be given back.
    var isArmed: sig_atomic_t = 0
    var input: Int32 = -1
    var output: Int32 = -1
    var modes = termios()
    var sequence: UnsafeMutablePointer<UInt8>
    var length: Int
    /// Former actions, by signal number.
    var former: UnsafeMutablePointer<sigaction>
  }

  // Written while disarmed only, by the one task that runs the monitor; handlers read it while armed. Allocated
  // in `arm` before any handler is there, so that a handler never runs the initialiser.
  nonisolated(unsafe) private static let memory: UnsafeMutablePointer<Memory> = {
    let bytes = Array(leaveSequence.utf8)
    let sequence = UnsafeMutablePointer<UInt8>.allocate(capacity: bytes.count)
    sequence.initialize(from: bytes, count: bytes.count)
    let former = UnsafeMutablePointer<sigaction>.allocate(capacity: 65)
    former.initialize(repeating: sigaction(), count: 65)
    let memory = UnsafeMutablePointer<Memory>.allocate(capacity: 1)
    memory.initialize(to: Memory(sequence: sequence, length: bytes.count, former: former))
    atexit { TerminalRescue.giveBack() }
    return memory
  }()

  /// From now on until `disarm`, the terminal behind `input` and `output` gets `modes` back when the process
  /// dies.
  static func arm(input: Int32, output: Int32, modes: termios) {
    memory.pointee.input = input
    memory.pointee.output = output
    memory.pointee.modes = modes
    for signal in fatal {
      var action = sigaction()
      action.__sigaction_handler.sa_handler = { TerminalRescue.die(of: $0) }
      sigaction(signal, &action, memory.pointee.former + Int(signal))
    }
    memory.pointee.isArmed = 1
  }

  static func disarm() {
    guard memory.pointee.isArmed == 1 else { return }
    memory.pointee.isArmed = 0
    for signal in fatal { sigaction(signal, memory.pointee.former + Int(signal), nil) }
  }

  /// Async-signal-safe.
  private static func giveBack() {
    let memory = self.memory
    guard memory.pointee.isArmed == 1 else { return }
    memory.pointee.isArmed = 0
    _ = write(memory.pointee.output, memory.pointee.sequence, memory.pointee.length)
    tcsetattr(memory.pointee.input, TCSANOW, &memory.pointee.modes)
  }

  /// Async-signal-safe. A fault happens again on return and then meets the former action; a signal that was
  /// sent is raised for it.
  private static func die(of signal: Int32) {
    giveBack()
    sigaction(signal, memory.pointee.former + Int(signal), nil)
    raise(signal)
  }
}
