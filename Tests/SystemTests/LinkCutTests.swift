import Foundation
import Testing
import Topology

@testable import StreamRouter

/// A node is cut off from its controller at each moment of a deploy, while a stream flows through it; the labs are drawn
/// at ``RemoteLab``. All of them run at once, as most of the time is waiting.
@Suite(.serialized, .enabled(if: LabFixture.obstacle == nil, "\(LabFixture.obstacle ?? "")"))
struct LinkCutTests {
  private static let one = "  video: {protocol: rtp, from: \"camera:5004\", to: \"studio:5004\"}"
  private static let two =
    "  video: {protocol: rtp, from: \"camera:5004\", to: [\"studio:5004\", \"edge:6000\"]}"

  /// When node edge is cut off.
  private enum Moment: CaseIterable {
    /// No side knows of it yet.
    case before
    /// It has prepared, and was not asked to change anything.
    case prepared
    /// It has changed.
    case changed
    /// It has changed, as if the deploy itself had cut it off, and the deploy was to be confirmed.
    case changedToBeConfirmed
    /// All have changed, and were seen to.
    case settling
    /// It runs, and nobody confirms it.
    case unconfirmed
    /// It runs, and is confirmed while the node is away.
    case confirmed

    var cut: RemoteLab.Cut {
      switch self {
      case .before, .changed, .settling: .here
      case .prepared, .confirmed: .there
      case .changedToBeConfirmed, .unconfirmed: .route
      }
    }

    var options: [String] {
      switch self {
      case .changedToBeConfirmed, .unconfirmed: ["--confirm", "6s"]
      case .confirmed: ["--confirm", "30s"]
      default: []
      }
    }
  }

