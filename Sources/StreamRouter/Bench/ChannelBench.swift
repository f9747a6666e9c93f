import Foundation

/// Packets from one process to another: SandboxChannel beside what every system has.
struct ChannelBench: Sendable {
  var lab: BenchLab

  static let throughput = BenchFigure(
    key: "channel-throughput", title: "Packets from one process to another", part: .channel,
    axis: "bytes of a packet", unit: "packets/s", better: .higher,
    note:
      "One sender, one receiver, a processor each. 0 bytes: descriptors alone, a word of 8 bytes where they are copied. Otherwise the sender writes all bytes of each packet and the receiver reads them. io_uring's rings pass words only."
  )
  static let latency = BenchFigure(
    key: "channel-latency", title: "There and back between two processes", part: .channel, axis: "", unit: "ns",
    better: .lower,
    note:
      "A word, and the answer to it, the median of trips one after the other. A channel's receiver looks without a pause, or sleeps at an eventfd where the way says so; all others sleep in the kernel."
  )
  static let sizes = [0, 200, 1316]
  private static let trips = 2_000

  func run(_ results: inout BenchResults) async throws {
    for round in 0..<lab.settings.repetitions {
      for way in PassingWay.allCases {
        lab.progress(
          "packets between processes, round \(round + 1) of \(lab.settings.repetitions): \(way.title)")
        do {
          for bytes in Self.sizes where way.hasThroughput && (bytes == 0 || way.carriesBytes) {
            let rate = try await Self.rate(way, bytes: bytes, seconds: lab.settings.seconds)
            results.add(rate, to: Self.throughput, way: way.title, x: bytes, round: round)
          }
          results.add(try await Self.trip(way), to: Self.latency, way: way.title, round: round)
        } catch let error as BenchError {
          results.skip(way.title, in: .channel, because: error.reason)
        }
      }
    }
  }

  /// Packets a second, from the first one's sending to the answer to the last one.
  private static func rate(_ way: PassingWay, bytes: Int, seconds: Double) async throws -> Double {
    try await BenchThread.run("sr-passing", processor: BenchFlood.processor, realtime: 40) {
      try PassingProcess.with(way, bytes: bytes, echoes: false) { end in
        func send(for seconds: Double) throws -> Double {
          let begin = monotonicNs()
          let deadline = begin + UInt64(seconds * 1e9)
          var sent = 0
          while monotonicNs() < deadline {
            try end.send(1_024, last: false)
            sent += 1_024
          }
          try end.send(1, last: true)
          while try !end.receive().last {}
          return Double(sent + 1) / Double(monotonicNs() - begin) * 1e9
        }
        _ = try send(for: 0.05)
        return try send(for: seconds)
      }
    }
  }

  private static func trip(_ way: PassingWay) async throws -> Double {
    try await BenchThread.run("sr-passing", processor: BenchFlood.processor, realtime: 40) {
      try PassingProcess.with(way, bytes: 0, echoes: true) { end in
        var times: [UInt64] = []
        for trip in 0..<2 * trips {
          let begin = monotonicNs()
          try end.send(1, last: false)
          _ = try end.receive()
          if trip >= trips { times.append(monotonicNs() - begin) }
        }
        return Double(times.sorted()[times.count / 2])
      }
    }
  }
}
