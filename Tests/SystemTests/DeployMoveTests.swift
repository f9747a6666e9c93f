import Foundation
import SystemPackage
import Testing
import Topology

@testable import StreamRouter

/// A deploy moves the middle hop of a stream that flows: packets on their way are taken where the hop listened before.
@Suite(.serialized, .enabled(if: LabFixture.obstacle == nil, "\(LabFixture.obstacle ?? "")"))
struct DeployMoveTests {
  private static let video = "  video: {protocol: rtp, from: \"camera:5004\", to: \"studio:5004\"}"

  private func deploy(_ live: LiveLab) async throws -> DeployDocument {
    let deployed = try await live.command("deploy", live.file.path, "--json")
    try #require(deployed.succeeded, "\(deployed.errors)")
    return try JSONDecoder().decode(DeployDocument.self, from: Data(deployed.output.utf8))
  }

  /// Where the edge listens for the stream.
  private func edge(_ live: LiveLab) async throws -> Endpoint {
    try #require(try await live.relays()["edge"]?.first { $0.stream == "video" }).ingress
  }

  @Test(
    "the middle hop's address moves while packets flow: nothing lost or doubled",
    arguments: [(EngineChoice.sandbox, false), (.process, false), (.process, true)])
  func theHopMoves(_ engine: EngineChoice, extended: Bool) async throws {
    if extended, let obstacle = ExtensionBuilding.obstacle {
      print("no worker is tried: \(obstacle)")
      return
    }
    let use = extended ? ", extensions: [{name: pass, at: edge}]" : ""
    let streams = Self.video.replacing("}", with: use + "}")
    let live = try LiveLab(
      "m-\(engine.rawValue.prefix(1))\(extended ? "x" : "")", engine: engine, streams: streams,
      control: .controller)
    if extended {
      let source = """
        import RelayExtension
        @main struct Pass: RelayExtension {
          func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict { .forward }
        }
        """
      try live.install(try await ExtensionBuilding.build(source, in: live.folder).image, as: "pass")
    }
    try await live.use {
      // The edge has a second address, which both its neighbours reach.
      let moved = "10.78.0.20"
      _ = try await live.run("edge", ["ip", "address", "add", "\(moved)/32", "dev", "lo"])
      for (node, device) in [("camera", "to-edge"), ("studio", "to-edge")] {
        let added = try await live.run(
          node, ["ip", "route", "add", "\(moved)/32", "via", "10.78.0.2", "dev", device, "onlink"])
        try #require(added.succeeded, "\(added.errors)")
      }
      let stream = try await TestStream.begin(live, perSecond: 5_000, for: "5s")
      #expect(try await edge(live).description == "10.78.0.2:5004")
      let text = try String(contentsOf: live.file, encoding: .utf8)
      for (from, to) in [("10.78.0.2,", "\(moved),"), ("\(moved),", "10.78.0.2,")] {
        let now = try String(contentsOf: live.file, encoding: .utf8)
        try now.replacing("edge: {addresses: [\(from)", with: "edge: {addresses: [\(to)").write(
          to: live.file, atomically: true, encoding: .utf8)
        let plan = try await live.command("plan", live.file.path)
        #expect(plan.status == "exited(2)" && !plan.output.contains("interrupts"), "\(plan)")
        let done = try await deploy(live)
        #expect(done.verified == ["video"], "\(done)")
        #expect("\(try await edge(live).address)," == to)
        // What it listened at before is let go.
        let running = try await live.relays()["edge"]?.first
        #expect(running?.formerIngress == nil)
      }
      #expect(try String(contentsOf: live.file, encoding: .utf8) == text)
      let report = try await stream.end()
      #expect(report.lost == 0 && report.duplicates == 0 && report.received == 25_000, "\(report)")
    }
  }
}
