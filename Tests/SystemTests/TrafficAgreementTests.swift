import Foundation
import Testing
import Topology

@testable import StreamRouter

/// What `send` sent, what every relay counted and what `receive` received are one number.
///
///     send --> camera 10.78.0.1 ---- edge 10.78.0.2 ---- studio 10.78.0.3 --> receive
///
/// `SR_PACKETS=10000000 swift test --filter TrafficAgreementTests` is the long form of it.
@Suite(.serialized, .enabled(if: LabFixture.obstacle == nil, "\(LabFixture.obstacle ?? "")"))
struct TrafficAgreementTests {
  private static let nodes = ["camera", "edge", "studio"]
  private static let packets =
    ProcessInfo.processInfo.environment["SR_PACKETS"].flatMap { UInt64($0) } ?? 200_000

  @Test(
    "counters agree exactly with send and receive, also where the daemons are killed in between",
    .timeLimit(.minutes(30)), arguments: [(EngineChoice.sandbox, 50_000.0), (.process, 20_000.0)])
  func agreement(engine: EngineChoice, rate: Double) async throws {
    let live = try LiveLab(
      "t-agree", engine: engine, streams: "  video: {protocol: rtp, from: \"camera:5004\", to: \"studio:5004\"}"
    )
    try await live.use {
      let ends = try StreamEnds("video", of: live.topology, lab: live.topology.name)
      let sink = try ends.sink()
      #expect(sink.namespace == live.namespace("studio"))
      var receiver = TestReceiver.Settings(endpoint: sink.endpoint)
      receiver.namespace = sink.namespace
      receiver.idleSeconds = 3
      let (ready, listening) = AsyncStream.makeStream(of: Void.self)
      async let receiving = TestReceiver(receiver).run(until: StopFlag()) {
        listening.yield()
        listening.finish()
      }
      for await _ in ready { break }
      let source = try ends.source()
      var sender = TestSender.Settings(destination: ends.ingress)
      (sender.source, sender.namespace) = (source.address, source.namespace)
      sender.count = Self.packets
      sender.pace = Pace(perSecond: rate)
      async let sending = TestSender(sender).run(until: StopFlag())
      // Relays of engine process end with their daemon: what is sent meanwhile would be lost, and should be.
      if engine == .sandbox { try await killAndRestart(live) }
      let sent = try await sending
      let received = try await receiving

      #expect(sent.packets == Self.packets)
      #expect(received.queueDrops == 0, "the receiver itself was too slow")
      let run = try #require(received.runs.first)
      #expect(received.runs.count == 1 && run.run == sent.run)
      #expect(run.missing == 0 && run.duplicates == 0 && run.reordered == 0 && run.undecided == 0)
      #expect(received.packets == sent.packets && received.bytes == sent.bytes)
      let account = try #require(received.sources.first)
      #expect(received.sources.count == 1 && account.packets == sent.packets && account.loss.lost == 0)
      let hops = try await live.account("video")
      #expect(hops.map(\.hop) == [0, 1, 2] && hops.allSatisfy { $0.engine == engine })
      for hop in hops {
        for counter in ["packets_in", "packets_out", "rtp_packets"] {
          #expect(hop.counters[counter] == sent.packets, "hop \(hop.hop), \(counter)")
        }
        #expect(hop.counters["bytes_in"] == sent.bytes && hop.counters["bytes_out"] == sent.bytes)
        #expect(hop.dropped == 0 && hop.rtpLost == 0 && hop.counters["rtp_duplicates"] == 0, "\(hop.counters)")
      }
      if Self.packets > 1_000_000 { print("\(engine):\n\(sent.text)\n\(received.text)") }
    }
  }

  /// Kills every daemon once a quarter has passed, and brings them back after some more.
  private func killAndRestart(_ live: LiveLab) async throws {
    func passed() async throws -> UInt64 { try await live.account("video").last?.counters["packets_in"] ?? 0 }
    while try await passed() < Self.packets / 4 { try await Task.sleep(for: .milliseconds(20)) }
    for node in Self.nodes { kill(try live.pid(node), SIGKILL) }
    while try await !live.lab.status().nodes.allSatisfy({ $0.state == .dead }) {
      try await Task.sleep(for: .milliseconds(5))
    }
    #expect(try await live.up() == .updated(restarted: Self.nodes, reloaded: []))
    #expect(try await passed() < Self.packets, "the load ended before the restart did")
  }
}