  @Test(
    "whenever a node is cut off, or the controller stops: one revision everywhere in the end, no packet lost, clear words",
    .timeLimit(.minutes(3)))
  func cut() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for moment in Moment.allCases { group.addTask { try await Self.round(moment) } }
      group.addTask { try await Self.stopped() }
      try await group.waitForAll()
    }
  }

  private static func round(_ moment: Moment) async throws {
    let remote = RemoteLab(
      live: try LiveLab(
        "cut-\(Moment.allCases.firstIndex(of: moment) ?? 0)", engine: .sandbox, streams: one,
        control: .controller))
    let live = remote.live
    try await remote.use {
      let stream = try await TestStream.begin(live, perSecond: 500, for: "120s")
      let former = try await live.runningSinks()
      try live.rewrite(engine: .sandbox, streams: two)
      let wanted = try await live.wantedSinks()

      if moment == .before { try await remote.cut("edge", moment.cut) }
      let began = ContinuousClock.now
      async let deploying = live.command(["deploy", live.file.path] + moment.options)
      switch moment {
      case .before, .unconfirmed, .confirmed: break
      case .prepared:
        try await live.moment("edge has prepared") { live.prepared("edge") != nil }
        try await remote.cut("edge", moment.cut)
      case .changed, .changedToBeConfirmed:
        try await live.moment("edge has changed") { live.prepared("edge")?.hop != nil }
        try await remote.cut("edge", moment.cut)
      case .settling:
        try await live.moment("edge has changed") { live.prepared("edge")?.hop != nil }
        // By then packets were seen at every hop, and those on their way are waited for.
        try await Task.sleep(for: .milliseconds(250))
        try await remote.cut("edge", moment.cut)
      }
      let outcome = try await deploying
      let took = ContinuousClock.now - began
      if moment == .unconfirmed || moment == .confirmed {
        #expect(outcome.succeeded && outcome.output.contains("streamrouter confirm"), "\(moment): \(outcome)")
        try await remote.cut("edge", moment.cut)
      }
      // Every question that a deploy asks has an end, so it has too.
      #expect(took < .seconds(45), "\(moment): the deploy took \(took)")
      try await whileAway(moment, live, outcome, former, wanted)
      try await live.until("\(moment): the controller knows that edge is away") {
        try await live.controlStatus().nodes.contains { $0.node == "edge" && $0.state == "silent" }
      }

      try await remote.mend("edge", moment.cut)
      try await live.until("\(moment): one revision everywhere") {
        let status = try await live.controlStatus()
        return status.isWhole && status.lockedBy == nil
      }
      let isNew = try await live.controlStatus().revision == 2
      #expect(isNew == (outcome.succeeded && moment != .unconfirmed), "\(moment): \(outcome)")
      #expect(try await live.runningSinks() == (isNew ? wanted : former), "\(moment)")
      print("cut off at '\(moment)': the deploy took \(took), \(isNew ? "and is in force" : "all went back")")
      let report = try await stream.end(interrupt: true)
      #expect(report.lost == 0 && report.duplicates == 0 && report.received > 100, "\(moment): \(report)")
    }
  }

  private static func whileAway(
    _ moment: Moment, _ live: LiveLab, _ outcome: LabShell.Outcome, _ former: [String: Set<String>],
    _ wanted: [String: Set<String>]
  ) async throws {
    let names = outcome.status == "exited(1)" && outcome.errors.contains("node edge")
    switch moment {
    case .before, .prepared:
      #expect(names, "\(moment): \(outcome)")
      #expect(try await live.runningSinks() == former, "\(moment)")
    case .changed:
      #expect(names && outcome.errors.contains("not heard of while all went back: edge"), "\(outcome)")
      // Nobody can tell it, and it was not told to go back by itself.
      #expect(try await live.runningSinks()["edge"] == wanted["edge"])
    case .changedToBeConfirmed:
      #expect(names, "\(outcome)")
      try await live.until("edge goes back by itself") { live.prepared("edge") == nil }
      #expect(try await live.runningSinks() == former)
    case .settling:
      // Where the cut came before its end the deploy was given up, which is as good; the message tells.
      #expect(outcome.succeeded ? outcome.output.contains("revision 2") : names, "\(outcome)")
    case .unconfirmed:
      try await live.until("edge goes back by itself") { live.prepared("edge") == nil }
      try await live.until("the others go back") { try await live.controlStatus().lockedBy == nil }
      #expect(try await live.runningSinks() == former)
    case .confirmed:
      let confirmed = try await live.command(["confirm", "--lab", live.topology.name])
      #expect(confirmed.succeeded && confirmed.output.contains("revision 2 is kept"), "\(confirmed)")
    }
  }

  /// The controller's process is stopped: its kernel goes on acknowledging what is sent, and nobody answers.
  private static func stopped() async throws {
    let remote = RemoteLab(live: try LiveLab("cut-stop", engine: .sandbox, streams: one, control: .controller))
    let live = remote.live
    try await remote.use {
      let stream = try await TestStream.begin(live, perSecond: 500, for: "120s")
      let controller = try #require(try LabState.load(topology: live.topology.name)?.controller)
      controller.signal(SIGSTOP)
      let began = ContinuousClock.now
      let asked = try await live.command(["status", "--lab", live.topology.name])
      let took = ContinuousClock.now - began
      #expect(asked.status == "exited(69)" && asked.errors.contains("it did not answer for 10 s"), "\(asked)")
      #expect(took < .seconds(15), "a command that nobody answers took \(took)")
      print("a command to a stopped controller ended after \(took): \(asked.errors)")
      try await live.until("the node knows") { remote.says("edge", "did not answer for 10 s") }
      controller.signal(SIGCONT)
      try await live.until("all are back") { try await live.controlStatus().isWhole }
      let report = try await stream.end(interrupt: true)
      #expect(report.lost == 0 && report.duplicates == 0 && report.received > 100, "\(report)")
    }
  }

  @Test("a connection that nobody ends is known to be dead within 15 s, on both sides", .timeLimit(.minutes(2)))
  func halfOpen() async throws {
    let remote = RemoteLab(
      live: try LiveLab("cut-half", engine: .sandbox, streams: Self.one, control: .controller))
    let live = remote.live
    try await remote.use {
      // Both devices stay up: what is sent to the controller goes nowhere.
      try await remote.cut("edge", .route)
      let cut = ContinuousClock.now
      try await live.until("the controller knows") {
        try await live.controlStatus().nodes.contains { $0.node == "edge" && $0.state == "silent" }
      }
      let controller = ContinuousClock.now - cut
      try await live.until("the node knows") {
        remote.says("edge", "the controller at 10.79.1.2:7117: it did not answer for 10 s")
      }
      let node = ContinuousClock.now - cut
      print("a dead connection was noticed after \(controller) by the controller, after \(node) by the node")
      #expect(controller < .seconds(15) && node < .seconds(15))
      try await remote.mend("edge", .route)
      let mended = ContinuousClock.now
      try await live.until("edge is back") { try await live.controlStatus().isWhole }
      print("it was back \(ContinuousClock.now - mended) after the link")
    }
  }
}
