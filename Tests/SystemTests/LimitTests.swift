import Foundation
import Testing
import Topology

@testable import StreamRouter

/// A hop is impaired on purpose, and the account names that hop and that cause.
///
///     sender --> camera 10.78.0.1 ---- edge 10.78.0.2 ---- studio 10.78.0.3
///
/// How soon it did is printed, not demanded: a machine that runs other tests beside this one is no clock. The delay of a
/// link is made to vary without the kernel's netem: the link carries little, and another stream's bursts fill it.
@Suite(.serialized, .enabled(if: LabFixture.obstacle == nil, "\(LabFixture.obstacle ?? "")"))
struct LimitTests {
  private static func stream(_ expect: String) -> String {
    "  video: {protocol: rtp, from: \"camera:5004\", to: \"studio:5004\", expect: \(expect)}"
  }

  /// The command that `lab impair` runs in the namespace is beside this test's own program.
  private let enter: @Sendable ([String]) throws -> [String] = { arguments in
    let command = try LabFiles.ownExecutable().removingLastComponent().appending("streamrouter").string
    return [command, "lab", "impair-here"] + arguments
  }

  /// What is seen while packets are sent: `impair` comes between a time in which all should be well and the rest.
  private func watch(
    _ live: LiveLab, perSecond rate: Int = 1000, until place: LimitBreach.Place? = nil,
    commands: [[String]] = [],
    impair: () async throws -> Void = {}
  ) async throws -> (before: [LimitBreach], after: [LimitBreach], seconds: Double) {
    let source = ControlSnapshotSource(topology: live.topology.name, nodes: live.topology.nodes.map(\.name))
    // The nodes say what is expected.
    var board = MonitorBoard()
    async let sending: Void = Self.send(live, perSecond: rate, commands)
    var before: [LimitBreach] = []
    for _ in 0..<4 {
      try await Task.sleep(for: .milliseconds(500))
      board.take(await source.read(), timeNs: MonitorClock.nowNs())
      before += board.breaches
    }
    let start = ContinuousClock.now
    try await impair()
    var seconds = 0.0
    while seconds < 3.5 {
      try await Task.sleep(for: .milliseconds(500))
      board.take(await source.read(), timeNs: MonitorClock.nowNs())
      seconds = (ContinuousClock.now - start) / .seconds(1)
      if board.breaches.contains(where: { place == nil || $0.place == place }) { break }
    }
    try await sending
    return (before, board.breaches, seconds)
  }

  /// Numbered packets for six seconds, or what the commands send in the camera's namespace.
  private static func send(_ live: LiveLab, perSecond rate: Int, _ commands: [[String]]) async throws {
    if commands.isEmpty {
      return try await NumberedRTP.send(
        0..<6 * rate, in: live.namespace("camera"), to: try #require(Endpoint("10.78.0.1:5004")),
        perSecond: rate)
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for command in commands {
        group.addTask {
          let said = try await live.run("camera", command)
          #expect(said.succeeded, "\(command): \(said.errors)")
        }
      }
      try await group.waitForAll()
    }
  }

  @Test func lossOnALinkIsNamed() async throws {
    let live = try LiveLab("t-limit-loss", engine: .sandbox, streams: Self.stream("{loss: 1%}"))
    try await live.use {
      let found = try await watch(live) {
        _ = try await live.lab.impair(
          LabImpairmentRequest(link: "edge--studio", direction: .aToB, lossPercent: 20), enter: enter)
      }
      #expect(found.before == [])
      #expect(found.after.map(\.place) == [.link(from: "edge", to: "studio")], "\(found.after)")
      #expect(found.after.first?.cause == "lost on link edge -> studio")
      print("loss on a link: named after \(found.seconds) s")
    }
  }

  /// Only the edge relays on a thread, and only its processor is busy: the others relay at interrupt time.
  @Test func aBusyProcessorIsNamed() async throws {
    // At 10,000 packets a second and with 16 busy threads the edge adds 1.6 to 5 ms, without them at most 0.8. At 1,000 a
    // second they add nothing: the scheduler runs a thread at once that seldom runs.
    let live = try LiveLab("t-limit-load", engine: .sandbox, streams: Self.stream("{residence-p99: 1500us}"))
    let text = try String(contentsOf: live.file, encoding: .utf8)
    let changed = text.replacing(
      "[10.78.0.2, \"fd78::2\"], engine: sandbox", with: "[10.78.0.2], engine: process")
    try #require(changed != text)
    try changed.write(to: live.file, atomically: true, encoding: .utf8)
    try await live.use {
      let processor = (ProcessInfo.processInfo.activeProcessorCount - 1).description
      _ = try await LabShell.run("taskset", ["-a", "-c", "-p", processor, try live.pid("edge").description])
      let busy = BusyProcesses()
      defer { busy.stop() }
      let found = try await watch(live, perSecond: 10_000) { try busy.start(16, on: processor) }
      let edge = found.after.filter { $0.node == "edge" }
      #expect(edge.map(\.place) == [.node("edge")] && found.after == edge, "\(found.after)")
      #expect(edge.first?.cause.hasPrefix("added delay at node edge, engine process, under CPU load: ") == true)
      print(
        "a busy processor: named after \(found.seconds) s, \(edge.map(\.description)); before: \(found.before)")
    }
  }

