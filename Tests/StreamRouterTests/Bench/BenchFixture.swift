@testable import StreamRouter

/// Results made by hand: three rounds of three ways without and with 64 threads, and a path's cost.
enum BenchFixture {
  static func results() -> BenchResults {
    var machine = BenchMachine()
    machine.processor = "Abacus"
    machine.processors = 2
    machine.kernel = "6.18"
    machine.versions = ["nginx": "1.22"]
    var results = BenchResults(
      date: "2026-11-28T12:00:00Z", machine: machine, settings: BenchSettings(parts: [.udp, .cost]))
    let values: [(way: String, none: [Double], many: [Double])] = [
      ("process", [100_000, 110_000, 105_000], [1000, 1100, 1050]),
      ("kernel", [400_000, 440_000, 420_000], [390_000, 430_000, 410_000]),
      ("sandbox", [500_000, 528_000, 525_000], [490_000, 520_000, 500_000]),
      ("nginx", [50_000, 55_000, 60_000], [900, 800, 850]),
    ]
    for entry in values {
      for round in 0..<3 {
        results.add(entry.none[round], to: ThroughputBench.best, way: entry.way, x: 0, round: round)
        results.add(entry.many[round], to: ThroughputBench.best, way: entry.way, x: 64, round: round)
        results.add(10.5, to: ThroughputBench.bestKsoftirqd, way: entry.way, x: 64, round: round)
      }
    }
    for (round, value) in [140.0, 160, 145].enumerated() {
      results.add(value, to: CostBench.path, way: "udp", round: round)
      results.add(3000 + value, to: CostBench.cycles, way: CostBench.sandboxSeries, round: round)
    }
    results.skip("socat", in: .udp, because: "socat is not installed (Debian: socat)")
    return results
  }
}
