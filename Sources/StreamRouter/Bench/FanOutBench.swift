import Foundation

/// One stream to several sinks: what the first costs and each further one, and how many datagrams come out.
struct FanOutBench: Sendable {
  var lab: BenchLab

  static let cost = BenchFigure(
    key: "fanout-cost", title: "Relay path of a packet to several sinks", part: .fanout, axis: "sinks",
    unit: "ns",
    better: .lower,
    note:
      "BPF_PROG_TEST_RUN. Each further sink takes a clone, which is handed to a device that lets go of it at once (dummy, or a bridge without ports); no device takes the last one, which a test run does not send."
  )
  static let further = BenchFigure(
    key: "fanout-further", title: "Each further sink", part: .fanout, axis: "sinks", unit: "ns", better: .lower,
    note: "What the sinks beyond the first cost, by sink.", isBeside: true)
  static let throughput = BenchFigure(
    key: "fanout-throughput", title: "Datagrams that come out, to several sinks", part: .fanout, axis: "sinks",
    unit: "packets/s", better: .higher, note: "Of 200 bytes, at each way's best rate, no background threads.")

  static let costSinks = [1, 2, 3, 4, 6, 8, 12, 16]
  static let throughputSinks = [1, 2, 4, 8, 16]

  func run(_ results: inout BenchResults) async throws {
    let repetitions = lab.settings.repetitions
    for round in 0..<repetitions {
      lab.progress("cost of 1 to 16 sinks, round \(round + 1) of \(repetitions)")
      var first = 0.0
      for sinks in Self.costSinks {
        let nanoseconds = try RelayPathCost(transport: .udp, sinks: sinks).measure()
        results.add(nanoseconds, to: Self.cost, way: "udp", x: sinks, round: round)
        if sinks == 1 {
          first = nanoseconds
        } else {
          results.add(
            (nanoseconds - first) / Double(sinks - 1), to: Self.further, way: "udp", x: sinks, round: round)
        }
      }
    }
    let sink = try NetworkNamespace.run(in: lab.network.sinkName) { try SinkProgram(device: "from-relay") }
    var guesses: [BenchWay: [Int: Double]] = [:]
    for round in 0..<repetitions {
      for sinks in Self.throughputSinks {
        for way in lab.ways(in: .fanout) where way != .kernel {
          lab.progress("throughput to \(sinks) sinks, round \(round + 1) of \(repetitions): \(way.title)")
          var relay = BenchRelay(setting: way == .sandbox ? .sandbox : .process)
          relay.sinks = (0..<sinks).map { "\(BenchNetwork.sink.address):\(Int(BenchNetwork.sink.port) + $0)" }
          let guess = guesses[way]?[sinks]
          let best = try await relay.run(in: lab.network) { [lab] in
            let flood = BenchFlood(
              network: lab.network, destinations: [BenchNetwork.ingress], sink: sink, warmUpSeconds: 0.1,
              seconds: lab.settings.seconds, copies: sinks)
            return try await ThroughputBench.search(from: guess) { try await flood.run(packetsPerSecond: $0) }
          }
          guesses[way, default: [:]][sinks] = best.deliveredPerSecond
          results.add(
            best.deliveredPerSecond * Double(sinks), to: Self.throughput, way: way.rawValue, x: sinks,
            round: round)
        }
      }
    }
    try NetworkNamespace.run(in: lab.network.sinkName) { SinkProgram.detach(device: "from-relay") }
  }
}
