import Testing

@testable import StreamRouter

/// Medians, spreads and ratios: what every number of a result is made of.
@Suite struct BenchFigureTests {
  @Test("a spread is the median with the lowest and the highest; what is not finite is left out")
  func spread() throws {
    let odd = try #require(BenchSpread([3, 1, 2]))
    #expect((odd.low, odd.median, odd.high) == (1, 2, 3))
    #expect(try #require(BenchSpread([4, 1, 2, 3])).median == 2.5)
    #expect(BenchSpread([.infinity, 7])?.high == 7)
    #expect(BenchSpread([]) == nil)
    #expect(BenchSpread([.nan]) == nil)
  }

  @Test("spreads overlap where they have a value in common")
  func overlap() throws {
    let (a, b) = (try #require(BenchSpread([1, 2])), try #require(BenchSpread([2, 3])))
    #expect(a.overlaps(b))
    #expect(!a.overlaps(try #require(BenchSpread([2.5, 3]))))
  }

  @Test("a ratio is the median of the rounds' ratios, not the ratio of the medians")
  func ratio() throws {
    var figure = ThroughputBench.best
    // A slow minute in the second round, of both.
    for (round, values) in [(10.0, 5.0), (2, 1), (9, 3)].enumerated() {
      figure.add(values.0, way: "sandbox", x: 0, round: round)
      figure.add(values.1, way: "kernel", x: 0, round: round)
    }
    let ratio = try #require(figure.ratio("sandbox", at: 0, to: "kernel"))
    #expect((ratio.low, ratio.median, ratio.high) == (2, 2, 3))
    #expect(figure.ratio("sandbox", at: 0, to: "nginx") == nil)
    #expect(figure.ratio("sandbox", at: 1, to: "kernel") == nil)
  }

  @Test("a round in which a way did not run has no value, and no ratio")
  func missingRound() throws {
    var figure = ThroughputBench.best
    figure.add(8, way: "sandbox", x: 0, round: 0)
    figure.add(9, way: "sandbox", x: 0, round: 1)
    figure.add(3, way: "nginx", x: 0, round: 1)
    #expect(figure.point("nginx", at: 0)?.values == [nil, 3])
    #expect(figure.ratio("sandbox", at: 0, to: "nginx")?.low == 3)
    #expect(figure.ratio("sandbox", at: 0, to: "nginx")?.high == 3)
  }

  @Test("places stand in rising order, whatever order they came in")
  func places() {
    var figure = ThroughputBench.best
    for x in [8, 0, 64] { figure.add(Double(x), way: "kernel", x: x, round: 0) }
    #expect(figure.places == [0, 8, 64])
    #expect(figure.series[0].points.map(\.x) == [0, 8, 64])
  }

  @Test("the best of some ways is the highest, or the lowest where less is better")
  func best() {
    var figure = ThroughputBench.best
    figure.add(5, way: "nginx", x: 0, round: 0)
    figure.add(7, way: "socat", x: 0, round: 0)
    #expect(figure.best(of: ["nginx", "socat", "srt"], at: 0) == "socat")
    figure.better = .lower
    #expect(figure.best(of: ["nginx", "socat", "srt"], at: 0) == "nginx")
    #expect(figure.best(of: ["srt"], at: 0) == nil)
  }

  @Test("transfer times: percentiles, differences of neighbours, excess over the quickest")
  func transfer() throws {
    let figures = try #require(TransferFigures(transferNs: [10_000, 12_000, 11_000, 40_000]))
    #expect(figures.average == 18.25)
    #expect(figures.max == 40)
    #expect(figures.p50 == 12)
    // |2|, |-1|, |29|
    #expect(figures.jitterAverage == 32.0 / 3)
    #expect(figures.jitterMax == 29)
    #expect(figures.variationAverage == 8.25)
    #expect(figures.variationMax == 30)
    #expect(TransferFigures(transferNs: []) == nil)
    #expect(TransferFigures(transferNs: [5000])?.jitterMax == 0)
  }

  @Test(
    "the search finds the end of a way that collapses beyond it",
    arguments: [nil, 90_000.0, 300_000, 1_000_000])
  func search(guess: Double?) async throws {
    let end = 250_000.0
    let best = try await ThroughputBench.search(from: guess) { offered in
      BenchFlood.Step(
        offeredPerSecond: offered, deliveredPerSecond: offered <= end ? offered : 1000,
        softirq: .init(softirqSeconds: 0, ksoftirqdSeconds: 0))
    }
    #expect(best.deliveredPerSecond <= end)
    #expect(best.deliveredPerSecond > 0.93 * end)
  }

  @Test("the search ends where nothing arrives")
  func searchNothing() async throws {
    let best = try await ThroughputBench.search(from: nil) { offered in
      BenchFlood.Step(
        offeredPerSecond: offered, deliveredPerSecond: 0,
        softirq: .init(softirqSeconds: 0, ksoftirqdSeconds: 0))
    }
    #expect(best.deliveredPerSecond == 0)
  }

  @Test("ksoftirqd's share: nothing of nothing, and never more than all")
  func ksoftirqd() {
    #expect(SoftirqReading(softirqSeconds: 0, ksoftirqdSeconds: 0).ksoftirqdPercent == nil)
    #expect(SoftirqReading(softirqSeconds: 2, ksoftirqdSeconds: 0.5).ksoftirqdPercent == 25)
    // The whole is sampled, the part is exact.
    #expect(SoftirqReading(softirqSeconds: 0.01, ksoftirqdSeconds: 0.02).ksoftirqdPercent == 100)
  }
}
