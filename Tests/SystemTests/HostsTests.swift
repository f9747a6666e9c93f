import Foundation
import Testing
import Topology

@testable import StreamRouter

/// `lab up --hosts` against real sshds, one for each machine of ``HostsFixture``.
///
///     operator --ssh--> camera 10.79.0.1 ---- edge 10.79.0.2 ---- studio 10.79.0.3
@Suite(.serialized, .enabled(if: HostsFixture.obstacle == nil, "\(HostsFixture.obstacle ?? "")"))
struct HostsTests {
  @Test(
    "installs, joins, deploys; a stream arrives whole; again changes nothing; a changed file is followed; down leaves nothing",
    .timeLimit(.minutes(5)))
  func whole() async throws {
    let fixture = try HostsFixture("all")
    try await fixture.use {
      let first = try await fixture.up()
      try #require(first.succeeded, "\(first.errors)")
      #expect(first.output.contains("lab \(fixture.name) is up on 3 machines"), "\(first.output)")
      #expect(first.output.contains("installed on camera, edge, studio"))
      #expect(first.output.contains("revision 1: 3 changes on 3 nodes"))

      try await expectStreamWithoutLoss(fixture)

      let before = try await daemons(fixture)
      let second = try await fixture.up()
      #expect(second.succeeded, "\(second.errors)")
      #expect(second.output.contains("has not changed"), "\(second.output)")
      #expect(try await daemons(fixture) == before, "the same processes")

      try fixture.writeTopology(sinks: ["studio:5004", "edge:6000"])
      let plan = try await fixture.command("plan", fixture.topologyFile.path)
      #expect(plan.output.contains("1 to replace on 1 of 3 nodes"), "\(plan.output)\(plan.errors)")
      let third = try await fixture.up()
      #expect(third.succeeded, "\(third.errors)")
      #expect(third.output.contains("revision 2: 1 changes on 3 nodes"), "\(third.output)")
      #expect(!third.output.contains("installed") && !third.output.contains("joined"), "\(third.output)")
      #expect(try await daemons(fixture) == before, "a deploy restarts nothing")

      try await expectOtherCommandsKnow(fixture)

      let down = try await fixture.down()
      #expect(down.succeeded, "\(down.errors)")
      #expect(down.output == "lab \(fixture.name) is down\n")
      for node in HostsFixture.nodes { try await fixture.expectClean(node) }
      #expect(!LabFiles.exists(NodePaths.runtimeDirectory(topology: fixture.name)))
      let again = try await fixture.down()
      #expect(again.output == "lab \(fixture.name) was not up\n")
    }
  }

  private func expectStreamWithoutLoss(_ fixture: HostsFixture) async throws {
    let program = try LabFiles.ownProgram().string
    // Its own log for each receiver: the word of one must not pass for another's.
    let call = UUID().uuidString
    let report = fixture.folder.appending(path: "received-\(call).json")
    let log = fixture.folder.appending(path: "receive-\(call).log")
    let receiver = try LabProcess.startDetached(
      [
        "nsenter", "--net=/run/netns/\(fixture.namespace("studio"))", "sh", "-c",
        "exec \(program) receive --at 10.79.0.3:5004 --transport rtp --clock-rate 90000 --idle 2s --for 60s --json >\(report.path)",
      ], log: .init(log.path),
      mark: "STREAMROUTER_TEST=\(fixture.name)")
    try await fixture.until("the receiver listens") {
      (LabFiles.read(.init(log.path)) ?? "").contains("listening")
    }
    let sent = try await LabShell.attempt(
      "nsenter",
      [
        "--net=/run/netns/\(fixture.namespace("camera"))", program, "send", "--to", "10.79.0.1:5004", "--rate",
        "2000",
        "--count", "4000",
      ])
    #expect(sent.succeeded, "\(sent.errors)")
    try await fixture.until("the receiver ends") { !receiver.isRunning }
    struct Received: Decodable {
      struct Run: Decodable { var received: UInt64, lost: UInt64, duplicates: UInt64 }
      var runs: [Run]
    }
    let run = try JSONDecoder().decode(Received.self, from: Data(contentsOf: report)).runs.first
    #expect(run?.received == 4000)
    #expect(run?.lost == 0)
    #expect(run?.duplicates == 0)
  }

  private func expectOtherCommandsKnow(_ fixture: HostsFixture) async throws {
    let status = try await fixture.command("status", "--lab", fixture.name)
    #expect(status.succeeded && status.output.contains("studio"), "\(status.output)\(status.errors)")
    let monitor = try await fixture.command("monitor", fixture.topologyFile.path, "--once")
    #expect(monitor.succeeded && monitor.output.contains("video"), "\(monitor.output)\(monitor.errors)")
    let labs = try await fixture.command("lab", "list")
    #expect(labs.output.contains("\(fixture.name)  3 of 3 nodes ready"), "\(labs.output)")
    let lab = try await fixture.command("lab", "status", fixture.name)
    #expect(lab.succeeded && lab.output.contains("root@10.79.0.2"), "\(lab.output)")
    let executed = try await fixture.command(
      "lab", "exec", fixture.name, "edge", "--", "printf", "%s", "it's $HOME")
    #expect(executed.output == "it's $HOME")
    let impaired = try await fixture.command(
      "lab", "impair", fixture.name, "--link", "camera--edge", "--loss", "10")
    #expect(!impaired.succeeded && impaired.errors.contains("its links are real"), "\(impaired.errors)")
    let here = try await fixture.command("lab", "up", fixture.topologyFile.path)
    #expect(!here.succeeded && here.errors.contains("is on other machines"), "\(here.errors)")
  }

