import Foundation
import Testing
import Topology

@testable import StreamRouter

/// Links made worse: the topology is drawn at ``LabFixture``, and only a -- b is impaired.
@Suite(.enabled(if: LabFixture.obstacle == nil, "needs CAP_NET_ADMIN and CAP_SYS_ADMIN"))
struct LabImpairTests {
  /// The command that `lab impair` runs in the namespace is beside this test's own program.
  private let enter: @Sendable ([String]) throws -> [String] = { arguments in
    let command = try LabFiles.ownExecutable().removingLastComponent().appending("streamrouter").string
    return [command, "lab", "impair-here"] + arguments
  }

  /// How many of 2,000 datagrams from a reach b. Each is taken up at once, so that no queue overflows.
  private func arrivals(_ fixture: LabFixture) throws -> Int {
    let name = fixture.topology.name
    let target = Endpoint(address: fixture.topology.nodes[1].addresses[0], port: 7000)
    let receiver = try NamespaceSocket(
      namespace: LabNames.namespace(topology: name, node: "b"), family: AF_INET)
    try receiver.bind(target)
    let sender = try NamespaceSocket(
      namespace: LabNames.namespace(topology: name, node: "a"), family: AF_INET)
    var arrived = 0
    for number in 0..<2000 {
      try sender.send("\(number)", to: target)
      while receiver.receive(wait: false) != nil { arrived += 1 }
    }
    while receiver.receive() != nil { arrived += 1 }
    return arrived
  }

  @Test func lossDropsAboutItsShareAndClearRestores() async throws {
    let fixture = try LabFixture("loss")
    try await fixture.use { lab in
      _ = try await fixture.up(lab)
      #expect(try arrivals(fixture) == 2000)

      // Both ends would lose address resolution too; one way is enough to count.
      let request = LabImpairmentRequest(link: "a--b", direction: .aToB, lossPercent: 50)
      let made = try await lab.impair(request, enter: enter)
      #expect(made.map(\.from) == ["a"])
      let arrived = try arrivals(fixture)
      // Binomial, n = 2,000, p = 0.5: standard deviation 22; the bounds are nine of them away.
      #expect((800...1200).contains(arrived))
      let noted = try await lab.status().impairments
      #expect(noted.count == 1 && noted[0].lossPercent == 50)
      if made[0].lossProgram != nil {
        #expect(try #require(noted[0].droppedPackets) >= UInt64(2000 - arrived))
      }

      var all = request
      all.lossPercent = 100
      _ = try await lab.impair(all, enter: enter)
      #expect(try arrivals(fixture) == 0)

      _ = try await lab.impair(LabImpairmentRequest(link: "b--a"), enter: enter)
      #expect(try await lab.status().impairments.isEmpty)
      #expect(try arrivals(fixture) == 2000)
    }
  }

  @Test func rateIsLimitedWithoutNetemToo() async throws {
    let fixture = try LabFixture("rate")
    try await fixture.use { lab in
      _ = try await fixture.up(lab)
      _ = try await lab.impair(
        LabImpairmentRequest(link: "a--b", direction: .aToB, rateKbit: 1000), enter: enter)
      let space = "sr-\(fixture.topology.name)-a"
      let said = try await LabShell.run("tc", ["-n", space, "qdisc", "show", "dev", "to-b"])
      #expect(said.contains("tbf") || said.contains("netem"))
      #expect(said.contains("1Mbit"))
      _ = try await lab.impair(LabImpairmentRequest(link: "a--b"), enter: enter)
      let after = try await LabShell.run("tc", ["-n", space, "qdisc", "show", "dev", "to-b"])
      #expect(!after.contains("1Mbit"))
    }
  }

  @Test func delayIsSetWhereTheKernelHasNetemAndRefusedWhereNot() async throws {
    let fixture = try LabFixture("delay")
    try await fixture.use { lab in
      _ = try await fixture.up(lab)
      do {
        let made = try await lab.impair(LabImpairmentRequest(link: "a--b", delayMs: 20), enter: enter)
        #expect(made.count == 2)
        let said = try await LabShell.run(
          "tc", ["-n", "sr-\(fixture.topology.name)-b", "qdisc", "show", "dev", "to-a"])
        #expect(said.contains("delay 20ms"))
      } catch let error as LabError {
        guard case .unsupported = error else { throw error }
        #expect("\(error)".contains("sch_netem"))
        #expect(try await lab.status().impairments.isEmpty)
      }
      #expect(!LabPrivileges.namespaces().contains { $0 == "srprobe-\(getpid())-\(fixture.topology.name)" })
    }
  }
}
