import Foundation

/// Transfer time of a paced stream against background threads: average, jitter, percentiles.
struct TransferBench: Sendable {
  var lab: BenchLab

  private static func declare(
    _ key: String, _ title: String, _ note: String = "", unit: String = "us",
    better: BenchFigure.Better = .lower, isBeside: Bool = false
  ) -> BenchFigure {
    BenchFigure(
      key: "transfer-\(key)", title: title, part: .udp, axis: "background threads", unit: unit, better: better,
      note: note, isBeside: isBeside)
  }

  private static let stream =
    "5,000 datagrams of 200 bytes a second, from the send call to the receiver's time stamp in the kernel. Sender and receiver run at SCHED_FIFO on a processor without background threads."
  static let average = declare("average", "Transfer time, average", stream)
  static let p50 = declare("p50", "Transfer time, median", isBeside: true)
  static let p99 = declare("p99", "Transfer time, 99 of 100 packets", isBeside: true)
  static let p999 = declare("p999", "Transfer time, 999 of 1,000 packets (p99.9)", stream)
  static let max = declare("max", "Transfer time, the slowest packet", isBeside: true)
  static let jitterAverage = declare(
    "jitter-average", "Average jitter of the transfer time",
    "Mean difference between one packet's transfer time and the next one's: what RFC 3550 (6.4.1) smooths.")
  static let jitterMax = declare(
    "jitter-max", "Maximum jitter of the transfer time",
    "Largest difference between one packet's transfer time and the next one's.")
  static let variationAverage = declare(
    "variation-average", "Average transfer time over the quickest packet's",
    "PDV, RFC 5481 section 4.2.", isBeside: true)
  static let lost = declare("lost", "Packets that did not arrive", unit: "%", isBeside: true)
  static let ksoftirqd = declare(
    "ksoftirqd", "Share of the softirq work done in ksoftirqd", ThroughputBench.ksoftirqdNote, unit: "%",
    better: .neither, isBeside: true)

  /// - Parameter ways: Those that started before.
  func run(_ ways: [BenchWay], _ results: inout BenchResults) async throws {
    let settings = lab.settings
    var ways = ways
    for round in 0..<settings.repetitions {
      for threads in settings.threads {
        for way in ways where settings.measures(way, at: threads) {
          lab.progress(
            "udp transfer time, round \(round + 1) of \(settings.repetitions), \(threads) background threads: \(way.title)"
          )
          do {
            let outcome = try await measure(way, threads: threads)
            guard let found = TransferFigures(transferNs: outcome.transferNs) else {
              throw BenchError.nothingArrived("\(way.title), \(threads) background threads")
            }
            func add(_ value: Double?, _ figure: BenchFigure) {
              results.add(value, to: figure, way: way.rawValue, x: threads, round: round)
            }
            add(found.average, Self.average)
            add(found.p50, Self.p50)
            add(found.p99, Self.p99)
            add(found.p999, Self.p999)
            add(found.max, Self.max)
            add(found.jitterAverage, Self.jitterAverage)
            add(found.jitterMax, Self.jitterMax)
            add(found.variationAverage, Self.variationAverage)
            let missing = Swift.max(0, outcome.sent - outcome.transferNs.count)
            add(100 * Double(missing) / Double(outcome.sent), Self.lost)
            add(outcome.softirq.ksoftirqdPercent, Self.ksoftirqd)
          } catch let error as BenchError {
            results.skip(way.rawValue, in: .udp, because: error.reason)
            if error.endsWay { ways.removeAll { $0 == way } }
          }
        }
      }
    }
  }

  private func measure(_ way: BenchWay, threads: Int) async throws -> BenchTransfer.Outcome {
    try await lab.forwarder.run(way, over: .udp) { [lab] destination in
      let load = BenchLoad(threads: threads, processor: BenchNetwork.relayProcessor)
      defer { load.end() }
      let rate = BenchSettings.transferRate
      return try await BenchTransfer(
        network: lab.network, destination: destination, packetsPerSecond: rate,
        count: Int(lab.settings.transferSeconds * Double(rate))
      ).run()
    }
  }
}
