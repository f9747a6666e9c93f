import Foundation
import Testing
import Topology

@testable import StreamRouter

/// A lab of three nodes brought up, looked at, broken and taken down; the topology is drawn at ``LabFixture``.
@Suite(.enabled(if: LabFixture.obstacle == nil, "needs CAP_NET_ADMIN and CAP_SYS_ADMIN"))
struct LabTests {
  @Test func upMakesEveryNodeAndDownLeavesNothing() async throws {
    let fixture = try LabFixture("updown")
    try await fixture.use { lab in
      #expect(try await fixture.up(lab) == .started(nodes: 3, links: 2))
      let status = try await lab.status()
      #expect(status.isUp && status.mode == "namespaces")
      #expect(status.nodes.map(\.namespace) == ["a", "b", "c"].map { "sr-\(fixture.topology.name)-\($0)" })
      for node in status.nodes {
        let pid = try #require(node.pid)
        // The daemon is inside its own namespace and in a session of its own.
        let inside = try FileManager.default.attributesOfItem(atPath: "/run/netns/\(node.namespace ?? "")")
        let link = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/ns/net")
        #expect(link == "net:[\((inside[.systemFileNumber] as? NSNumber)?.uint64Value ?? 0)]")
        #expect(getsid(pid) == pid)
      }
      #expect(Lab.running().contains(fixture.topology.name))
      #expect(Lab.running(file: .init(fixture.file.path)) == fixture.topology.name)

      #expect(try await lab.down())
      #expect(fixture.leftovers() == [])
      #expect(try await !lab.down())
    }
  }

  @Test(arguments: [0, 1])
  func neighboursReachEachOtherAtOnce(_ family: Int) async throws {
    let fixture = try LabFixture("reach\(family)")
    try await fixture.use { lab in
      _ = try await fixture.up(lab)
      let kind = family == 0 ? AF_INET : AF_INET6
      for (near, far) in [(0, 1), (1, 0), (1, 2)] {
        let (from, to) = (fixture.topology.nodes[near], fixture.topology.nodes[far])
        let receiver = try NamespaceSocket(
          namespace: LabNames.namespace(topology: fixture.topology.name, node: to.name), family: kind)
        let endpoint = Endpoint(address: to.addresses[family], port: 7000)
        try receiver.bind(endpoint)
        let sender = try NamespaceSocket(
          namespace: LabNames.namespace(topology: fixture.topology.name, node: from.name), family: kind)
        try sender.bind(Endpoint(address: from.addresses[family], port: 7001))
        try sender.send("\(from.name)", to: endpoint)
        #expect(receiver.receive() == from.name)
      }
    }
  }

  @Test func nodesThatShareNoLinkDoNotReachEachOther() async throws {
    let fixture = try LabFixture("apart")
    try await fixture.use { lab in
      _ = try await fixture.up(lab)
      let sender = try NamespaceSocket(
        namespace: LabNames.namespace(topology: fixture.topology.name, node: "a"), family: AF_INET)
      let far = Endpoint(address: fixture.topology.nodes[2].addresses[0], port: 7000)
      let refusal = #expect(throws: POSIXError.self) { try sender.send("x", to: far) }
      #expect(refusal?.code == .ENETUNREACH)
    }
  }

