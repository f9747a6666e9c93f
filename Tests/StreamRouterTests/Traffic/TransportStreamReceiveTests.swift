import Foundation
import JitterStats
import Testing
import Topology

@testable import StreamRouter

/// `receive` and `analyze` have one account of MPEG-TS: a capture that is sent again over the loopback device gives in
/// `receive` what `analyze` says of the file.
@Suite(.serialized) struct TransportStreamReceiveTests {
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Fixtures")

  private static func received(_ path: String, as transport: StreamProtocol) async throws -> ReceiveReport {
    let address = try #require(IPAddress("127.0.0.1"))
    // A port that the kernel chose is free.
    let port = try TrafficSocket(in: nil, at: address, port: 0).local.port
    var settings = TestReceiver.Settings(endpoint: Endpoint(address: address, port: port))
    (settings.transport, settings.idleSeconds, settings.seconds) = (transport, 1, 60)
    var replay = Replay.Settings(file: path, destination: settings.endpoint)
    replay.filter = "dst port 5010 or dst port 5012"
    let (ready, listening) = AsyncStream.makeStream(of: Void.self)
    async let report = TestReceiver(settings).run(until: StopFlag()) { listening.finish() }
    for await _ in ready { break }
    _ = try await Replay(replay).run(until: StopFlag())
    return try await report
  }

  @Test("of RTP and of UDP", .timeLimit(.minutes(5)), arguments: ["tscut", "udpcut"])
  func sameAccount(name: String) async throws {
    let path = Self.folder.appending(path: "\(name).pcap").path
    let file = try CaptureAnalysis.run(.init(file: path))
    let isRTP = name == "tscut"
    let report = try await Self.received(path, as: isRTP ? .rtp : .udp)
    let ours = isRTP ? report.sources.first?.transportStream : report.transportStreams.first?.figures
    let theirs = isRTP ? file.streams.first?.figures.transportStream : file.transportStreams.first?.figures
    let (live, stored) = (try #require(ours), try #require(theirs))
    #expect(live.pids == stored.pids && live.lost > 0 && live.nullPackets == stored.nullPackets)
    #expect(live.clocks.map(\.count) == stored.clocks.map(\.count))
    #expect(live.clocks.map(\.maxIntervalSeconds) == stored.clocks.map(\.maxIntervalSeconds))
    #expect(live.deliveryIndex.intervals > 0 && live.deliveryIndex.maxLossRate > 0)
    for (condition, holds) in [("mlr>0", true), ("mlr>100", false), ("df>1ms", true), ("df>10s", false)] {
      #expect(report.exceeds(try #require(Threshold(condition))) == holds, "\(condition)")
    }
    #expect(report.text.contains("MDI  DF") && report.transportStreams.isEmpty == isRTP)
    #expect(try JSONDecoder().decode(ReceiveReport.self, from: JSONEncoder().encode(report)) == report)
  }
}
