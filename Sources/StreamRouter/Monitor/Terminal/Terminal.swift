import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The terminal that the live view runs on: raw input, alternate screen, hidden cursor, and the way back.
///
/// Owned by the one task that runs the monitor.
struct Terminal {
  private let input: Int32
  private let output: Int32
  /// How the terminal was before.
  private let modes: termios
  private(set) var isEntered = false

  private static let enterSequence = "\u{1b}[?1049h\u{1b}[?25l"

  init(input: Int32, output: Int32) throws(TerminalError) {
    self.input = input
    self.output = output
    var modes = termios()
    guard tcgetattr(input, &modes) == 0 else {
      throw .failed(operation: "reading its modes", errno: errno)
    }
    self.modes = modes
  }

  /// Cells of the terminal; 80x24 where it does not say.
  var size: MonitorState.Size {
    var window = winsize()
    guard ioctl(output, UInt(TIOCGWINSZ), &window) == 0, window.ws_col > 0, window.ws_row > 0 else {
      return MonitorState.Size(columns: 80, rows: 24)
    }
    return MonitorState.Size(columns: Int(window.ws_col), rows: Int(window.ws_row))
  }

  /// Input comes byte by byte and without echo. ISIG stays on, so that Ctrl-C and Ctrl-Z reach the whole
  /// foreground group, as its shell expects.
  mutating func enter() throws(TerminalError) {
    guard !isEntered else { return }
    TerminalRescue.arm(input: input, output: output, modes: modes)
    isEntered = true
    var raw = modes
    raw.c_lflag &= ~tcflag_t(ICANON | ECHO | IEXTEN)
    raw.c_iflag &= ~tcflag_t(IXON | ICRNL | INLCR)
    guard tcsetattr(input, TCSANOW, &raw) == 0 else {
      let code = errno
      leave()
      throw .failed(operation: "setting its modes", errno: code)
    }
    try write(Self.enterSequence)
  }

  /// Everything as it was before `enter`. What cannot be written is given up: a closed terminal needs nothing.
  mutating func leave() {
    guard isEntered else { return }
    isEntered = false
    try? write(TerminalRescue.leaveSequence)
    // From the background, tcsetattr would stop the process before it could end.
    let former = signal(SIGTTOU, SIG_IGN)
    var modes = modes
    // Now, not once the output is drained: a terminal held by Ctrl-S would never let go.
    tcsetattr(input, TCSANOW, &modes)
    signal(SIGTTOU, former)
    TerminalRescue.disarm()
  }

  /// All of it, however little the terminal takes at a time.
  func write(_ text: String) throws(TerminalError) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      do {
        let count = try rest.withUnsafeBytes { try FileDescriptor(rawValue: output).write($0) }
        rest = rest.dropFirst(count)
      } catch Errno.resourceTemporarilyUnavailable {
        // Shared with a program that made it non-blocking: wait until it takes more.
        var ready = pollfd(fd: output, events: Int16(POLLOUT), revents: 0)
        _ = poll(&ready, 1, 1000)
      } catch Errno.ioError, Errno.brokenPipe {
        throw .gone
      } catch {
        throw .failed(operation: "writing", errno: (error as? Errno)?.rawValue ?? EIO)
      }
    }
  }
}