  /// Each machine's daemons, by role and process.
  private func daemons(_ fixture: HostsFixture) async throws -> [String] {
    var all: [String] = []
    for node in HostsFixture.nodes {
      let said = try await fixture.ssh(node, "cat /run/streamrouter/lab-*.pid")
      all.append("\(node): \(said.output)")
    }
    return all
  }

  @Test("where systemd runs, it is asked to run the daemons, and to forget them", .timeLimit(.minutes(3)))
  func services() async throws {
    let fixture = try HostsFixture("units")
    try await fixture.use {
      for node in HostsFixture.nodes { try await fixture.pretendSystemd(node) }
      let up = try await fixture.up()
      try #require(up.succeeded, "\(up.errors)")
      #expect(up.output.contains("started: camera, edge, studio\n"), "\(up.output)")
      let units = try await fixture.ssh(
        "camera", "cd /etc/systemd/system && ls streamrouter-lab-* multi-user.target.wants | grep streamrouter"
      ).output
      #expect(
        units.split(separator: "\n").sorted() == [
          "streamrouter-lab-controller.service", "streamrouter-lab-controller.service",
          "streamrouter-lab-node.service",
          "streamrouter-lab-node.service",
        ], "\(units)")
      let status = try await fixture.command("lab", "status", fixture.name)
      #expect(status.succeeded, "\(status.output)")

      _ = try await fixture.ssh("camera", "rm /run/pretend-said")
      let second = try await fixture.up()
      #expect(second.output.contains("has not changed"), "\(second.output)\(second.errors)")
      let said = try await fixture.ssh("camera", "cat /run/pretend-said").output
      for verb in ["restart", "enable ", "daemon-reload", "stop"] { #expect(!said.contains(verb), "\(said)") }

      let down = try await fixture.down()
      #expect(down.succeeded, "\(down.errors)")
      for node in HostsFixture.nodes { try await fixture.expectClean(node) }
    }
  }

  @Test("machines come and go with their nodes, and the others go on", .timeLimit(.minutes(3)))
  func comingAndGoing() async throws {
    let fixture = try HostsFixture("move")
    try await fixture.use {
      let all = Dictionary(uniqueKeysWithValues: HostsFixture.nodes.map { ($0, "root@\(fixture.address($0))") })
      let two = all.filter { $0.key != "edge" }
      try fixture.writeTopology(["camera", "studio"])
      try fixture.writeHosts(two)
      let first = try await fixture.up()
      try #require(first.succeeded, "\(first.errors)")

      try fixture.writeTopology()
      try fixture.writeHosts(all)
      let second = try await fixture.up()
      #expect(second.succeeded, "\(second.errors)")
      #expect(second.output.contains("joined: edge\n  started: edge\n"), "\(second.output)")
      try await expectStreamWithoutLoss(fixture)

      try fixture.writeTopology(["camera", "studio"])
      try fixture.writeHosts(two)
      let third = try await fixture.up()
      #expect(third.succeeded, "\(third.errors)")
      #expect(third.output.contains("removed from edge\n"), "\(third.output)")
      try await fixture.expectClean("edge")
      try await expectStreamWithoutLoss(fixture)
      let holders = try await fixture.ssh("camera", "streamrouter node list").output
      #expect(!holders.contains("edge") || holders.contains("revoked"), "\(holders)")
      let down = try await fixture.down()
      #expect(down.succeeded, "\(down.errors)")
      for node in ["camera", "studio"] { try await fixture.expectClean(node) }
    }
  }