  @Test func upTwiceIsHarmlessAndStartsTheDeadAgain() async throws {
    let fixture = try LabFixture("twice")
    try await fixture.use { lab in
      _ = try await fixture.up(lab)
      let before = try await lab.status()
      #expect(try await fixture.up(lab) == .unchanged)
      #expect(try await lab.status() == before)

      kill(try #require(before.nodes[1].pid), SIGKILL)
      while try await lab.status().nodes[1].state == .running { try await Task.sleep(for: .milliseconds(5)) }
      let broken = try await lab.status()
      #expect(broken.nodes.map(\.state) == [.running, .dead, .running] && !broken.isUp)
      #expect(try await fixture.up(lab) == .updated(restarted: ["b"], reloaded: []))
      let after = try await lab.status()
      #expect(after.isUp && after.nodes[0] == before.nodes[0] && after.nodes[1].pid != before.nodes[1].pid)
    }
  }

  @Test func aChangedFileIsReadAgainAndAChangedNetworkIsRefused() async throws {
    let fixture = try LabFixture("change")
    try await fixture.use { lab in
      _ = try await fixture.up(lab)
      try Data("two\n".utf8).write(to: fixture.file)
      #expect(try await fixture.up(lab) == .updated(restarted: [], reloaded: ["a", "b", "c"]))
      for node in ["a", "b", "c"] {
        for _ in 0..<400 where !fixture.log(node).contains("hup") {
          try await Task.sleep(for: .milliseconds(5))
        }
        #expect(fixture.log(node).contains("hup"))
      }
      #expect(try await fixture.up(lab) == .unchanged)

      var other = fixture.topology
      other.links.removeLast()
      let refusal = await #expect(throws: LabError.self) {
        try await lab.up(other, file: .init(fixture.file.path))
      }
      #expect("\(try #require(refusal))".contains("lab down \(fixture.topology.name)"))
      #expect(try await lab.status().isUp)
    }
  }

  @Test func aDaemonThatCannotStartTakesTheLabWithItAndSaysWhy() async throws {
    let fixture = try LabFixture("fails")
    let lab = fixture.lab { _, node in
      node == "b" ? ["/bin/sh", "-c", "echo no relay for you >&2; exit 3"] : ["/bin/sleep", "60"]
    }
    let error = await #expect(throws: LabError.self) { try await fixture.up(lab) }
    // Node a's stand-in never opens its socket, but b's end is what the user must hear of.
    let text = "\(try #require(error))"
    #expect(text.contains("node b") && text.contains("no relay for you"))
    #expect(fixture.leftovers() == [])
    try FileManager.default.removeItem(at: fixture.file)
  }

  enum Crash: String, CaseIterable, Sendable {
    case noteUnfinished, noteGarbled, noteLost, daemonsKilled, namespaceGone
  }

