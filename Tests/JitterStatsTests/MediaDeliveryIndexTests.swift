import JitterStats
import TestSupport
import Testing

/// DF:MLR by numbers worked by hand from the formulas of RFC 4445 section 3:
///
///     VB(i,pre) = sum of S(1)...S(i-1) - MR * T(i),  VB(i,post) = VB(i,pre) + S(i),  DF = (VB(max) - VB(min)) / MR
///
/// A datagram has seven packets, S = 1,316 bytes, and a clock reference; references lie 10 ms apart, so that
/// MR = 131,600 bytes/s, and S / MR = 10 ms.
@Suite struct MediaDeliveryIndexTests {
  typealias Bytes = TransportStreamBytes

  /// - Parameter arrivals: milliseconds of each datagram's arrival; nil: it is lost.
  private static func report(_ arrivals: [Double?], hasClock: Bool = true) throws -> TransportStreamReport {
    var account = TransportStreamAccount()
    for (place, arrival) in arrivals.enumerated() {
      guard let arrival else { continue }
      let datagram = Bytes.datagram(counter: place * 7, clockTicks: hasClock ? UInt64(place) * 270_000 : nil)
      account.receive(datagram.span.bytes, arrivalNs: UInt64(arrival * 1e6) + 5_000_000_000)
    }
    return try #require(account.report)
  }

  private static func near(_ one: Double, _ other: Double) -> Bool { abs(one - other) < 1e-9 }

  /// Each datagram finds -S and leaves 0: DF is the time of one datagram.
  @Test func evenArrivals() throws {
    let report = try Self.report((0..<100).map { Double($0) * 10 })
    let index = report.deliveryIndex
    #expect(index.intervals == 1 && Self.near(index.maxDelayFactorSeconds, 0.010))
    #expect(Self.near(index.mediaRateBitsPerSecond, 131_600 * 8) && index.mediaRateFrom == .clock)
    #expect(index.maxLossRate == 0 && index.lossyIntervals == 0)
  }

  /// Time zero is the arrival of the first. Bytes in units of S, time in units of 10 ms:
  ///
  ///     arrives at 1    2    5    5    5    6
  ///     pre       -1   -1   -3   -2   -1   -1
  ///     post       0    0   -2   -1    0    0       DF = (0 - -3) * 10 ms = 30 ms
  @Test func aGap() throws {
    let index = try Self.report([0, 10, 20, 50, 50, 50, 60]).deliveryIndex
    #expect(Self.near(index.maxDelayFactorSeconds, 0.030) && Self.near(index.maxDelayFactorAtSeconds, 0.060))
  }

  ///     arrives at 0.5  1    1.5  2    5    6
  ///     pre       -0.5  0    0.5  1   -1   -1
  ///     post       0.5  1    1.5  2    0    0       DF = (2 - -1) * 10 ms = 30 ms
  @Test func aBurst() throws {
    let index = try Self.report([0, 5, 10, 15, 20, 50, 60]).deliveryIndex
    #expect(Self.near(index.maxDelayFactorSeconds, 0.030))
  }

  /// 4 datagrams in 80 ms make MR = 4 S / 80 ms, one in 20 ms. In units of S and 20 ms:
  ///
  ///     arrives at 1    2    2.5  4
  ///     pre       -1   -1   -0.5 -1
  ///     post       0    0    0.5  0       DF = 1.5 * 20 ms = 30 ms
  @Test("without a clock the media rate is that of the arrivals") func nominal() throws {
    let index = try Self.report([0, 20, 40, 50, 80], hasClock: false).deliveryIndex
    #expect(Self.near(index.maxDelayFactorSeconds, 0.030) && index.mediaRateFrom == .arrivals)
    #expect(Self.near(index.mediaRateBitsPerSecond, 1_316 * 8 / 0.020))
  }

  /// Seconds since the first datagram are intervals. In the second one, datagrams 130 and 131 are lost: 14 packets.
  /// The buffer then runs dry by two datagrams more, for the rate counts what arrived: 98 S in 1,000 ms, and so
  /// MR = 0.98 S / 10 ms. Its time zero is datagram 99 at 990 ms, its last datagram 199 at 1,990 ms. Datagram 100 + n
  /// (n = 0...29) arrives at T = n + 1 and finds n - 0.98 (n + 1), the 98 datagrams' highest VB is 30 - 0.98 * 30 = 0.6
  /// after n = 29, and the lowest is before datagram 132 (T = 33): 30 - 0.98 * 33 = -2.34; DF = 2.94 S / MR = 30 ms.
  @Test("losses count in their second, and modulo 16") func losses() throws {
    var arrivals: [Double?] = (0..<300).map { Double($0) * 10 }
    (arrivals[130], arrivals[131]) = (nil, nil)
    let report = try Self.report(arrivals)
    let index = report.deliveryIndex
    #expect(
      index.intervals == 3 && index.lossyIntervals == 1 && index.maxLossRate == 14 && index.lastLossRate == 0)
    #expect(Self.near(index.maxLossRateAtSeconds, 1.990) && report.lost == 14)
    #expect(Self.near(index.maxDelayFactorSeconds, 0.030) && Self.near(index.maxDelayFactorAtSeconds, 1.990))
    #expect(Self.near(index.lastDelayFactorSeconds, 0.010))
  }

  /// Nothing for 2.5 s, then all of it at once: time zero is the last packet before, at 490 ms. 250 datagrams find
  /// -250 S at first and leave 0.
  @Test("a silence is one long interval, whose delay factor is the silence") func silence() throws {
    let before = (0..<50).map { Double($0) * 10 }
    let after = (50..<400).map { max(Double($0) * 10, 2_990) }
    let index = try Self.report(before + after).deliveryIndex
    #expect(index.intervals == 3, "of the seconds 0, 2 and 3")
    #expect(Self.near(index.maxDelayFactorSeconds, 2.5) && index.maxLossRate == 0)
    #expect(Self.near(index.maxDelayFactorAtSeconds, 2.990))
  }

  @Test("captures out of order, and clocks that stand still, give finite figures") func odd() throws {
    let back = try Self.report([100, 90, 80, 2_000, 0, 3_000]).deliveryIndex
    #expect(back.maxDelayFactorSeconds.isFinite && back.intervals >= 2)
    let once = try Self.report([0, 0, 0, 0], hasClock: false).deliveryIndex
    #expect(once.intervals == 0 && once.mediaRateFrom == nil)
    var account = TransportStreamAccount()
    for place in 0..<300 {
      let datagram = Bytes.datagram(counter: place * 7, clockTicks: 5)
      account.receive(datagram.span.bytes, arrivalNs: UInt64(place) * 10_000_000)
    }
    let still = try #require(account.report).deliveryIndex
    #expect(
      still.intervals == 3 && still.mediaRateFrom == .arrivals && Self.near(still.lastDelayFactorSeconds, 0.010)
    )
  }
}
