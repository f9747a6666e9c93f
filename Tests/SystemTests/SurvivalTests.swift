import Foundation
import SystemPackage
import Testing
import Topology

@testable import StreamRouter

/// The stream goes on, whatever happens to the daemons: 5,000 numbered RTP packets a second.
///
///     sender --> camera 10.78.0.1 ---- edge 10.78.0.2 ---- studio 10.78.0.3 --> receiver
///                                        '--> second receiver, added and removed under load
///
/// Each event waits for the traffic, not for a time, so that it falls into the load on a slow machine too.
@Suite(.serialized, .enabled(if: LabFixture.obstacle == nil, "\(LabFixture.obstacle ?? "")"))
struct SurvivalTests {
  private static let rate = 5000
  private static let nodes = ["camera", "edge", "studio"]

  private static func streams(to sinks: [String]) -> String {
    "  video: {protocol: rtp, from: \"camera:5004\", to: [\(sinks.map { "\"\($0)\"" }.joined(separator: ", "))]}"
  }

  private func lab(_ name: String, _ engine: EngineChoice = .sandbox) throws -> LiveLab {
    try LiveLab("t-" + name, engine: engine, streams: Self.streams(to: ["studio:5004"]))
  }

  private func receiver(_ live: LiveLab) throws -> DatagramCollector {
    try DatagramCollector(live, node: "studio", at: "10.78.0.3:5004")
  }

  /// Sends numbered packets while `event` happens, and returns when both are over.
  private func underLoad(_ live: LiveLab, _ numbers: Range<Int>, _ event: () async throws -> Void) async throws
  {
    let ingress = try #require(Endpoint("10.78.0.1:5004"))
    async let sending: Void = NumberedRTP.send(
      numbers, in: live.namespace("camera"), to: ingress, perSecond: Self.rate)
    try await event()
    try await sending
  }

  private func until(_ what: String, _ holds: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(20)
    while try await !holds() {
      try #require(ContinuousClock.now < end, "still waiting after 20 s: \(what)")
      try await Task.sleep(for: .milliseconds(10))
    }
  }

  /// Every hop's account once it says that all packets came in: complete, nothing dropped, lost or met twice.
  private func expectWholeAccount(_ live: LiveLab, _ numbers: Range<Int>) async throws -> [RelaySnapshot] {
    let sent = UInt64(numbers.count)
    try? await until("all packets are accounted for") {
      try await live.account("video").allSatisfy { $0.counters["packets_in"] == sent }
    }
    let hops = try await live.account("video")
    #expect(hops.map(\.hop) == [0, 1, 2])
    for hop in hops {
      #expect(hop.counters["packets_in"] == sent, "hop \(hop.hop)")
      #expect(hop.counters["bytes_in"] == sent * UInt64(NumberedRTP.bytes), "hop \(hop.hop)")
      // One SSRC from the beginning to the end: nobody began its state anew.
      #expect(hop.dropped == 0 && hop.rtpLost == 0, "hop \(hop.hop): \(hop.counters)")
      #expect(hop.counters["rtp_duplicates"] == 0 && hop.counters["rtp_restarts"] == 0, "hop \(hop.hop)")
    }
    return hops
  }

  @Test("SIGKILL of every daemon under load loses nothing, and the account goes on", .timeLimit(.minutes(2)))
  func killedDaemons() async throws {
    let live = try lab("kill")
    try await live.use {
      let receiver = try receiver(live)
      let numbers = 0..<30_000
      var before: [RelaySnapshot] = []
      try await underLoad(live, numbers) {
        try await until("a part arrives") { receiver.count >= 8000 }
        let former = try Self.nodes.map { try live.pid($0) }
        before = try await live.account("video")
        for pid in former { kill(pid, SIGKILL) }
        try await until("the daemons are dead") {
          try await live.lab.status().nodes.allSatisfy { $0.state == .dead }
        }
        // The kernel goes on alone meanwhile.
        let alone = receiver.count
        try await until("packets pass without daemons") { receiver.count >= alone + 3000 }
        #expect(try await live.up() == .updated(restarted: Self.nodes, reloaded: []), "all were dead")
        #expect(try Set(Self.nodes.map { try live.pid($0) }).isDisjoint(with: former))
        #expect(receiver.count < numbers.count, "the load ended before the restart did")
      }
      NumberedRTP.expectAll(try await receiver.all(expecting: numbers.count), numbers)

      let after = try await expectWholeAccount(live, numbers)
      #expect(after.allSatisfy { $0.engine == .sandbox && $0.engineReason == nil })
      #expect(after.allSatisfy { $0.counters["packets_out"] == UInt64(numbers.count) })
      // What the former daemons reported is part of what the new ones report.
      #expect(before.count == 3)
      for (early, late) in zip(before, after) {
        #expect(early.counters["packets_in"] ?? 0 >= 8000)
        #expect(early.counters.allSatisfy { late.counters[$0.key] ?? 0 >= $0.value }, "hop \(late.hop)")
        #expect(zip(early.residence.counts, late.residence.counts).allSatisfy(<=), "hop \(late.hop)")
      }
    }
  }

  @Test(
    "a sink added and removed on SIGHUP under load costs the first one nothing", .timeLimit(.minutes(2)),
    arguments: [EngineChoice.sandbox, .process])
  func changedFile(engine: EngineChoice) async throws {
    let live = try lab("hup", engine)
    try await live.use {
      let first = try receiver(live)
      let second = try DatagramCollector(live, node: "edge", at: "10.78.0.2:7000")
      let numbers = 0..<30_000
      let daemons = try Self.nodes.map { try live.pid($0) }
      try await underLoad(live, numbers) {
        try await until("a part arrives") { first.count >= 5000 }
        #expect(second.count == 0)
        try live.rewrite(engine: engine, streams: Self.streams(to: ["studio:5004", "edge:7000"]))
        #expect(try await live.up() == .updated(restarted: [], reloaded: Self.nodes))
        try await until("the second sink is served") { second.count >= 3000 }
        try live.rewrite(engine: engine, streams: Self.streams(to: ["studio:5004"]))
        try await live.up()
        try await until("the second sink is served no more") {
          try await live.account("video").allSatisfy { $0.sinks.count == 1 }
        }
        #expect(first.count < numbers.count, "the load ended before the changes did")
      }
      NumberedRTP.expectAll(try await first.all(expecting: numbers.count), numbers)
      // What the second sink got is one piece of the stream, without a gap.
      let piece = try await second.all(expecting: 3000)
      let start = try #require(NumberedRTP.numbers(piece).first)
      NumberedRTP.expectAll(piece, start..<start + piece.count)
      #expect(start > 0 && piece.count < numbers.count - start)

      let hops = try await expectWholeAccount(live, numbers)
      #expect(hops.allSatisfy { $0.engine == engine })
      #expect(hops[1].counters["packets_out"] == UInt64(numbers.count + piece.count))
      #expect(try Self.nodes.map { try live.pid($0) } == daemons, "the same daemons all the while")
    }
  }

  /// What is wrong with a file.
  enum Mistake: CaseIterable, Sendable {
    /// No node can decode it.
    case unknownNode
    /// A good file, which the edge's engine cannot carry out.
    case foreignAddress

    /// What the log must name, and the nodes that must refuse the file.
    var named: String { self == .unknownNode ? "nowhere" : "10.78.0.9" }
    var nodes: [String] { self == .unknownNode ? SurvivalTests.nodes : ["edge"] }

    /// Changes a lab's file, which `lab up` itself would refuse to have followed.
    func make(in live: LiveLab) throws {
      let text = try String(contentsOf: live.file, encoding: .utf8)
      let wrong =
        self == .unknownNode
        ? text.replacing("camera:5004", with: "nowhere:5004") : text.replacing("10.78.0.2", with: "10.78.0.9")
      try wrong.write(to: live.file, atomically: true, encoding: .utf8)
    }
  }

  @Test("a file that cannot be followed changes nothing, and the log says why", arguments: Mistake.allCases)
  func uselessFile(_ mistake: Mistake) async throws {
    let live = try lab("bad")
    try await live.use {
      let receiver = try receiver(live)
      let numbers = 0..<10_000
      try await underLoad(live, numbers) {
        try await until("a part arrives") { receiver.count >= 2000 }
        try mistake.make(in: live)
        await #expect(throws: (any Error).self) { try await live.up() }
        for node in mistake.nodes {
          let log = NodePaths(topology: live.topology.name, node: node).log
          kill(try live.pid(node), SIGHUP)
          try await until("\(node) says that it did not follow") {
            LabFiles.read(log)?.contains("again changed nothing") == true
          }
          #expect(LabFiles.read(log)?.contains(mistake.named) == true, "\(LabFiles.tail(log, lines: 9))")
        }
      }
      NumberedRTP.expectAll(try await receiver.all(expecting: numbers.count), numbers)
      let hops = try await expectWholeAccount(live, numbers)
      #expect(hops[1].ingress == Endpoint("10.78.0.2:5004"))
      #expect(try await live.lab.status().isUp)
    }
  }

  @Test("a second daemon of a running node is refused, and the first one goes on")
  func secondDaemon() async throws {
    let live = try lab("twice")
    try await live.use {
      let first = try live.pid("edge")
      let program = try LabFiles.ownExecutable().removingLastComponent().appending(LiveLab.program).string
      let second = try await live.run("edge", [program, "node", "run", live.file.path, "--name", "edge"])
      #expect(!second.succeeded)
      #expect(second.errors.contains("end it first"), "\(second.errors)")
      #expect(try live.pid("edge") == first)
      let receiver = try receiver(live)
      try await underLoad(live, 0..<500) {}
      NumberedRTP.expectAll(try await receiver.all(expecting: 500), 0..<500)
      _ = try await expectWholeAccount(live, 0..<500)
    }
  }

  @Test("filters and pins outlive the daemon; node remove takes both away, and up makes them again")
  func removal() async throws {
    let live = try lab("gone")
    try await live.use {
      #expect(try filters(live, "edge") == ["to-camera"])
      let program = try LabFiles.ownExecutable().removingLastComponent().appending(LiveLab.program).string
      for node in Self.nodes {
        let pins = NodePaths(topology: live.topology.name, node: node).pins
        let daemon = try #require(LabProcess(running: live.pid(node)))
        daemon.signal(SIGTERM)
        try await until("the daemon of \(node) ends") { !daemon.isRunning }
        #expect(LabFiles.exists(pins))
        #expect(try filters(live, node).count == 1)
        let removed = try await live.run(node, [program, "node", "remove", live.file.path, "--name", node])
        #expect(removed.succeeded, "\(removed.errors)")
        #expect(!LabFiles.exists(pins))
        #expect(try filters(live, node) == [])
      }
      #expect(try await live.up() == .updated(restarted: Self.nodes, reloaded: []))
      let receiver = try receiver(live)
      try await underLoad(live, 0..<500) {}
      NumberedRTP.expectAll(try await receiver.all(expecting: 500), 0..<500)
    }
    let spaces = Self.nodes.map { live.namespace($0) }
    #expect(!LabPrivileges.namespaces().contains { spaces.contains($0) }, "lab down leaves no namespace")
    #expect(LabProcess.all(marked: Lab.mark(topology: live.topology.name)).isEmpty, "nor a process")
  }

  /// The devices of a node on whose ingress our program stands.
  private func filters(_ live: LiveLab, _ node: String) throws -> [String] {
    try NetworkNamespace.run(in: live.namespace(node)) {
      SandboxDevices.all().filter { SandboxDevices.programID(on: $0) != nil }.map(\.name)
    }
  }
}
