import JitterStats
import Testing

/// Vectors for one SSRC, each worked by hand from RFC 3550 appendices A.1 and A.8.
@Suite struct SourceAccountTests {
  /// 20 ms of an 8 kHz clock.
  static let ticks: UInt32 = 160
  static let frameNs: UInt64 = 20_000_000

  private func started(sequence: UInt16, timestamp: UInt32 = 0, arrivalNs: UInt64 = 0) -> SourceAccount {
    SourceAccount(
      ssrc: 0x5eed, sequence: sequence, timestamp: timestamp, arrivalNs: arrivalNs, clockRate: 8_000)
  }

  /// Feeds sequence numbers whose timestamps and arrivals fit them exactly.
  private func arrivals(
    after first: UInt16, _ sequences: [UInt16]
  ) -> (outcomes: [SourceAccount.Arrival], account: SourceAccount) {
    var account = started(sequence: first)
    var now: UInt64 = 0
    let outcomes = sequences.map { sequence in
      now += Self.frameNs
      return account.receive(
        sequence: sequence, timestamp: UInt32(now / Self.frameNs) * Self.ticks, arrivalNs: now)
    }
    return (outcomes, account)
  }

  @Test func firstPacket() {
    let account = started(sequence: 7, timestamp: 99, arrivalNs: 5)
    #expect(account.highest == 7)
    #expect(account.window == 1)
    #expect(account.packets == 1)
    #expect(account.lastArrivalNs == 5)
    #expect(account.lastTimestamp == 99)
    #expect(account.jitter.q4Ns == 0)
    #expect(account.restart == nil)
  }

  @Test func sequenceWraps() {
    let (outcomes, account) = arrivals(after: 65_534, [65_535, 0, 1])
    #expect(outcomes == [.inOrder, .inOrder, .inOrder])
    #expect(account.highest == 1)
    #expect(account.window == 0b1111)
  }

  @Test func gapAcrossTheWrap() {
    // 65,535 and 0 to 2 are skipped.
    let (outcomes, account) = arrivals(after: 65_534, [3])
    #expect(outcomes == [.gap(missing: 4)])
    #expect(account.window == 0b100001)
  }

  @Test func lateThenDuplicate() {
    let (outcomes, account) = arrivals(after: 10, [13, 11, 11, 13, 12, 10])
    #expect(outcomes == [.gap(missing: 2), .late, .duplicate, .duplicate, .late, .duplicate])
    #expect(account.highest == 13)
    #expect(account.window == 0b1111)
    #expect(account.packets == 7)
  }

  @Test func lateAcrossTheWrap() {
    let (outcomes, _) = arrivals(after: 65_534, [0, 65_535, 65_535])
    #expect(outcomes == [.gap(missing: 1), .late, .duplicate])
  }

  @Test func largestStepsThatAreBelieved() {
    #expect(arrivals(after: 0, [2_999]).outcomes == [.gap(missing: 2_998)])
    #expect(arrivals(after: 0, [3_000]).outcomes == [.suspect])
    #expect(arrivals(after: 200, [100]).outcomes == [.late])
    #expect(arrivals(after: 200, [99]).outcomes == [.suspect])
  }

  @Test func windowForgetsBeyondItsWidth() {
    // 127 ahead: the first packet is bit 127. 128 ahead: it is gone.
    #expect(arrivals(after: 0, [127]).account.window == UInt128(1) << 127 | 1)
    #expect(arrivals(after: 0, [128]).account.window == 1)
    #expect(arrivals(after: 0, [129]).account.window == 1)
    #expect(arrivals(after: 0, [2_999]).account.window == 1)
  }

  @Test func restartNeedsTwoInARow() {
    let (outcomes, account) = arrivals(after: 100, [20_000, 20_001, 20_002, 20_000])
    #expect(outcomes == [.suspect, .restart, .inOrder, .late])
    // The window began with the restart, so the packet that raised the suspicion is not in it.
    #expect(account.highest == 20_002)
  }

  @Test func restartIsForgottenWhenTheOldSequenceGoesOn() {
    let (outcomes, account) = arrivals(after: 100, [20_000, 101, 20_001, 102])
    #expect(outcomes == [.suspect, .inOrder, .suspect, .inOrder])
    #expect(account.highest == 102)
    #expect(account.restart == nil)
  }

