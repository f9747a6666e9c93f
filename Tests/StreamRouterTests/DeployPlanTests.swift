import Foundation
import Testing
import Topology

@testable import StreamRouter

/// What a deploy would do, from two revisions.
@Suite struct DeployPlanTests {
  private static func revision(_ number: UInt64, _ streams: String...) -> Revision {
    let yaml = """
      version: 1
      name: plan
      nodes: {a: 10.0.0.1, b: 10.0.0.2, c: 10.0.0.3, d: 10.0.0.4}
      links: [a -- b, b -- c, b -- d]
      streams:

      """
    return Revision(
      number: number, timeNs: 1, who: "w", file: "f", topology: "plan",
      yaml: yaml + streams.map { "  \($0)\n" }.joined(), extensions: [:], changes: 0)
  }

  private static let video = "video: {protocol: rtp, from: 'a:5004', to: 'c:9000'}"
  private static let above = "above: {protocol: rtp, from: 'd:5004', to: 'a:7000'}"

  /// The file alone would have the new stream take the port at which the other one passes b.
  @Test func aStreamWrittenAboveMovesNothing() throws {
    let former = try DeployPlan(from: nil, to: Self.revision(1, Self.video)).wanted
    #expect(former.ports == nil)
    let plan = try DeployPlan(from: former, to: Self.revision(2, Self.above, Self.video))
    #expect(plan.interruptions.isEmpty && plan.plan.changes.allSatisfy { $0.relay.stream == "above" })
    #expect(plan.wanted.ports?["above"]?["b"] == 5006)
    // The store has it, and it is what the nodes are given afterwards.
    let stored = try JSONDecoder().decode(Revision.self, from: try JSONEncoder().encode(plan.wanted))
    #expect(try stored.parts() == plan.parts)
    #expect(try DeployPlan(from: former, to: stored).parts == plan.parts)
    #expect(try DeployPlan(from: stored, to: Self.revision(3, Self.above, Self.video)).isEmpty)
  }

  @Test func revisionsFromBeforePortsWereKeptAreRead() throws {
    let revision = Self.revision(1, Self.video)
    let encoded = try JSONEncoder().encode(revision)
    #expect(!String(decoding: encoded, as: UTF8.self).contains("ports"))
    #expect(try JSONDecoder().decode(Revision.self, from: encoded) == revision)
  }

  @Test func anotherIntervalOfProbesIsAChangeWithoutARelay() throws {
    let former = try DeployPlan(from: nil, to: Self.revision(1, Self.video)).wanted
    var wanted = Self.revision(2, Self.video)
    wanted.yaml += "probe: 1s\n"
    let plan = try DeployPlan(from: former, to: wanted)
    #expect(plan.plan.isEmpty && !plan.isEmpty)
    #expect(plan.parts["b"]?.probes?.links.map(\.intervalMs) == [1000, 1000, 1000])
    // Nothing is probed any more either.
    wanted.yaml = ""
    let ended = try DeployPlan(from: former, to: wanted).parts
    #expect(ended.count == 4 && ended.values.allSatisfy { $0.relays.isEmpty && $0.probes == nil })
  }
}
