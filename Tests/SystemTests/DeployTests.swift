import Foundation
import SystemPackage
import TestSupport
import Testing
import Topology

@testable import StreamRouter

/// Deploys in a lab with a controller, by the command that users have, while a stream flows.
///
///     send --> camera 10.78.0.1 ---- edge 10.78.0.2 ---- studio 10.78.0.3 --> receive
///                 |                    |                   |
///                 '---------- controller (unix socket) ----'
@Suite(.serialized, .enabled(if: LabFixture.obstacle == nil, "\(LabFixture.obstacle ?? "")"))
struct DeployTests {
  private static let plain = "  video: {protocol: rtp, from: \"camera:5004\", to: \"studio:5004\"}"
  private static let twoSinks =
    "  video: {protocol: rtp, from: \"camera:5004\", to: [\"studio:5004\", \"edge:6000\"]}"

  private static func lab(_ name: String, _ streams: String = plain) throws -> LiveLab {
    try LiveLab("d-" + name, engine: .sandbox, streams: streams, control: .controller)
  }

  @Test(
    "20,000 packets a second: the middle hop's extension is exchanged and a sink added, nothing lost or doubled",
    .enabled(if: ExtensionBuilding.obstacle == nil, "\(ExtensionBuilding.obstacle ?? "")"))
  func changesUnderLoad() async throws {
    func streams(to sinks: String) -> String {
      "  video: {protocol: rtp, from: \"camera:5004\", to: [\(sinks)], extensions: [{name: stamp, at: edge}]}"
    }
    func stamp(_ byte: String) -> String {
      """
      import RelayExtension
      @main struct Stamp: RelayExtension {
        enum Counter: UInt32, RelayCounter { case stamped }
        func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
          packet.store(UInt8(\(byte)), at: packet.length - 1)
          context.count(.stamped)
          return .forward
        }
      }
      """
    }
    let live = try Self.lab("load", streams(to: "\"studio:5004\""))
    try live.install(try await ExtensionBuilding.build(stamp("0xa1"), in: live.folder).image)
    let second = try await ExtensionBuilding.build(stamp("0xb2"), in: live.folder)
    try await live.use {
      let stream = try await TestStream.begin(live, perSecond: 20_000, for: "9s")
      let added = try await TestStream.receive(live, at: "edge")
      try live.install(second.image)
      try live.rewrite(engine: .sandbox, streams: streams(to: "\"studio:5004\", \"edge:6000\""))
      let deployed = try await live.command("deploy", live.file.path, "--json")
      try #require(deployed.succeeded, "\(deployed.errors)")
      let done = try JSONDecoder().decode(DeployDocument.self, from: Data(deployed.output.utf8))
      #expect(done.revision == 2 && done.changes == 1 && done.verified == ["video"], "\(done)")
      #expect(try await live.account("video")[1].extensions.map(\.content) == [second.content])
      let report = try await stream.end()
      #expect(report.lost == 0 && report.duplicates == 0 && report.received == 180_000, "\(report)")
      let later = try await added.end()
      // It was added while the stream flowed: it has the rest, without a gap.
      #expect(later.lost == 0 && later.duplicates == 0 && later.received > 20_000, "\(later)")
    }
  }