  /// 60 kB at once, ten times a second, over a link of 20 Mbit/s: packets behind them wait for up to 25 ms.
  @Test func delayVariationOnALinkIsNamed() async throws {
    let live = try LiveLab(
      "t-limit-link", engine: .sandbox,
      streams: Self.stream("{pdv-p99: 8ms}") + "\n"
        + "  bulk: {protocol: udp, from: \"camera:5100\", to: \"studio:5100\"}")
    try await live.use {
      let program = try LabFiles.ownExecutable().removingLastComponent().appending("streamrouter").string
      let place = LimitBreach.Place.link(from: "camera", to: "edge")
      func send(_ words: String) -> [String] {
        [program, "send"] + words.split(separator: " ").map(String.init) + ["--for", "6s"]
      }
      let found = try await watch(
        live, until: place,
        commands: [
          send("--to 10.78.0.1:5100 --transport udp --rate 500 --burst 50 --size 1200"),
          send("--to 10.78.0.1:5004 --rate 5000"),
        ]
      ) {
        _ = try await live.lab.impair(
          LabImpairmentRequest(link: "camera--edge", direction: .aToB, rateKbit: 20_000), enter: enter)
      }
      #expect(!found.before.contains { $0.place == place }, "\(found.before)")
      let named = found.after.filter { $0.place == place }
      #expect(named.map(\.node) == ["edge"], "\(found.after)")
      #expect(
        named.first?.cause.hasPrefix("it came in over link camera -> edge, with ") == true, "\(found.after)")
      #expect(!found.after.contains { $0.node == "studio" }, "\(found.after)")
      print("delay variation on a link: named after \(found.seconds) s, \(named.map(\.description))")
    }
  }

  /// The packets' timestamps are 200 us apart, and five come at once, 5 ms after the five before.
  @Test func anUnevenSourceIsNamedAndNoHop() async throws {
    let live = try LiveLab(
      "t-limit-pace", engine: .sandbox, streams: Self.stream("{jitter: 300us, ipdv-p99: 1ms}"))
    try await live.use {
      let found = try await watch(live)
      let all = found.before + found.after
      #expect(!all.isEmpty && all.allSatisfy { $0.place == .beforeOverlay && $0.node == "camera" }, "\(all)")
      #expect(Set(all.map(\.limit.name)) == ["jitter", "ipdv-p99"])
    }
  }

  /// The command, from the file to its exit status.
  @Test func checkEndsWithTwoAndNamesTheHop() async throws {
    let live = try LiveLab("t-limit-check", engine: .sandbox, streams: Self.stream("{loss: 1%, rate: 100k..}"))
    try await live.use {
      let program = try LabFiles.ownExecutable().removingLastComponent().appending("streamrouter").string
      _ = try await live.lab.impair(
        LabImpairmentRequest(link: "camera--edge", direction: .aToB, lossPercent: 20), enter: enter)
      async let sending: Void = NumberedRTP.send(
        0..<6000, in: live.namespace("camera"), to: try #require(Endpoint("10.78.0.1:5004")),
        perSecond: 1000)
      try await Task.sleep(for: .milliseconds(300))
      let broken = try await LabShell.attempt(
        "env", [program, "check", live.file.path, "--for", "2s", "--json"])
      #expect(broken.status == "exited(2)", "\(broken)")
      #expect(broken.output.contains("\"place\" : \"link camera -> edge\""))
      try await sending
      let other = try await LabShell.attempt("env", [program, "check", live.file.path, "--stream", "audio"])
      #expect(other.status == "exited(64)")
      try live.rewrite(engine: .sandbox, streams: Self.stream("{loss: 100%}"))
      let holds = try await LabShell.attempt("env", [program, "check", live.file.path, "--for", "1s"])
      #expect(holds.status == "exited(0)", "\(holds)")
      try live.rewrite(
        engine: .sandbox, streams: "  video: {protocol: rtp, from: \"camera:5004\", to: \"studio:5004\"}")
      let none = try await LabShell.attempt("env", [program, "check", live.file.path])
      #expect(none.status == "exited(64)")
      // The nodes still go by the file that they read.
      let known = try await LabShell.attempt(
        "env", [program, "check", "--topology", live.topology.name, "--for", "500ms"])
      #expect(known.status == "exited(2)", "nothing is sent, and a rate is expected: \(known)")
    }
    let program = try LabFiles.ownExecutable().removingLastComponent().appending("streamrouter").string
    let gone = try await LabShell.attempt(
      "env", [program, "check", "--topology", live.topology.name, "--for", "500ms"])
    #expect(gone.status == "exited(69)")
  }
}

/// Processes that do nothing but run, until stopped.
private final class BusyProcesses {
  private var running: [Process] = []

  func start(_ count: Int, on processor: String) throws {
    for _ in 0..<count {
      let process = Process()
      process.executableURL = URL(filePath: "/usr/bin/taskset")
      process.arguments = ["-c", processor, "perl", "-e", "1 while 1"]
      try process.run()
      running.append(process)
    }
  }

  func stop() {
    // SIGKILL: they inherit a signal mask that blocks SIGTERM from the thread that starts them. Foundation reaps them;
    // waitUntilExit could wait for ever on a thread without a run loop.
    for process in running { kill(process.processIdentifier, SIGKILL) }
    running = []
  }

  deinit { stop() }
}
