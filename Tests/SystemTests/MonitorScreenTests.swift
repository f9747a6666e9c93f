import Foundation
import Testing

@testable import StreamRouter

/// The monitor in a real terminal, over a lab with a real stream: driven by keys, its screens captured and compared.
///
/// Figures differ from run to run: `masked` puts `#` in the place of each, `~` in that of a curve, and one blank in that
/// of several, so that what is left is the same each time.
@Suite(
  .serialized,
  .enabled(if: LabFixture.obstacle == nil, "\(LabFixture.obstacle ?? "")"),
  .enabled(if: Tmux.obstacle == nil, "\(Tmux.obstacle ?? "")"), .timeLimit(.minutes(3)))
struct MonitorScreenTests {
  private static let stream = """
      video:
        protocol: rtp
        from: camera:5004
        to: studio:5004
    """

  /// One way through all pages, in a terminal of each size.
  private func drive(_ columns: Int, _ rows: Int, table: String) async throws {
    let live = try LiveLab("t-screen-\(columns)", engine: .sandbox, streams: Self.stream)
    try await live.use {
      let program = try LabFiles.ownExecutable().removingLastComponent().appending(LiveLab.program).string
      try await Tmux.use(columns, rows) { tmux in
        try await tmux.open(
          "'\(program)' send --topology '\(live.file.path)' --stream video --rate 500 --for 120s")
        try await tmux.open("'\(program)' monitor '\(live.file.path)' --interval 500ms")
        // Three rows that are judged by a whole interval.
        let first = try await tmux.screen {
          Self.masked($0).count { $0.contains("sandbox ok") || $0.contains("ok #") } >= 3
        }
        let masked = Self.masked(first)
        #expect(masked[0].hasPrefix("t-screen-#-sandbox-# # of # nodes up # r"))
        #expect(masked[1] == table)
        #expect(masked[2].hasPrefix("› video "))
        #expect(first.count == rows && first.allSatisfy { TextWidth.cells($0) <= columns })
        #expect(first[rows - 1].hasPrefix("q quit  ? help"))

        try await tmux.press("Down", "Enter")
        let detail = Self.masked(
          try await tmux.screen { $0.contains { $0.hasPrefix("stream video, hop 1 on node edge  ok") } })
        let path = [
          "│ comes in at", "● camera sandbox ok", "│ link to edge", "›● edge sandbox ok", "│ link to studio",
          "● studio sandbox ok", "└ local",
        ]
        for (line, text) in zip(detail.dropFirst(4), path) { #expect(line.hasPrefix(text), "\(detail)") }
        #expect(detail[3].hasPrefix("Path PKT/S JITTER LOST P# ADDED"))
        #expect(detail.contains { $0.hasPrefix("jitter #, at most # in #") }, "\(detail)")

        try await tmux.press("Tab")
        _ = try await tmux.screen { $0.contains { $0.hasPrefix("stream video, hop 2 on node studio  ok") } }

        try await tmux.press("n")
        let nodes = try await tmux.screen { $0.contains { $0.hasPrefix("  NODE ") } }
        #expect(Self.masked(nodes).contains { $0.hasPrefix("› camera up # ") }, "\(nodes)")
        try await tmux.press("Down", "Enter")
        let node = Self.masked(try await tmux.screen { $0.contains { $0.hasPrefix("node edge  up") } })
        #expect(node.contains { $0.hasPrefix("daemon process #, up #") }, "\(node)")
        #expect(node.contains { $0.hasPrefix("softirq # of processor time") }, "\(node)")

        // Choose: the table without its second column, and back.
        try await tmux.press("Escape", "Escape", "c", "Down", "Space", "Enter")
        _ = try await tmux.screen { $0[1].hasPrefix("  STREAM") && !$0[1].contains(" HOP ") }

        try await tmux.press("t", "e")
        _ = try await tmux.screen { $0[1].hasPrefix("Events since this monitor was started") }
        try await tmux.press("?")
        _ = try await tmux.screen { $0[1] == "Keys" }
        // The last picture stays, and the shell's screen is back.
        try await tmux.press("Escape", "Q")
        let left = try await tmux.screen { $0.contains { $0.contains("monitor ended with 0") } }
        #expect(left.contains { $0.hasPrefix("q quit  ? help") }, "\(left)")
      }
    }
  }

  @Test func at60x20() async throws {
    try await drive(60, 20, table: "STREAM▲ NODE STATE PKT/S BIT/S LOSS% JITTER P#")
  }

  @Test func at120x40() async throws {
    try await drive(
      120, 40,
      table: "STREAM▲ HOP NODE ENGINE STATE PKT/S BIT/S LOSS% DROPS JITTER P# P# MAX JITTER #")
  }

  @Test func at200x60() async throws {
    try await drive(
      200, 60,
      table: "STREAM▲ HOP NODE ENGINE STATE PKT/S BIT/S LOSS% DROPS JITTER P# P# MAX JITTER #")
  }

  private static func masked(_ screen: [String]) -> [String] {
    screen.map { line in
      let figures = line.replacing(/<?[0-9][0-9.:]*(ns|us|ms|s|k|M|G|m|h|%)?/, with: "#")
      let curves = figures.replacing(/[▁▂▃▄▅▆▇█]+/, with: "~")
      return curves.split(separator: " ").joined(separator: " ")
    }
  }
}

/// A tmux server of the test's own, which goes whatever happens, with what runs in it.
struct Tmux {
  /// Why it cannot be used here.
  static let obstacle: String? =
    LabShell.searchPath.split(separator: ":").contains { access("\($0)/tmux", X_OK) == 0 }
    ? nil : "tmux is not installed: apt-get install tmux"

