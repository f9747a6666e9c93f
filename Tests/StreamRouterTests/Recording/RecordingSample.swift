import Foundation
import JitterStats
import TestSupport
import Topology

@testable import StreamRouter

/// Recordings made by hand.
enum RecordingSample {
  /// A path below the temporary folder that no other test has.
  static func path(_ name: String = "recording") -> String {
    FileManager.default.temporaryDirectory.appending(path: "\(name)-\(UUID().uuidString).srrec").path
  }

  /// The sample of the monitor, one reading a second: cam1 over three hops, telemetry over two, a node that never
  /// answers.
  static func readings(_ seconds: ClosedRange<Int>) -> [TimedReadings] {
    seconds.map {
      TimedReadings(
        timeNs: MonitorSample.time($0), readings: MonitorSample.readings(seconds: $0),
        beginsAnew: $0 == seconds.lowerBound)
    }
  }

  /// With everything that a snapshot can hold: extensions, a worker, limits, the whole load, an empty node, numbers at
  /// the ends of their range.
  static func full(seconds: Int) -> [NodeReading] {
    var snapshot = MetricsSample.snapshot()
    snapshot.timeNs += UInt64(seconds) * 1_000_000_000
    snapshot.relays[0].counters["packets_in"] = UInt64(seconds) * 1_000_003
    snapshot.relays[0].counters["bytes_in"] = Plausible.mostCounted
    snapshot.relays[0].extensions[0].histogram = ExtensionHistogram(
      name: "size", counts: [1, 2, UInt64(seconds)], sum: .max)
    snapshot.relays[0].extensions[0].runs += UInt64(seconds)
    snapshot.relays[0].limits = StreamLimits([
      StreamLimit(.jitter, atMost: 0.005), StreamLimit(.rate, atMost: 8e6, atLeast: 1e6),
    ])
    snapshot.relays[0].jitterSeconds = Double(seconds * 7919) / 16e9
    snapshot.relays[0].jitterMaxSeconds = 0.1 + 1e-17 * Double(seconds)
    snapshot.relays[0].ipdv.maxAtNs = MonitorSample.startNs
    snapshot.relays[0].peers = peers(seconds: seconds)
    snapshot.load.softirqSeconds = Double(seconds) / 3
    snapshot.load.pressure?.tenSecondShare = 0.0153 * Double(seconds)
    return [
      NodeReading(node: "edge", snapshot: snapshot),
      NodeReading(
        node: "far", snapshot: MonitorSample.node("far", seconds: 1, relays: []).snapshot,
        staleSeconds: Double(seconds) + 0.1, problem: "no answer within 1.0 seconds"),
      NodeReading(node: "never", snapshot: nil, problem: "connection \"refused\"\n☠"),
    ]
  }

  /// Reports of every kind, of a real conversation, whose figures go on.
  private static func peers(seconds: Int) -> PeerAccount? {
    let file = MetricsSample.root.appending(path: "Tests/StreamRouterTests/Fixtures/rtcp.pcap").path
    var peers = try? CaptureAnalysis.run(.init(file: file)).peers
    peers?.packets += UInt64(seconds)
    peers?.senders[0].sentPackets = .max
    for index in peers?.reports.indices ?? 0..<0 {
      peers?.reports[index].timeNs += UInt64(seconds) * 1_000_000_000
      peers?.reports[index].reception?.lostPackets = Int32(-seconds)
      if seconds % 2 == 1 { peers?.reports[index].roundTripFromHereSeconds = nil }
    }
    return peers
  }

  static func record(
    _ readings: [TimedReadings], to path: String, topology: String = "studio"
  ) async throws {
    let recorder = try Recorder(path: path, topology: topology, startedNs: readings.first?.timeNs ?? 0)
    for reading in readings { await recorder.record(reading.readings, timeNs: reading.timeNs) }
    if let problem = await recorder.close() { throw problem }
  }

  static func played(_ path: String) throws -> [TimedReadings] {
    var cursor = try Recording(path: path).cursor()
    var all: [TimedReadings] = []
    while let next = try cursor.next() { all.append(next) }
    return all
  }

  /// Relays with counters and histograms that change as those of real ones do.
  static func busy(nodes: Int, relays: Int, second: Int) -> [NodeReading] {
    (0..<nodes).map { node in
      MonitorSample.node(
        "node\(node)", seconds: second,
        relays: (0..<relays).map { index in
          var random = SeededRandom(seed: UInt64(node * 10_000 + index))
          var relay = MonitorSample.relay("stream\(index)", hop: node, seconds: second)
          for keyPath in [
            \RelaySnapshot.residence, \RelaySnapshot.ipdv.durations, \RelaySnapshot.pdv.durations,
          ] {
            for _ in 0..<12 {
              let bucket = 24 + Int.random(in: 0..<24, using: &random)
              relay[keyPath: keyPath].counts[bucket] =
                UInt64(second) * UInt64.random(in: 1..<100, using: &random)
            }
            relay[keyPath: keyPath].sumNs = UInt64(second) * 12_345_678
          }
          return relay
        })
    }
  }
}