  @Test("a part that one node refuses leaves all three as they were")
  func refusedPart() async throws {
    let live = try Self.lab("refused")
    try await live.use {
      let before = try await live.relays()
      // The studio has no such address: it alone can know.
      let text = try String(contentsOf: live.file, encoding: .utf8)
      try text.replacing("10.78.0.3", with: "10.78.0.33").write(
        to: live.file, atomically: true, encoding: .utf8)
      let refused = try await live.command("deploy", live.file.path)
      #expect(refused.status == "exited(1)", "\(refused)")
      #expect(
        refused.errors.contains(
          "node studio refuses: stream video: 10.78.0.33 is not an address of this machine"))
      #expect(try await live.relays() == before)
      let status = try await live.controlStatus()
      #expect(status.revision == 1 && status.isWhole && status.lockedBy == nil, "\(status)")
      // The way is free for the next one.
      try live.rewrite(engine: .sandbox, streams: Self.twoSinks)
      #expect(try await live.command("deploy", live.file.path).succeeded)
      #expect(try await live.relays() != before)
    }
  }

  @Test("plan names every change, exits 2, and changes nothing")
  func plan() async throws {
    let live = try Self.lab("plan")
    try await live.use {
      #expect(try await live.command("plan", live.file.path).status == "exited(0)")
      try live.rewrite(engine: .sandbox, streams: Self.twoSinks.replacing("5004\", to", with: "5010\", to"))
      let before = try await live.relays()
      let plan = try await live.command("plan", live.file.path)
      #expect(plan.status == "exited(2)")
      #expect(plan.output.contains("node camera\n  ~ replace stream video on node camera"))
      #expect(plan.output.contains("interrupts: it listens elsewhere: packets to 10.78.0.1:5004 are passed by"))
      #expect(plan.output.contains("node edge\n  ~ replace stream video on node edge"), "\(plan.output)")
      #expect(try await live.relays() == before)
      #expect(try await live.controlStatus().revision == 1)

      // Another engine alone is no change of a relay, and says when it counts.
      try live.rewrite(engine: .process, streams: Self.plain)
      let engine = try await live.command("plan", live.file.path)
      #expect(engine.status == "exited(2)", "\(engine)")
      for text in [
        "node edge\n  later: engine sandbox becomes process: for 1 relay that runs it counts once the node's daemon",
        "no relay changes; limits, probes or ways of running do",
      ] { #expect(engine.output.contains(text), "\(engine)") }
    }
  }

  @Test("a deploy that nobody confirms is taken back, one that is confirmed stays")
  func confirmation() async throws {
    let live = try Self.lab("confirm")
    try await live.use {
      let before = try await live.relays()
      try live.rewrite(engine: .sandbox, streams: Self.twoSinks)
      let first = try await live.command("deploy", live.file.path, "--confirm", "5s")
      #expect(first.succeeded && first.output.contains("streamrouter confirm"), "\(first)")
      let sinks = try await live.runningSinks()
      #expect(try await sinks == live.wantedSinks())
      // Meanwhile nobody else deploys.
      let other = try await live.command("deploy", live.file.path)
      #expect(!other.succeeded && other.errors.contains("waits to be confirmed"), "\(other)")
      try await live.until("it is taken back") { try await live.controlStatus().lockedBy == nil }
      #expect(try await live.relays() == before)
      #expect(try await live.runningSinks()["edge"]?.count == 1)
      #expect(try await live.controlStatus().revision == 1)
      #expect(try await live.command("deploy", live.file.path, "--confirm", "30s").succeeded)
      #expect(try await live.command("confirm").succeeded)
      #expect(try await live.runningSinks() == sinks)
      let status = try await live.controlStatus()
      #expect(status.revision == 3 && status.isWhole, "\(status)")
    }
  }

  @Test("a node that is gone: the deploy says so, --partial goes on, the node follows when it is back")
  func absentNode() async throws {
    let live = try Self.lab("absent")
    try await live.use {
      kill(try live.pid("studio"), SIGKILL)
      try await live.until("the controller knows") {
        try await live.controlStatus().nodes.contains { $0.node == "studio" && $0.state == "silent" }
      }
      try live.rewrite(engine: .sandbox, streams: Self.plain.replacing("studio:5004", with: "studio:6004"))
      let refused = try await live.command("deploy", live.file.path)
      #expect(
        refused.status == "exited(69)" && refused.errors.contains("node studio is not connected"), "\(refused)")
      let partial = try await live.command("deploy", live.file.path, "--partial", "--json")
      #expect(partial.succeeded, "\(partial)")
      let done = try JSONDecoder().decode(DeployDocument.self, from: Data(partial.output.utf8))
      #expect(done.absent == ["studio"])
      #expect(try await live.controlStatus().isWhole == false)
      // Starts the daemon that is dead, and deploys nothing.
      try await live.up()
      try await live.until("studio follows") { try await live.controlStatus().isWhole }
      #expect(try await live.relays()["studio"]?.first?.sinks.first?.destination.port == 6004)
    }
  }

  @Test("destroy ends all relays, rollback brings them back")
  func destroyAndBack() async throws {
    let live = try Self.lab("destroy")
    try await live.use {
      let before = try await live.relays()
      let unasked = try await live.command("destroy")
      #expect(unasked.status == "exited(64)" && unasked.errors.contains("--yes"), "\(unasked)")
      #expect(try await live.command("destroy", "--yes").succeeded)
      #expect(try await live.relays().values.allSatisfy(\.isEmpty))
      let back = try await live.command("rollback", "1")
      #expect(back.succeeded, "\(back)")
      #expect(try await live.relays() == before)
      let history = try await live.command("history", "--json")
      let revisions = try JSONDecoder().decode(HistoryDocument.self, from: Data(history.output.utf8)).revisions
      #expect(revisions.map(\.number) == [3, 2, 1])
      #expect(revisions.map(\.outcome) == ["in force", "destroyed", "kept"], "\(revisions)")
    }
  }

  @Test(
    "'lab up' again deploys what the file says by then and tells what that changed; 'lab status' has the controller"
  )
  func upAgain() async throws {
    let live = try Self.lab("again")
    try await live.use {
      try live.rewrite(engine: .sandbox, streams: Self.twoSinks)
      let again = try await live.command(["lab", "up", live.file.path])
      #expect(again.succeeded, "\(again)")
      for text in ["deployed \(live.file.path)", "revision 2: 1 change on 3 nodes", "streamrouter status"] {
        #expect(again.output.contains(text), "\(again)")
      }
      let status = try await live.command(["lab", "status", live.topology.name])
      #expect(status.succeeded && status.output.contains("revision 2 is in force"), "\(status)")
      try await live.killController()
      let dead = try await live.command(["lab", "status", live.topology.name])
      #expect(dead.status == "exited(1)" && dead.output.contains("controller: dead"), "\(dead)")
    }
  }

  @Test("after 'destroy' another topology takes the nodes, and nothing of the former one is left on them")
  func otherTopology() async throws {
    let live = try Self.lab("former")
    try await live.use {
      let (former, next) = (live.topology.name, live.topology.name + "-next")
      let file = live.folder.appending(path: "\(next).yaml")
      try String(contentsOf: live.file, encoding: .utf8).replacing("name: \(former)", with: "name: \(next)")
        .write(to: file, atomically: true, encoding: .utf8)
      func deploy(_ file: URL) async throws -> LabShell.Outcome {
        try await live.command(["deploy", file.path, "--lab", former])
      }
      let refused = try await deploy(file)
      #expect(
        refused.status == "exited(64)" && refused.errors.contains("'streamrouter destroy' ends the former"),
        "\(refused)")
      #expect(try await live.command("destroy", "--yes").succeeded)
      let taken = try await deploy(file)
      #expect(taken.succeeded, "\(taken)")
      #expect(!LabFiles.exists(NodePaths.pinDirectory(topology: former)), "pins of the former topology")
      for node in live.topology.nodes.map(\.name) {
        let (old, new) = (NodePaths(topology: former, node: node), NodePaths(topology: next, node: node))
        #expect(!LabFiles.exists(old.controlSocket) && !LabFiles.exists(old.extensions), "\(node)")
        #expect(LabFiles.exists(new.pins), "\(node)")
        try await live.until("\(node) answers") { LabSocket.accepts(new.controlSocket) }
      }
      let readings = await ControlSnapshotSource(topology: next, nodes: live.topology.nodes.map(\.name)).read()
      // In the datapath of the kernel, as before: what the former one left would have kept it from the devices.
      #expect(
        readings.compactMap(\.snapshot).flatMap(\.relays).map(\.engine) == [.sandbox, .sandbox, .sandbox])
      // And back, so that the lab takes down what it made.
      #expect(try await live.command("destroy", "--yes").succeeded)
      #expect(try await deploy(live.file).succeeded)
      #expect(!LabFiles.exists(NodePaths.pinDirectory(topology: next)))
      try? LabFiles.removeTree(NodePaths.runtimeDirectory(topology: next))
    }
  }

  @Test("a node is killed at every moment of a deploy: it follows when it is back, or all are as they were")
  func nodeKilled() async throws {
    let live = try Self.lab("node")
    try await live.use {
      let ended = try await disturb(live) { round, deploying in
        try await live.kill(node: ["edge", "studio", "camera"][round % 3])
        try await live.lab.restartDaemons()
        let outcome = try await deploying.value
        return outcome.succeeded
      }
      print("a node was killed 12 times: \(ended.carried) carried through, \(ended.given) given up")
      #expect(ended.carried > 0)
    }
  }

  @Test(
    "the controller is killed at every moment of a deploy: all nodes run one revision, the stream loses nothing"
  )
  func controllerKilled() async throws {
    let live = try Self.lab("killed")
    try await live.use {
      let ended = try await disturb(live) { _, deploying in
        try await live.killController()
        // Who asked lost his connection, whatever became of the deploy.
        _ = try await deploying.value
        try await live.lab.restartController()
        return nil
      }
      print("killed 12 times: \(ended.carried) carried through, \(ended.given) given up")
      #expect(ended.carried > 0 && ended.given > 0)
    }
  }

  private struct Ended {
    var carried = 0
    var given = 0
  }

  /// Twelve deploys while a stream flows, each disturbed at another moment: there is one revision everywhere after each,
  /// and no packet is lost.
  ///
  /// - Parameter body: Disturbs the deploy of a round, and returns whether it was said to have succeeded; nil: nobody can say.
  private func disturb(
    _ live: LiveLab, _ body: (Int, Task<LabShell.Outcome, any Error>) async throws -> Bool?
  ) async throws -> Ended {
    let stream = try await TestStream.begin(live, perSecond: 5_000, for: "60s")
    let variants = [Self.plain, Self.twoSinks]
    var ended = Ended()
    for round in 0..<12 {
      let before = try await live.controlStatus().revision
      try live.rewrite(engine: .sandbox, streams: variants[ended.carried % 2 == 0 ? 1 : 0])
      let wanted = try await live.wantedSinks()
      let deploying = Task { try await live.command("deploy", live.file.path) }
      // A deploy takes some 900 ms from the command's start.
      try await Task.sleep(for: .milliseconds(round < 6 ? 20 * round : 80 * (round - 4)))
      let said = try await body(round, deploying)
      try await live.until("round \(round): one revision everywhere") {
        let status = try await live.controlStatus()
        return status.isWhole && status.lockedBy == nil
      }
      let now = try await live.controlStatus()
      if let said { #expect(said == (now.revision != before), "round \(round)") }
      #expect(Set(now.nodes.map(\.revision)) == [now.revision], "round \(round)")
      if now.revision == before {
        ended.given += 1
      } else {
        ended.carried += 1
        #expect(try await live.runningSinks() == wanted, "round \(round)")
      }
    }
    let report = try await stream.end(interrupt: true)
    #expect(report.lost == 0 && report.duplicates == 0, "\(report)")
    return ended
  }
}
