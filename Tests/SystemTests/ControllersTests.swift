import Foundation
import TestSupport
import Testing

@testable import StreamRouter

/// Several controllers as users run them: see ``ControllerPair`` for what stands where.
@Suite(.serialized, .enabled(if: EtcdCluster.obstacle == nil, "\(EtcdCluster.obstacle ?? "")"))
struct ControllersTests {
  private static let plain = ["studio:5004"]
  private static let twoSinks = ["studio:5004", "edge:6000"]

  @Test(
    "the controller at work is killed in the midst of deploys: the other ends them, nodes come to it, nothing is lost",
    .timeLimit(.minutes(5)))
  func controllerKilled() async throws {
    try await ControllerPair.use("killed") { pair in
      try pair.write(sinks: Self.plain)
      let first = try await pair.operate("deploy", pair.file.path)
      try #require(first.succeeded, "\(first)")
      let stream = try await pair.beginStream()
      var (carried, given, interrupted) = (0, 0, 0)
      for round in 0..<6 {
        let before = try await pair.status().revision
        let former = try await pair.runningSinks()
        try pair.write(sinks: carried % 2 == 0 ? Self.twoSinks : Self.plain)
        async let deploying = pair.operate("deploy", pair.file.path)
        let killed = try await pair.atWork()
        try await pair.deployBegins()
        // It takes about half a second from here.
        try await Task.sleep(for: .milliseconds(60 * round))
        try await pair.kill(killed)
        let outcome = try await deploying
        if !outcome.succeeded { interrupted += 1 }
        try await pair.until("round \(round): one revision everywhere (\(outcome.errors))") {
          try await pair.isSettled()
        }
        #expect(try await pair.atWork() == pair.other(than: killed))
        #expect(try await pair.connected() == Set(ControllerPair.nodes))
        let now = try await pair.status().revision
        let running = try await pair.runningSinks()
        if now == before {
          given += 1
          #expect(running == former, "round \(round)")
          #expect(!outcome.succeeded, "round \(round): \(outcome)")
        } else {
          carried += 1
          #expect(try running == pair.wantedSinks(), "round \(round)")
        }
        try await pair.start(killed)
      }
      print(
        "the controller at work was killed 6 times, in \(interrupted) deploys: \(carried) carried through, \(given) given up"
      )
      #expect(interrupted >= 2, "it is to be killed in the midst of deploys")
      let report = try await stream.end()
      #expect(report.lost == 0 && report.duplicates == 0 && report.received > 100, "\(report)")
    }
  }

  @Test(
    "a member of etcd is killed, or another one leads, in the midst of deploys: each ends well or is refused, nothing is lost",
    .timeLimit(.minutes(5)))
  func memberKilled() async throws {
    try await ControllerPair.use("member") { pair in
      try pair.write(sinks: Self.plain)
      let first = try await pair.operate("deploy", pair.file.path)
      try #require(first.succeeded, "\(first)")
      let stream = try await pair.beginStream()
      var carried = 0
      for round in 0..<6 {
        let before = try await pair.status().revision
        let former = try await pair.runningSinks()
        try pair.write(sinks: carried % 2 == 0 ? Self.twoSinks : Self.plain)
        async let deploying = pair.operate("deploy", pair.file.path)
        let leader = try await pair.cluster.leader()
        try await pair.deployBegins()
        try await Task.sleep(for: .milliseconds(60 * round))
        switch round % 3 {
        case 0: pair.cluster.lose(leader)
        case 1: pair.cluster.lose((leader + 1) % 3)
        default: try await pair.cluster.moveLeader()
        }
        let outcome = try await deploying
        try await pair.until("round \(round): one revision everywhere (\(outcome.errors))") {
          try await pair.isSettled()
        }
        let now = try await pair.status().revision
        let running = try await pair.runningSinks()
        if now == before {
          #expect(running == former && !outcome.succeeded, "round \(round): \(outcome)")
        } else {
          carried += 1
          #expect(try running == pair.wantedSinks(), "round \(round)")
        }
        for (place, member) in pair.cluster.members.enumerated() where member.process == 0 {
          try pair.cluster.start(place)
        }
        try await pair.until("all members are back") { try await pair.cluster.isHealthy() }
      }
      print("etcd was troubled 6 times: \(carried) deploys carried through")
      #expect(carried >= 4)
      let report = try await stream.end()
      #expect(report.lost == 0 && report.duplicates == 0 && report.received > 100, "\(report)")
    }
  }

  @Test(
    "a token made at one lets in at the other, and nowhere again; revoked at the one that waits, cut off at the one at work",
    .timeLimit(.minutes(2)))
  func tokensAndRevocations() async throws {
    try await ControllerPair.use("trust") { pair in
      let atWork = try await pair.atWork()
      let waits = pair.other(than: atWork)
      for (maker, taker) in [(atWork, waits), (waits, atWork)] {
        let name = "by-\(maker)"
        let token = try await pair.token("--node", name, at: maker)
        try await pair.join(name, token: token, at: taker)
        for controller in ControllerPair.controllers {
          let replay = try await pair.attemptJoin(name, token: token, at: controller, as: "thief")
          #expect(!replay.succeeded && replay.errors.contains("the token is not valid"), "\(replay)")
        }
      }
      // Whoever may look sees the same on both machines.
      let lists = try await [
        pair.command("node", "list", pair.state(atWork)), pair.command("node", "list", pair.state(waits)),
      ]
      #expect(lists[0].output == lists[1].output && lists[0].output.contains("by-\(waits)"))

      let revoked = try await pair.command("node", "revoke", "edge", pair.state(waits))
      try #require(revoked.succeeded, "\(revoked)")
      let end = ContinuousClock.now + .seconds(3)
      while try await pair.connected().contains("edge"), ContinuousClock.now < end {
        try await Task.sleep(for: .milliseconds(50))
      }
      // Cut off, and does not come back.
      try await Task.sleep(for: .seconds(1))
      #expect(try await pair.connected() == ["camera", "studio"])
      // With a new token, from the other machine, it is in again.
      try await pair.kill("edge")
      try await pair.join("edge", token: try await pair.token("--node", "edge", at: atWork), at: waits)
      try pair.startNode("edge")
      try await pair.until("edge is back") { try await pair.connected() == Set(ControllerPair.nodes) }
    }
  }

  @Test(
    "a controller with the key of another authority, or without etcd, does not start", .timeLimit(.minutes(2)))
  func wrongAuthority() async throws {
    try await ControllerPair.use("wrong") { pair in
      let made = try await pair.command("node", "init", "--name", "stranger", pair.state("stranger"))
      try #require(made.succeeded, "\(made)")
      let socket = pair.folder.appending(path: "stranger.sock").path
      let other = try await pair.command(
        "controller", "run", "--store", pair.cluster.store, "--listen", "unix:\(socket).nodes", "--join",
        "none",
        "--socket", socket, pair.state("stranger"))
      #expect(
        other.status == "exited(1)"
          && other.errors.contains("is the key of the authority that the shared records name"),
        "\(other)")
      let waits = pair.other(than: try await pair.atWork())
      try await pair.kill(waits)
      let files = try await pair.command(
        "controller", "run", "--listen", "unix:\(socket).nodes", "--join", "none", "--socket", socket,
        pair.state(waits))
      #expect(
        files.status == "exited(1)" && files.errors.contains("run the controller with --store etcd://"),
        "\(files)")
    }
  }
}
