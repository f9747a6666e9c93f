import Foundation
import Topology

/// Many relays on one node: what a packet costs, and what comes through with traffic spread over all of them.
struct ScaleBench: Sendable {
  var lab: BenchLab

  static let cost = BenchFigure(
    key: "scale-cost", title: "Relay path of a packet with many relays in the table", part: .scale,
    axis: "relays",
    unit: "ns", better: .lower,
    note:
      "BPF_PROG_TEST_RUN; a pair of relays is the fewest, since a test run sends the same packet to and fro.")
  static let throughput = BenchFigure(
    key: "scale-throughput", title: "UDP throughput with traffic spread over many relays", part: .scale,
    axis: "relays", unit: "packets/s", better: .higher,
    note:
      "200-byte datagrams at each way's best rate, in trains of up to 60 to one relay after the other. A topology has up to 4,096 streams; process has a socket for each."
  )

  static let costRelays = [2, 10, 100, 1000, 10_000]
  static let throughputRelays = [1, 10, 100, 1000, 4096]

  func run(_ results: inout BenchResults) async throws {
    let repetitions = lab.settings.repetitions
    for round in 0..<repetitions {
      lab.progress("cost with up to 10,000 relays, round \(round + 1) of \(repetitions)")
      for relays in Self.costRelays {
        results.add(
          try RelayPathCost(transport: .udp, relays: relays).measure(), to: Self.cost, way: "udp", x: relays,
          round: round)
      }
    }
    let sink = try NetworkNamespace.run(in: lab.network.sinkName) { try SinkProgram(device: "from-relay") }
    var guesses: [BenchWay: [Int: Double]] = [:]
    for round in 0..<repetitions {
      for relays in Self.throughputRelays {
        for way in lab.ways(in: .scale) where way == .sandbox || way == .process && relays <= 1000 {
          lab.progress("throughput over \(relays) relays, round \(round + 1) of \(repetitions): \(way.title)")
          let relay = BenchRelay(
            setting: way == .sandbox ? .sandbox : .process, streams: relays, firstPort: Self.firstPort)
          let guess = guesses[way]?[relays]
          do {
            let best = try await relay.run(in: lab.network) { [lab] in
              let destinations = (0..<relays).map {
                Endpoint(address: BenchNetwork.ingress.address, port: Self.firstPort + UInt16($0))
              }
              let flood = BenchFlood(
                network: lab.network, destinations: destinations, sink: sink, warmUpSeconds: 0.1,
                seconds: lab.settings.seconds)
              return try await ThroughputBench.search(from: guess) { try await flood.run(packetsPerSecond: $0) }
            }
            guesses[way, default: [:]][relays] = best.deliveredPerSecond
            results.add(
              best.deliveredPerSecond, to: Self.throughput, way: way.rawValue, x: relays, round: round)
          } catch let error as BenchError {
            results.skip(way.rawValue, in: .scale, because: "\(relays) relays: \(error.reason)")
          }
        }
      }
    }
    try NetworkNamespace.run(in: lab.network.sinkName) { SinkProgram.detach(device: "from-relay") }
  }

  private static let firstPort: UInt16 = 10_000
}