  private let socket = "streamrouter-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
  let columns: Int
  let rows: Int

  static func use(_ columns: Int, _ rows: Int, _ body: (Tmux) async throws -> Void) async throws {
    let tmux = Tmux(columns: columns, rows: rows)
    do {
      try await body(tmux)
    } catch {
      _ = try? await tmux.run("kill-server")
      throw error
    }
    try await tmux.run("kill-server")
  }

  /// Runs a command in a window of its own, which is then the one that keys go to.
  func open(_ command: String) async throws {
    let isFirst = (try? await run("has-session")) == nil
    // The window stays, so that what the command leaves on the screen can be read.
    let line = "LC_ALL=C.UTF-8 \(command); echo monitor ended with $?; sleep 60"
    if isFirst {
      try await run("new-session", "-d", "-x", "\(columns)", "-y", "\(rows)", line)
      try await run("set-option", "-g", "status", "off")
      try await run("resize-window", "-x", "\(columns)", "-y", "\(rows)")
    } else {
      try await run("new-window", line)
    }
  }

  func press(_ keys: String...) async throws {
    for key in keys {
      try await run("send-keys", key)
      // A key behind an escape would be taken for one sequence with it.
      if key == "Escape" { try await Task.sleep(for: .milliseconds(150)) }
    }
  }

  /// The lines on the screen as soon as they are as wanted; as they are after 15 seconds, with a complaint.
  func screen(_ isWanted: ([String]) -> Bool) async throws -> [String] {
    var lines: [String] = []
    for _ in 0..<150 {
      lines = try await run("capture-pane", "-p").split(separator: "\n", omittingEmptySubsequences: false)
        .map(String.init)
      if lines.last == "" { lines.removeLast() }
      if lines.count == rows, isWanted(lines) { return lines }
      try await Task.sleep(for: .milliseconds(100))
    }
    Issue.record("the screen never was as wanted:\n\(lines.joined(separator: "\n"))")
    struct WrongScreen: Error {}
    throw WrongScreen()
  }

  @discardableResult
  private func run(_ arguments: String...) async throws -> String {
    let outcome = try await LabShell.attempt(
      "env", ["LC_ALL=C.UTF-8", "TERM=xterm-256color", "tmux", "-L", socket, "-f", "/dev/null"] + arguments)
    struct Failed: Error { let text: String }
    guard outcome.succeeded else { throw Failed(text: "tmux \(arguments): \(outcome.errors)") }
    return outcome.output
  }
}