  @Test func latePacketsLeaveTheSuspicion() {
    #expect(
      arrivals(after: 100, [102, 20_000, 101, 20_001]).outcomes == [
        .gap(missing: 1), .suspect, .late, .restart,
      ])
  }

  @Test func restartKeepsJitterAndTakesTheBaselineAnew() {
    var account = started(sequence: 1)
    _ = account.receive(sequence: 2, timestamp: 160, arrivalNs: 21_000_000)
    #expect(account.jitter.q4Ns == 1_000_000)
    #expect(account.receive(sequence: 30_000, timestamp: 77, arrivalNs: 50_000_000) == .suspect)
    #expect(account.lastArrivalNs == 21_000_000)
    #expect(account.receive(sequence: 30_001, timestamp: 1_000_000, arrivalNs: 60_000_000) == .restart)
    #expect(account.jitter.q4Ns == 1_000_000)
    #expect(account.lastArrivalNs == 60_000_000)
    #expect(account.lastTimestamp == 1_000_000)
    // In step again: the estimate decays by (1,000,000 + 8) >> 4 = 62,500.
    #expect(account.receive(sequence: 30_002, timestamp: 1_000_160, arrivalNs: 80_000_000) == .inOrder)
    #expect(account.jitter.q4Ns == 937_500)
  }

  @Test func jitterByHand() {
    // Arrivals in ms: 0, 20, 45, 60, 80; the sender's clock: 0, 20, 40, 60, 80.
    // |D| in ms: 0, 5, 5, 0. J (in 1/16 ns) after A.8:
    //   0; 5,000,000; 5,000,000 + 5,000,000 - ((5,000,000 + 8) >> 4 = 312,500) = 9,687,500;
    //   9,687,500 - ((9,687,500 + 8) >> 4 = 605,469) = 9,082,031
    var account = started(sequence: 0)
    var seen: [UInt64] = []
    for (index, arrivalMs) in [20, 45, 60, 80].enumerated() {
      _ = account.receive(
        sequence: UInt16(index + 1), timestamp: UInt32(index + 1) * Self.ticks,
        arrivalNs: UInt64(arrivalMs) * 1_000_000)
      seen.append(account.jitter.q4Ns)
    }
    #expect(seen == [0, 5_000_000, 9_687_500, 9_082_031])
    #expect(account.jitter.maxQ4Ns == 9_687_500)
    #expect(account.jitter.seconds == 9_082_031 / 16e9)
    #expect(account.jitter.maxSeconds == 9_687_500 / 16e9)
  }

  @Test func jitterFollowsTheOrderOfArrival() {
    // Frame 2 (40 ms) overtakes frame 1 (20 ms): D is 20 - 40 = -20 ms, then 1 - (-20) = 21 ms.
    //   20,000,000; 20,000,000 + 21,000,000 - 1,250,000 = 39,750,000
    var account = started(sequence: 0)
    #expect(account.receive(sequence: 2, timestamp: 320, arrivalNs: 20_000_000) == .gap(missing: 1))
    #expect(account.jitter.q4Ns == 20_000_000)
    #expect(account.receive(sequence: 1, timestamp: 160, arrivalNs: 21_000_000) == .late)
    #expect(account.jitter.q4Ns == 39_750_000)
  }

  @Test func duplicatesChangeNoJitter() {
    var account = started(sequence: 0)
    _ = account.receive(sequence: 1, timestamp: 160, arrivalNs: 20_000_000)
    let before = account
    #expect(account.receive(sequence: 1, timestamp: 160, arrivalNs: 33_000_000) == .duplicate)
    #expect(account.receive(sequence: 0, timestamp: 0, arrivalNs: 34_000_000) == .duplicate)
    #expect(account.jitter == before.jitter)
    #expect(account.lastArrivalNs == before.lastArrivalNs)
    #expect(account.packets == before.packets + 2)
  }

  @Test func timestampWraps() {
    var account = started(sequence: 0, timestamp: 0xffff_ffb0)
    _ = account.receive(sequence: 1, timestamp: 0x50, arrivalNs: 20_000_000)
    #expect(account.jitter.q4Ns == 0)
  }

  @Test func ticksThatAreNoWholeNanosecondsRoundTowardsZero() {
    // One tick of 90 kHz is 11,111.1 ns: forward 11,111, back -11,111.
    var account = SourceAccount(ssrc: 1, sequence: 0, timestamp: 5, arrivalNs: 0, clockRate: 90_000)
    _ = account.receive(sequence: 1, timestamp: 6, arrivalNs: 11_111)
    #expect(account.jitter.q4Ns == 0)
    _ = account.receive(sequence: 2, timestamp: 5, arrivalNs: 11_111)
    #expect(account.jitter.q4Ns == 11_111)
  }

  @Test func aPauseIsNoJitter() {
    var account = started(sequence: 0)
    _ = account.receive(sequence: 1, timestamp: 0, arrivalNs: 10_000_000_001)
    #expect(account.jitter.q4Ns == 0)
    _ = account.receive(sequence: 2, timestamp: 0, arrivalNs: 20_000_000_001)
    #expect(account.jitter.q4Ns == 10_000_000_000)
  }

  @Test func aClockSetBackIsNoTrap() {
    var account = started(sequence: 0, arrivalNs: 1_700_000_000_000_000_000)
    _ = account.receive(sequence: 1, timestamp: 160, arrivalNs: 0)
    _ = account.receive(sequence: 2, timestamp: 0x8000_0000, arrivalNs: .max)
    #expect(account.jitter.q4Ns == 0)
    #expect(account.lastArrivalNs == .max)
  }
}
