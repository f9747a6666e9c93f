import JitterStats
import Testing

/// Vectors for flows without timestamps.
@Suite struct InterarrivalAccountTests {
  private func estimates(arrivalsNs: [UInt64]) -> [UInt64] {
    var account = InterarrivalAccount()
    return arrivalsNs.map {
      account.receive(arrivalNs: $0)
      return account.jitter.q4Ns
    }
  }

  @Test func aSteadyPaceHasNoJitter() {
    #expect(estimates(arrivalsNs: [7, 1_007, 2_007, 3_007]) == [0, 0, 0, 0])
  }

  @Test func byHand() {
    // Gaps 1,000, 1,400, 800: changes 400 and 600. 400; 400 + 600 - ((400 + 8) >> 4 = 25) = 975.
    #expect(estimates(arrivalsNs: [0, 1_000, 2_400, 3_200]) == [0, 0, 400, 975])
  }

  @Test func aPauseIsNoJitter() {
    // Gaps 1 s, 20 s, 1 s, 1 s: both changes of 19 s are left out.
    let second: UInt64 = 1_000_000_000
    #expect(estimates(arrivalsNs: [0, 1, 21, 22, 23].map { $0 * second }) == [0, 0, 0, 0, 0])
  }

  @Test func aClockSetBackIsNoTrap() {
    #expect(estimates(arrivalsNs: [.max, 0, .max, 1 << 63]).count == 4)
  }
}
