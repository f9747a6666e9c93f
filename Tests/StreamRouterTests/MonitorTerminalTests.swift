import Foundation
import Testing
import Topology

@testable import StreamRouter

/// A pseudo-terminal: the test holds the side of the screen and keyboard, the monitor the other.
final class PseudoTerminal {
  let screen: Int32
  /// The monitor's side.
  let terminal: Int32
  let path: String
  private var output = ""

  init(columns: Int, rows: Int) throws {
    screen = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
    var number: Int32 = 0
    var locked: Int32 = 0
    try #require(
      screen >= 0 && ioctl(screen, 0x8004_5430, &number) == 0 && ioctl(screen, 0x4004_5431, &locked) == 0)
    path = "/dev/pts/\(number)"
    terminal = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
    try #require(terminal >= 0)
    resize(columns: columns, rows: rows)
  }

  deinit {
    close(terminal)
    close(screen)
  }

  func resize(columns: Int, rows: Int) {
    var window = winsize(ws_row: UInt16(rows), ws_col: UInt16(columns), ws_xpixel: 0, ws_ypixel: 0)
    _ = ioctl(screen, UInt(TIOCSWINSZ), &window)
  }

  func type(_ text: String) { _ = Foundation.write(screen, text, text.utf8.count) }

  /// Whether lines are edited and echoed, as a shell wants it: the terminal is nobody's.
  var isCooked: Bool {
    var modes = termios()
    tcgetattr(terminal, &modes)
    return modes.c_lflag & tcflag_t(ICANON) != 0 && modes.c_lflag & tcflag_t(ECHO) != 0
      && modes.c_iflag & tcflag_t(ICRNL) != 0
  }

  /// Waits until all texts were written to the screen since the last call that found its texts, and returns
  /// what was written; nil after ten seconds.
  func expect(_ texts: String...) async throws -> String? {
    for _ in 0..<1000 {
      var bytes = [UInt8](repeating: 0, count: 65_536)
      let count = read(screen, &bytes, bytes.count)
      if count > 0 { output += String(decoding: bytes.prefix(count), as: UTF8.self) }
      if texts.allSatisfy(output.contains) {
        defer { output = "" }
        return output
      }
      try await Task.sleep(for: .milliseconds(10))
    }
    return nil
  }
}

/// Readings of the sample, a second further at each.
actor SampleSource: SnapshotSource {
  private var second = 0
  private let topology: String

  init(topology: String = "studio") { self.topology = topology }

  func read() -> [NodeReading] {
    second += 1
    return MonitorSample.readings(seconds: second).map {
      var reading = $0
      reading.snapshot?.topology = topology
      return reading
    }
  }
}

