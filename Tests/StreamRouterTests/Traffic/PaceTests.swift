import TestSupport
import Testing

@testable import StreamRouter

/// When packets of a test stream are due.
@Suite struct PaceTests {
  @Test("an even rate has no rounding that adds up")
  func even() {
    let pace = Pace(perSecond: 3000)
    #expect(pace.dueNs(0) == 0 && pace.dueNs(1) == 333_333)
    #expect(pace.dueNs(3000) == 1_000_000_000)
    // A day later.
    #expect(pace.dueNs(3000 * 86_400) == 86_400_000_000_000)
    #expect(pace.packets(within: 10) == 30_000)
    #expect(pace.packets(within: 0.001) == 3)
    #expect(pace.packets(within: 0.0011) == 4)
  }

  @Test("a burst leaves at once, and the rate stays")
  func burst() {
    let pace = Pace(perSecond: 1000, burst: 10)
    #expect((0..<10).allSatisfy { pace.dueNs($0) == 0 })
    #expect((10..<20).allSatisfy { pace.dueNs($0) == 10_000_000 })
    #expect(pace.dueNs(1000) == 1_000_000_000)
    #expect(pace.packets(within: 1) == 1000)
    #expect(pace.packets(within: 0.005) == 10)
  }

  /// Rates up and down, and what the ramp sends is the area below it.
  @Test(
    "a ramp sends what its rate says, then stays at its end", arguments: [(1000.0, 5000.0), (5000.0, 1000.0)])
  func ramp(first: Double, last: Double) {
    let pace = Pace(ramp: first, last, seconds: 2)
    #expect(pace.packets(within: 2) == 6000)
    #expect(pace.dueNs(6000) == 2_000_000_000)
    #expect(pace.packets(within: 3) == 6000 + UInt64(last))
    // First and last interval are those of the first and last rate.
    #expect(abs(Double(pace.dueNs(1)) - 1e9 / first) < 1e9 / first / 100)
    #expect(abs(Double(pace.dueNs(6000) - pace.dueNs(5999)) - 1e9 / last) < 1e9 / last / 100)
    var previous: UInt64 = 0
    for number in 1..<UInt64(8000) {
      let due = pace.dueNs(number)
      #expect(due > previous, "packet \(number)")
      previous = due
    }
    let half = pace.packets(within: 1)
    #expect(half == UInt64(first + (last - first) / 4) || half == UInt64(first + (last - first) / 4) + 1)
  }

  @Test("packets(within:) is the inverse of dueNs")
  func inverse() {
    var random = SeededRandom()
    for _ in 0..<2000 {
      let pace = Pace(
        ramp: .random(in: 1...1e6, using: &random), .random(in: 1...1e6, using: &random),
        seconds: .random(in: 0...100, using: &random), burst: .random(in: 1...64, using: &random))
      let number = UInt64.random(in: 0...10_000_000, using: &random)
      let due = Double(pace.dueNs(number)) / 1e9
      let burst = Double(pace.burst)
      // Nothing of the burst before it is due; a microsecond later it is.
      let before = pace.packets(within: max(0, due - 1e-6))
      let after = pace.packets(within: due + 1e-6)
      #expect(
        Double(before) <= Double(number) + 2 * burst && Double(after) + 2 * burst >= Double(number),
        "\(pace) packet \(number) (SR_SEED=\(random.seed))")
    }
  }

  @Test(
    "rates as users write them",
    arguments: [
      ("5000", TrafficRate.packetsPerSecond(5000)), ("5k", .packetsPerSecond(5000)),
      ("2.5kpps", .packetsPerSecond(2500)), ("800kbit", .bitsPerSecond(800_000)),
      ("8Mbit/s", .bitsPerSecond(8e6)),
    ])
  func rates(text: String, rate: TrafficRate) {
    #expect(TrafficRate(text) == rate)
  }

  @Test(
    "what is no rate is refused",
    arguments: ["", "0", "-5", "k", "5x", "nan", "inf", "bit", "1e99", "0x10p3", "Mbit"])
  func noRate(text: String) {
    #expect(TrafficRate(text) == nil)
  }

  @Test("bits are of the payload")
  func bits() {
    #expect(TrafficRate.bitsPerSecond(8e6).packetsPerSecond(bytes: 1000) == 1000)
    #expect(TrafficRate.packetsPerSecond(7).packetsPerSecond(bytes: 1000) == 7)
  }

  @Test("times as users write them")
  func times() throws {
    for (text, wanted) in [
      ("250us", 250e-6), ("5ms", 5e-3), ("10s", 10), ("1.5", 1.5), ("2m", 120), ("1h", 3600),
    ] {
      let seconds = try #require(TimeText.seconds(text))
      #expect(abs(seconds - wanted) < 1e-12 * wanted.magnitude + 1e-15, "\(text)")
    }
    for text in ["", "s", "-1s", "nan", "1e99h", "ms", "5 ms", "inf"] {
      #expect(TimeText.seconds(text) == nil, "\(text)")
    }
  }
}
