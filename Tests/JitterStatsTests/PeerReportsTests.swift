import Foundation
import JitterStats
import Testing

/// The latest of each peer, in a bounded number, and the round trips that pass.
@Suite struct PeerReportsTests {
  private func long(_ value: UInt32) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
  }

  private func sender(_ ssrc: UInt32, ntp: UInt64, packets: UInt32 = 0) -> [UInt8] {
    [0x80, 200, 0, 6] + long(ssrc) + long(UInt32(ntp >> 32)) + long(UInt32(truncatingIfNeeded: ntp)) + long(0)
      + long(packets) + long(0)
  }

  private func receiver(
    _ reporter: UInt32, _ subject: UInt32, jitter: UInt32 = 0, echo: UInt32 = 0, delay: UInt32 = 0
  ) -> [UInt8] {
    [0x81, 201, 0, 7] + long(reporter) + long(subject) + long(0) + long(0) + long(jitter) + long(echo)
      + long(delay)
  }

  private func receive(
    _ reports: inout PeerReports, _ times: inout PassingTimes, _ bytes: [UInt8], at timeNs: UInt64
  ) {
    bytes.withUnsafeBytes { reports.receive($0.bytes, timeNs: timeNs, times: &times) }
  }

  /// The example of RFC 3550 figure 2: a report at 46,864.500 s answers a time stamp of 46,853.125 s after 5.250 s. Where
  /// the time stamp passed here at once, the round trip is 6.125 s.
  @Test func roundTripOfTheExample() throws {
    var (reports, times) = (PeerReports(), PassingTimes())
    let ntp: UInt64 = 0xb44d_b705_2000_0000
    receive(&reports, &times, sender(1, ntp: ntp), at: 46_853_125_000_000)
    receive(&reports, &times, receiver(2, 1, echo: 0xb705_2000, delay: 0x0005_4000), at: 46_864_500_000_000)
    #expect(reports.hasAnswers)
    reports.resolve(times)
    #expect(!reports.hasAnswers)
    let account = reports.account()
    #expect(account.reports.map(\.roundTripFromHereSeconds) == [6.125])
    // 10 Nov 1995 11:33:25.125 UTC.
    #expect(account.senders.map(\.clockNs) == [816_003_205_125_000_000])
    // A later report that answers nothing has none.
    receive(&reports, &times, receiver(2, 1), at: 46_865_000_000_000)
    reports.resolve(times)
    #expect(reports.account().reports.map(\.roundTripFromHereSeconds) == [nil])
    #expect(reports.account().reports.map(\.reports) == [2])
  }

  @Test func noRoundTripWithoutItsTimeStamp() {
    var (reports, times) = (PeerReports(), PassingTimes(capacity: 2))
    receive(&reports, &times, receiver(2, 1, echo: 5, delay: 1), at: 1_000_000_000)
    reports.resolve(times)
    #expect(reports.account().reports.map(\.roundTripFromHereSeconds) == [nil])
    // The answer of another source's time stamp is none.
    receive(&reports, &times, sender(9, ntp: 5 << 16), at: 1_000_000_000)
    receive(&reports, &times, receiver(2, 1, echo: 5), at: 1_100_000_000)
    reports.resolve(times)
    #expect(reports.account().reports.map(\.roundTripFromHereSeconds) == [nil])
    // Nor does one that says to have waited longer than it could.
    receive(&reports, &times, sender(1, ntp: 6 << 16), at: 1_200_000_000)
    receive(&reports, &times, receiver(2, 1, echo: 6, delay: 65_536), at: 1_300_000_000)
    reports.resolve(times)
    #expect(reports.account().reports.map(\.roundTripFromHereSeconds) == [nil])
    // One that has made room is forgotten.
    for time in 7...8 as ClosedRange<UInt64> {
      receive(&reports, &times, sender(1, ntp: time << 16), at: 2_000_000_000)
    }
    receive(&reports, &times, receiver(2, 1, echo: 6), at: 2_100_000_000)
    receive(&reports, &times, receiver(3, 1, echo: 8), at: 2_100_000_000)
    reports.resolve(times)
    #expect(reports.account().reports.map(\.roundTripFromHereSeconds) == [nil, 0.1])
  }

  @Test func receiversTimesAreAnsweredToo() {
    var (reports, times) = (PeerReports(), PassingTimes())
    let ntp = long(0xb44d_b705) + long(0x2000_0000)
    receive(&reports, &times, [0x80, 207, 0, 4] + long(7) + [4, 0, 0, 2] + ntp, at: 1_000_000_000)
    let answer = [5, 0, 0, 3] + long(7) + long(0xb705_2000) + long(0x8000)
    receive(&reports, &times, [0x80, 207, 0, 5] + long(1) + answer, at: 1_750_000_000)
    reports.resolve(times)
    #expect(reports.account().reports.map(\.roundTripFromHereSeconds) == [0.25])
    #expect(reports.account().reports.map(\.reporter) == [1])
  }

  @Test func jitterIsInSecondsWhereTheClockIsKnown() {
    var (reports, times) = (PeerReports(), PassingTimes())
    receive(&reports, &times, receiver(2, 1, jitter: 450) + receiver(2, 3, jitter: 9), at: 1)
    let found = reports.account { $0 == 1 ? 90_000 : nil }.reports.map(\.reception)
    #expect(found.map { $0?.jitterSeconds } == [0.005, nil])
    #expect(found.map { $0?.jitterUnits } == [450, 9])
  }

  @Test func peersThatAreSilentLongestMakeRoom() {
    var (reports, times) = (PeerReports(capacity: 2), PassingTimes())
    for (step, reporter) in ([1, 2, 1, 3] as [UInt32]).enumerated() {
      receive(&reports, &times, receiver(reporter, 9) + sender(reporter, ntp: 0), at: UInt64(step) * 1_000)
    }
    let account = reports.account()
    #expect(Set(account.reports.map(\.reporter)) == [1, 3] && account.displaced == 2)
    #expect(account.senders.map(\.ssrc) == [1, 3] && account.senders.map(\.clockNs) == [nil, nil])
    #expect(account.packets == 4 && account.unreadable == 0)
  }

  @Test func goodbyeAndSilence() {
    var (reports, times) = (PeerReports(), PassingTimes())
    receive(&reports, &times, receiver(1, 9) + receiver(2, 9) + sender(1, ntp: 0), at: 1_000_000_000)
    receive(&reports, &times, [0x81, 203, 0, 1] + long(1), at: 2_000_000_000)
    let account = reports.account()
    #expect(account.reports.map(\.hasLeft) == [true, false] && account.senders.map(\.hasLeft) == [true])
    #expect(account.present(atNs: 61_000_000_000).map(\.reporter) == [2])
    #expect(account.present(atNs: 61_000_000_001).isEmpty)
    // It comes again.
    receive(&reports, &times, receiver(1, 9), at: 3_000_000_000)
    #expect(reports.account().reports.map(\.hasLeft) == [false, false])
  }

  @Test func accountIsWhatItWasThroughJSON() throws {
    var (reports, times) = (PeerReports(), PassingTimes())
    receive(&reports, &times, RTCPCompoundTests.senderReport, at: 5)
    reports.missed(3)
    let account = reports.account { _ in 8_000 }
    #expect(account.unread == 3 && !account.isEmpty && PeerAccount().isEmpty)
    let data = try JSONEncoder().encode(account)
    #expect(try JSONDecoder().decode(PeerAccount.self, from: data) == account)
  }
}