/// The live view on a pseudo-terminal. Serial: signals and the rescue belong to the whole process.
@Suite(.serialized, .timeLimit(.minutes(5))) struct MonitorTerminalTests {
  static let enter = "\u{1b}[?1049h"
  static let leave = "\u{1b}[?25h\u{1b}[?1049l"

  private func monitor(_ pty: PseudoTerminal, output: Int32? = nil) -> LiveMonitor {
    LiveMonitor(
      source: SampleSource(), interval: .milliseconds(250), style: MonitorSample.plain, input: pty.terminal,
      output: output ?? pty.terminal)
  }

  @Test func quitGivesTheTerminalBack() async throws {
    let pty = try PseudoTerminal(columns: 100, rows: 20)
    #expect(pty.isCooked)
    let live = monitor(pty)
    async let end = live.run()
    let first = try #require(try await pty.expect(Self.enter, "telemetry"))
    #expect(first.contains("3 of 4 nodes up"))
    #expect(!pty.isCooked)
    pty.type("q")
    #expect(try await pty.expect(Self.leave) != nil)
    #expect(try await end == .quit)
    #expect(pty.isCooked)
  }

  @Test func keysAreAnsweredBeforeTheNextReading() async throws {
    let pty = try PseudoTerminal(columns: 100, rows: 40)
    let slow = LiveMonitor(
      source: SampleSource(), interval: .seconds(60), style: MonitorSample.plain, input: pty.terminal,
      output: pty.terminal)
    async let end = slow.run()
    #expect(try await pty.expect("telemetry") != nil)
    pty.type("\u{1b}[B\r")
    #expect(try await pty.expect("stream cam1, hop 1 on node edge") != nil)
    // A lone escape byte is a key once nothing follows it.
    pty.type("\u{1b}")
    #expect(try await pty.expect("STREAM", "JITTER") != nil)
    pty.type("Q")
    let last = try #require(try await pty.expect(Self.leave, " quit"))
    #expect(last.range(of: Self.leave)!.upperBound < last.range(of: "studio", options: .backwards)!.lowerBound)
    #expect(try await end == .quit)
    #expect(pty.isCooked)
  }

  @Test(arguments: [SIGTERM, SIGINT, SIGHUP])
  func signalsGiveTheTerminalBack(_ number: Int32) async throws {
    let pty = try PseudoTerminal(columns: 100, rows: 20)
    let live = monitor(pty)
    async let end = live.run()
    #expect(try await pty.expect(Self.enter) != nil)
    kill(getpid(), number)
    #expect(try await pty.expect(Self.leave) != nil)
    #expect(try await end == .signal(number))
    #expect(pty.isCooked)
  }

  @Test func resizingDrawsAgain() async throws {
    let pty = try PseudoTerminal(columns: 60, rows: 12)
    let live = monitor(pty)
    async let end = live.run()
    let narrow = try #require(try await pty.expect(Self.enter, "telemetry"))
    #expect(!narrow.contains("ENGINE"))
    pty.resize(columns: 120, rows: 30)
    kill(getpid(), SIGWINCH)
    #expect(try await pty.expect("\u{1b}[2J", "ENGINE", "\u{1b}[30;1H") != nil)
    pty.type("q")
    #expect(try await end == .quit)
  }

  @Test func anErrorGivesTheTerminalBack() async throws {
    let pty = try PseudoTerminal(columns: 100, rows: 20)
    let readOnly = open(pty.path, O_RDONLY | O_NOCTTY | O_CLOEXEC)
    defer { close(readOnly) }
    let live = monitor(pty, output: readOnly)
    await #expect(throws: TerminalError.failed(operation: "writing", errno: EBADF)) {
      _ = try await live.run()
    }
    #expect(pty.isCooked)
  }

  @Test func aTerminalThatClosesEndsTheMonitor() async throws {
    var pty: PseudoTerminal? = try PseudoTerminal(columns: 100, rows: 20)
    // Its own descriptor, because the pseudo-terminal closes both of its.
    let terminal = open(pty!.path, O_RDWR | O_NOCTTY | O_CLOEXEC)
    defer { close(terminal) }
    async let end = LiveMonitor(
      source: SampleSource(), interval: .milliseconds(250), style: MonitorSample.plain, input: terminal,
      output: terminal
    ).run()
    #expect(try await pty!.expect(Self.enter) != nil)
    pty = nil
    #expect(try await end == .quit)
  }

  @Test func whatIsNoTerminalIsRefused() async throws {
    let null = open("/dev/null", O_RDWR | O_CLOEXEC)
    defer { close(null) }
    await #expect(throws: TerminalError.failed(operation: "reading its modes", errno: ENOTTY)) {
      _ = try await LiveMonitor(
        source: SampleSource(), interval: .seconds(1), style: MonitorSample.plain, input: null, output: null
      ).run()
    }
  }

  @Test func aTrapGivesTheTerminalBack() async throws {
    let pty = try PseudoTerminal(columns: 100, rows: 20)
    await #expect(processExitsWith: .failure) { [path = pty.path as String] in
      let descriptor = open(path, O_RDWR | O_NOCTTY)
      var terminal = try Terminal(input: descriptor, output: descriptor)
      try terminal.enter()
      fatalError("a trap while the live view is on")
    }
    #expect(try await pty.expect(Self.enter, Self.leave) != nil)
    #expect(pty.isCooked)
  }

  @Test func exitGivesTheTerminalBack() async throws {
    let pty = try PseudoTerminal(columns: 100, rows: 20)
    await #expect(processExitsWith: .exitCode(3)) { [path = pty.path as String] in
      let descriptor = open(path, O_RDWR | O_NOCTTY)
      var terminal = try Terminal(input: descriptor, output: descriptor)
      try terminal.enter()
      exit(3)
    }
    #expect(try await pty.expect(Self.enter, Self.leave) != nil)
    #expect(pty.isCooked)
  }

  /// The child says its process id in the header, as the topology's name.
  @Test func stoppingGivesTheTerminalBackUntilItGoesOn() async throws {
    let pty = try PseudoTerminal(columns: 100, rows: 20)
    let path = pty.path
    async let child = #expect(processExitsWith: .success) { [path = path as String] in
      // Not the last of an orphaned group, which the kernel would not stop.
      setpgid(0, 0)
      let descriptor = open(path, O_RDWR | O_NOCTTY)
      let end = try await LiveMonitor(
        source: SampleSource(topology: "pid-\(getpid())-"), interval: .milliseconds(250),
        style: MonitorStyle(colour: false, unicode: true), input: descriptor, output: descriptor
      ).run()
      exit(end == .quit ? 0 : 1)
    }
    let first = try #require(try await pty.expect(Self.enter, "pid-", "telemetry"))
    let pid = try #require(pid_t(first.components(separatedBy: "pid-")[1].prefix { $0.isNumber }))
    kill(pid, SIGTSTP)
    #expect(try await pty.expect(Self.leave) != nil)
    var isStopped = false
    for _ in 0..<500 where !isStopped {
      let status = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
      isStopped = status.contains(") T ")
      try await Task.sleep(for: .milliseconds(10))
    }
    #expect(isStopped)
    #expect(pty.isCooked)
    kill(pid, SIGCONT)
    #expect(try await pty.expect(Self.enter, "telemetry") != nil)
    pty.type("q")
    #expect(try await pty.expect(Self.leave) != nil)
    _ = await child
    #expect(pty.isCooked)
  }
}