  @Test(arguments: Crash.allCases)
  func downAndUpCopeWithACrash(_ crash: Crash) async throws {
    let fixture = try LabFixture("crash-\(crash.rawValue.lowercased().prefix(8))")
    try await fixture.use { lab in
      _ = try await fixture.up(lab)
      let note = LabState.path(topology: fixture.topology.name)
      switch crash {
      case .noteUnfinished:
        // As if `up` had died between starting the daemons and noting them.
        var state = try #require(try LabState.load(topology: fixture.topology.name))
        state.complete = false
        state.daemons = [:]
        try state.save()
        #expect(try await fixture.up(lab) == .started(nodes: 3, links: 2))
      case .noteGarbled:
        try Data("{\"version\": 1, ".utf8).write(to: URL(fileURLWithPath: note.string))
        await #expect(throws: LabError.self) { try await fixture.up(lab) }
      case .noteLost:
        try FileManager.default.removeItem(atPath: note.string)
      case .daemonsKilled:
        for node in try await lab.status().nodes { kill(try #require(node.pid), SIGKILL) }
      case .namespaceGone:
        try await LabShell.run("ip", ["netns", "delete", "sr-\(fixture.topology.name)-b"])
        #expect(try await lab.status().nodes[1].state == .absent)
        #expect(try await fixture.up(lab) == .started(nodes: 3, links: 2))
      }
      #expect(try await lab.down())
      #expect(fixture.leftovers() == [])
    }
  }

  @Test func downOfALabWithoutNoteSparesALabWhoseNameBeginsAlike() async throws {
    let fixture = try LabFixture("spare")
    try await fixture.use { lab in
      _ = try await fixture.up(lab)
      let shorter = String(fixture.topology.name.dropLast(fixture.topology.name.count - 5))
      #expect(fixture.topology.name.hasPrefix(shorter + "-"))
      #expect(try await !Lab(topology: shorter).down())
      #expect(try await lab.status().isUp)
    }
  }

  @Test func twoUpsAtOnceMakeOneLab() async throws {
    let fixture = try LabFixture("race")
    try await fixture.use { _ in
      async let one = fixture.up(fixture.lab())
      async let other = fixture.up(fixture.lab())
      let outcomes = try await [one, other]
      #expect(Set(outcomes) == [.started(nodes: 3, links: 2), .unchanged])
    }
  }

  /// `lab exec` becomes the command: its exit status and its signals are the command's own.
  @Test func aCommandRunByExecCanBeInterrupted() async throws {
    let fixture = try LabFixture("exec")
    try await fixture.use { lab in
      _ = try await fixture.up(lab)
      let program = try LabFiles.ownExecutable().removingLastComponent().appending("streamrouter").string
      let exec = [program, "lab", "exec", fixture.topology.name, "b", "--"]
      let outcome = try await LabShell.attempt("env", exec + ["/bin/sh", "-c", "exit 7"])
      #expect(outcome.status == "exited(7)")

      let log = NodePaths(topology: fixture.topology.name, node: "exec").log
      let sleeper = try LabProcess.startDetached(
        exec + ["sleep", "60"], log: log, mark: Lab.mark(topology: fixture.topology.name))
      let become = "/proc/\(sleeper.pid)/comm"
      for _ in 0..<1000 where LabFiles.read(.init(become)) != "sleep\n" {
        try await Task.sleep(for: .milliseconds(5))
      }
      #expect(LabFiles.read(.init(become)) == "sleep\n")
      sleeper.signal(SIGTERM)
      for _ in 0..<1000 where sleeper.isRunning { try await Task.sleep(for: .milliseconds(5)) }
      #expect(!sleeper.isRunning)
    }
  }

  /// Every example file makes a network, the outside of fan-out.yaml and ipv6.yaml included.
  @Test(arguments: ["three-hop", "fan-out", "ipv6"])
  func everyExampleComesUp(_ example: String) async throws {
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    var topology = try Topology.load(path: package.appending(path: "topologies/\(example).yaml").path)
    topology.name = "\(example)-\(getpid())"
    let fixture = try LabFixture(topology)
    try await fixture.use { lab in
      _ = try await fixture.up(lab)
      let status = try await lab.status()
      #expect(status.isUp && status.nodes.map(\.node) == topology.nodes.map(\.name))
      for space in try LabNetwork(topology).namespaces {
        let said = try await LabShell.run("ip", ["-n", space.name, "-o", "address"])
        for address in space.addresses + space.devices.flatMap(\.addresses) {
          #expect(said.contains(" \(address)/"))
        }
        // Without IPv6 in the topology the kernel's own link-local addresses are left to the kernel.
        #expect(!said.split(separator: "\n").contains { $0.contains("tentative") && !$0.contains(" fe80:") })
      }
    }
  }

  @Test func aProcessIsRunInsideItsNode() async throws {
    let fixture = try LabFixture("inside")
    try await fixture.use { lab in
      _ = try await fixture.up(lab)
      let command = try await lab.command(["ip", "-o", "address", "show", "dev", "to-c"], on: "b")
      let said = try await LabShell.run(command[0], Array(command.dropFirst()))
      #expect(said.contains("10.77.0.2/32") && said.contains("fd77::2/128") && !said.contains("tentative"))
      await #expect(throws: LabError.self) { try await lab.command(["true"], on: "d") }
    }
  }
}

/// Labs on loopback addresses: no namespaces, no privileges.
@Suite struct LabLoopbackTests {
  @Test func upAndDownNeedNoNamespaces() async throws {
    let fixture = try LabFixture("loop", loopback: true)
    try await fixture.use { lab in
      #expect(try await fixture.up(lab) == .started(nodes: 3, links: 2))
      let status = try await lab.status()
      #expect(status.isUp && status.mode == "loopback" && status.nodes.allSatisfy { $0.namespace == nil })
      #expect(try await lab.command(["true", "x"], on: "b") == ["true", "x"])
      await #expect(throws: LabError.self) {
        try await lab.impair(LabImpairmentRequest(link: "a--b", lossPercent: 1))
      }
      // A daemon that the note does not know is found by its mark.
      var state = try #require(try LabState.load(topology: fixture.topology.name))
      state.daemons["b"] = nil
      try state.save()
    }
  }
}
