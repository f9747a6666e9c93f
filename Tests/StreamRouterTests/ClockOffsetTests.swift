import TestSupport
import Testing

@testable import StreamRouter

/// What is said of another clock holds: the true offset lies within the error.
@Suite struct ClockOffsetTests {
  @Test func nothingIsKnownBeforeAReading() {
    #expect(ClockOffset().offsetNs == nil && ClockOffset().errorNs == nil)
  }

  @Test func theOffsetLiesWithinTheError() throws {
    var random = SeededRandom()
    for _ in 0..<2_000 {
      let offset = Int64.random(in: -3_600_000_000_000...3_600_000_000_000, using: &random)
      var clock = ClockOffset()
      var now: UInt64 = 1_795_000_000_000_000_000
      for _ in 0..<Int.random(in: 1...12, using: &random) {
        let (there, back) = (
          UInt64.random(in: 0...50_000_000, using: &random), UInt64.random(in: 0...50_000_000, using: &random)
        )
        let theirs = UInt64(Int64(now + there) + offset)
        clock.take(sentNs: now, theirsNs: theirs, receivedNs: now + there + back)
        now += 1_000_000_000
      }
      let (found, error) = (try #require(clock.offsetNs), try #require(clock.errorNs))
      #expect((found - offset).magnitude <= error, "seed \(random.seed)")
      #expect(error <= 50_000_001)
    }
  }

  @Test func theShortestRoundTripCounts() {
    var clock = ClockOffset()
    clock.take(sentNs: 1000, theirsNs: 9000, receivedNs: 3000)
    clock.take(sentNs: 5000, theirsNs: 12_060, receivedNs: 5100)
    clock.take(sentNs: 6000, theirsNs: 99_000, receivedNs: 90_000)
    #expect(clock.offsetNs == 7010 && clock.errorNs == 51)
  }

  @Test func anOldReadingIsForgotten() {
    var clock = ClockOffset()
    clock.take(sentNs: 1000, theirsNs: 1000, receivedNs: 1002)
    for second in 1...8 as ClosedRange<UInt64> {
      clock.take(
        sentNs: second * 1_000_000, theirsNs: second * 1_000_000 + 700, receivedNs: second * 1_000_000 + 400)
    }
    #expect(clock.offsetNs == 500)
  }

  @Test func impossibleTimesAreNoReading() {
    var clock = ClockOffset()
    clock.take(sentNs: 5, theirsNs: 5, receivedNs: 4)
    clock.take(sentNs: 5, theirsNs: .max, receivedNs: 6)
    #expect(clock.offsetNs == nil)
    clock.take(sentNs: .max - 1, theirsNs: 5, receivedNs: .max)
    #expect(clock.offsetNs == nil)
  }
}