  @Test(
    "what makes a machine unfit is told of all of them at once, and nothing is done", .timeLimit(.minutes(3)))
  func unfit() async throws {
    let fixture = try HostsFixture("bad")
    try await fixture.use {
      func expect(_ code: Int, _ parts: [String], _ what: String) async throws {
        let outcome = try await fixture.up()
        #expect(outcome.status == "exited(\(code))", "\(what): \(outcome.errors)")
        for part in parts { #expect(outcome.errors.contains(part), "\(what): \(outcome.errors)") }
        #expect(!HostsNote.exists(fixture.name), "\(what)")
      }
      // Nobody may do anything as guest; the others are fit, and are left alone.
      try fixture.writeHosts([
        "camera": "root@10.79.0.1", "edge": "guest@10.79.0.2", "studio": "guest@10.79.0.3",
      ])
      try await expect(
        77,
        [
          "check on edge (guest@10.79.0.2): guest is not root there", "check on studio (guest@10.79.0.3)",
          "nothing was changed on any machine",
        ], "no root")
      try fixture.writeHosts(["camera": "root@10.79.0.1", "edge": "root@10.79.0.2"])
      try await expect(
        64, ["node 'studio' of topology \(fixture.name) has no host"], "a node without a machine")

      try fixture.writeHosts([
        "camera": "root@10.79.0.1", "edge": "root@10.79.0.2", "studio": "ssh://nobody-there@10.79.0.3:22",
      ])
      try await expect(77, ["lets nobody in with your keys"], "no such user")

      let root = Dictionary(
        uniqueKeysWithValues: HostsFixture.nodes.map { ($0, "root@\(fixture.address($0))") })
      try fixture.writeHosts(root)
      try "".write(to: fixture.folder.appending(path: "empty"), atomically: true, encoding: .utf8)
      try fixture.writeConfiguration(knownHosts: "empty")
      try await expect(69, ["its host key is not known", "compare the fingerprint"], "unknown host key")
      let client = try String(contentsOf: fixture.folder.appending(path: "client.pub"), encoding: .utf8)
      try HostsFixture.nodes.map { "\(fixture.address($0)) \(client)" }.joined().write(
        to: fixture.folder.appending(path: "wrong"), atomically: true, encoding: .utf8)
      try fixture.writeConfiguration(knownHosts: "wrong")
      try await expect(69, ["its host key is another one than you know of it"], "wrong host key")
      try fixture.writeConfiguration()

      _ = try await fixture.ssh(
        "edge", "mkdir -p /var/lib/streamrouter && echo {} >/var/lib/streamrouter/controller.json")
      _ = try await fixture.ssh("studio", "echo other >/usr/local/bin/streamrouter")
      try await expect(
        1,
        [
          "check on edge (root@10.79.0.2): it is a node of an installation already", "check on studio",
          "no lab put there",
        ],
        "somebody else's")
      try await fixture.expectClean("camera")

      try await LabShell.run("ip", ["-n", fixture.namespace("edge"), "link", "set", "eth0", "down"])
      try await expect(69, ["check on edge (root@10.79.0.2): it cannot be reached"], "a machine that is off")
    }
  }

  @Test(
    "a failure half way names machine and step; up goes on from there; down without a machine is told and finished later",
    .timeLimit(.minutes(5)))
  func halfWay() async throws {
    let fixture = try HostsFixture("half")
    try await fixture.use {
      _ = try await fixture.ssh("studio", "mount -t tmpfs -o ro none /usr/local/bin")
      let first = try await fixture.up()
      #expect(first.status == "exited(1)")
      #expect(first.errors.contains("install on studio (root@10.79.0.3): "), "\(first.errors)")
      #expect(first.errors.contains("'streamrouter lab up' goes on from there"), "\(first.errors)")

      _ = try await fixture.ssh("studio", "umount /usr/local/bin")
      let second = try await fixture.up()
      try #require(second.succeeded, "\(second.errors)")
      #expect(second.output.contains("installed on studio\n"), "only what was missing: \(second.output)")

      // A daemon that died, and one whose controller did.
      _ = try await fixture.ssh(
        "camera", "read -r pid ticks </run/streamrouter/lab-controller.pid; kill -KILL $pid")
      _ = try await fixture.ssh("edge", "read -r pid ticks </run/streamrouter/lab-node.pid; kill -KILL $pid")
      try await fixture.until("the dead are dead") {
        try await fixture.command("lab", "status", fixture.name).output.contains("dead")
      }
      let third = try await fixture.up()
      #expect(third.succeeded, "\(third.errors)")
      #expect(third.output.contains("started: camera, edge\n"), "\(third.output)")

      try await LabShell.run("ip", ["-n", fixture.namespace("studio"), "link", "set", "eth0", "down"])
      let status = try await fixture.command("lab", "status", fixture.name)
      #expect(status.status == "exited(69)", "\(status.output)\(status.errors)")
      #expect(status.output.contains("unreachable"), "\(status.output)")
      let down = try await fixture.down()
      #expect(down.status == "exited(69)", "\(down.errors)")
      #expect(down.errors.contains("remove on studio (root@10.79.0.3): it cannot be reached"), "\(down.errors)")
      #expect(down.errors.contains("2 of 3 machines are clean"), "\(down.errors)")
      try await fixture.expectClean("camera")
      try await fixture.expectClean("edge")

      try await LabShell.run("ip", ["-n", fixture.namespace("studio"), "link", "set", "eth0", "up"])
      // This machine has forgotten; the file of hosts says it.
      try HostsNote.remove(fixture.name)
      let rest = try await fixture.command(
        "lab", "down", fixture.topologyFile.path, "--hosts", fixture.hostsFile.path, "--ssh-config",
        fixture.sshConfiguration.path)
      #expect(rest.succeeded, "\(rest.errors)")
      #expect(rest.output == "lab \(fixture.name) is down\n")
      try await fixture.expectClean("studio")
    }
  }
}
