import JitterStats
import TestSupport
import Testing

/// Vectors for the whole account of one source, worked by hand from the RFCs that are named with each.
@Suite struct RTPSourceAnalysisTests {
  /// 20 ms of an 8 kHz clock.
  static let ticks: UInt32 = 160
  static let frameNs: UInt64 = 20_000_000

  /// A packet of an even stream: number `index`, delayed by `delayNs`.
  static func packet(_ index: Int, delayNs: UInt64 = 0, firstSequence: UInt16 = 0) -> (RTPHeader, UInt64) {
    let header = RTPHeader(
      payloadType: 0, sequence: firstSequence &+ UInt16(truncatingIfNeeded: index),
      timestamp: UInt32(truncatingIfNeeded: index) &* ticks, ssrc: 0x5eed)
    return (header, 1_000_000_000 + UInt64(index) * frameNs + delayNs)
  }

  /// The analysis of packets in the order of arrival.
  static func analysis(_ packets: [(RTPHeader, UInt64)]) -> RTPSourceAnalysis {
    var analysis = RTPSourceAnalysis(ssrc: 0x5eed, clockRate: 8_000)
    for (header, arrivalNs) in packets { analysis.receive(header, arrivalNs: arrivalNs, payloadBytes: 172) }
    return analysis
  }

  static func report(_ packets: [(RTPHeader, UInt64)]) throws -> RTPSourceReport {
    try #require(analysis(packets).report)
  }

  @Test func nothingBeforeTheFirstPacket() {
    #expect(RTPSourceAnalysis(ssrc: 1, clockRate: 90_000).report == nil)
  }

  @Test func evenStreamAcrossTheWrap() throws {
    let report = try Self.report((0..<200).map { Self.packet($0, firstSequence: 65_500) })
    #expect(report.packets == 200)
    #expect(report.bytes == 34_400)
    #expect(report.loss.expected == 200)
    #expect(report.loss.lost == 0)
    #expect(report.extendedHighestSequence == 65_500 + 199)
    #expect(report.durationSeconds == 3.98)
    #expect(report.jitter.maxSeconds == 0)
    #expect(report.pdv.maxSeconds == 0)
    #expect(report.ipdv.count == 199)
    #expect(report.interarrival.minSeconds == 0.02)
    #expect(abs(report.interarrival.p50Seconds - 0.02) <= 0.000_2)
    #expect(report.clock.driftPpm.map { abs($0) < 1e-6 } == true)
  }

  /// RFC 3550 section 6.4.1: one packet 16 ms late gives |D| = 16 ms twice, that is J = 1 ms, then
  /// 1 + (16 - 1)/16 = 1.9375 ms.
  @Test func jitterByHand() throws {
    let report = try Self.report(
      [Self.packet(0), Self.packet(1, delayNs: 16_000_000), Self.packet(2)])
    #expect(report.jitter.lastSeconds == 0.001_937_5)
    #expect(report.jitter.maxSeconds == 0.001_937_5)
    #expect(abs(report.jitter.meanSeconds - 0.001_468_75) < 1e-12)
    #expect(report.jitter.maxAtSeconds == 0.04)
    #expect(report.ipdvRange.minSeconds == -0.016)
    #expect(report.ipdvRange.maxSeconds == 0.016)
    #expect(report.pdv.maxSeconds == 0.016)
    #expect(report.pdv.maxAtSeconds == 0.036)
    #expect(report.wireshark.maxSkewSeconds == -0.016)
  }

  /// RFC 4737 section 4.2.1: of 1 2 3 7 8 4 5 6 9, packet 4 arrives as the 6th, the earliest arrival above it is 7
  /// as the 4th: extent 2; 5 has 3, 6 has 4. The example is that of appendix B's form.
  @Test func reorderingExtent() throws {
    let order = [1, 2, 3, 7, 8, 4, 5, 6, 9]
    let packets = order.enumerated().map { place, index in
      (Self.packet(index).0, UInt64(place) * Self.frameNs)
    }
    let report = try Self.report(packets)
    #expect(report.reordering.reordered == 3)
    #expect(report.reordering.largestExtent == 4)
    #expect(report.reordering.meanExtent == 3)
    #expect(report.reordering.largestLateSeconds == 0.08)
    #expect(report.loss.lost == 0)
    #expect(abs(report.reordering.ratio - 3.0 / 9) < 1e-12)
  }

  @Test func duplicatesAreNoReceivedPackets() throws {
    let report = try Self.report([0, 1, 1, 2, 4, 4, 4].map { Self.packet($0) })
    #expect(report.packets == 7)
    #expect(report.loss.received == 4)
    #expect(report.loss.duplicates == 3)
    #expect(report.loss.expected == 5)
    #expect(report.loss.lost == 1)
    // Wireshark takes duplicates for packets that were sent: 5 - 7.
    #expect(report.wireshark.lost == -2)
  }

  /// A packet from before the first that arrived is one that was sent.
  @Test func lateBeforeTheFirst() throws {
    let report = try Self.report([5, 4, 6, 7].map { Self.packet($0) })
    #expect(report.loss.expected == 4)
    #expect(report.loss.lost == 0)
    #expect(report.reordering.reordered == 1)
  }

  @Test func restartBeginsANewRun() throws {
    var packets = (0..<10).map { Self.packet($0) }
    packets += (0..<10).map { index in
      let (header, arrivalNs) = Self.packet(10 + index)
      var other = header
      other.sequence = 40_000 + UInt16(index)
      other.timestamp = 123_456 + UInt32(index) * Self.ticks
      return (other, arrivalNs)
    }
    let report = try Self.report(packets)
    #expect(report.loss.restarts == 1)
    #expect(report.loss.expected == 20)
    #expect(report.loss.received == 20)
    #expect(report.loss.outOfRange == 0)
    #expect(report.jitter.maxSeconds == 0)
    #expect(report.pdv.maxSeconds == 0)
  }

  @Test func oneWildNumberIsOutOfRange() throws {
    let report = try Self.report([0, 1, 30_000, 2, 3].map { Self.packet($0) })
    #expect(report.loss.outOfRange == 1)
    #expect(report.loss.expected == 4)
    #expect(report.loss.received == 4)
    #expect(report.loss.restarts == 0)
  }

  /// A sender whose clock is fast by 100 ppm: timestamps of 10,001 units arrive every 10,000 units of ours.
  @Test func clockDrift() throws {
    let packets = (0..<1_000).map { index in
      (
        RTPHeader(sequence: UInt16(index), timestamp: UInt32(index) * 10_001, ssrc: 0x5eed),
        UInt64(index) * 1_250_000_000
      )
    }
    let report = try Self.report(packets)
    #expect(report.clock.driftPpm.map { abs($0 - 100) < 1e-3 } == true)
    #expect(abs(report.wireshark.frequencyHz - 8_000.8) < 1e-6)
    #expect(abs(report.wireshark.clockDriftSeconds - 0.124_875) < 1e-6)
  }

  /// Each value of PDV from 1 to 1,000 ms once: percentiles are those values, to 1 %.
  @Test func percentiles() throws {
    let packets = (0..<1_000).map { index in
      Self.packet(index, delayNs: UInt64((index * 7) % 1_000) * 1_000_000)
    }
    let pdv = try Self.report(packets.sorted { $0.1 < $1.1 }).pdv
    #expect(abs(pdv.p50Seconds - 0.5) <= 0.005)
    #expect(abs(pdv.p90Seconds - 0.9) <= 0.009)
    #expect(abs(pdv.p99Seconds - 0.99) <= 0.009_9)
    #expect(pdv.maxSeconds == 0.999)
  }

  /// The fastest packet comes last: all before it were slower by what it is faster.
  @Test func fastestPacketAfterTheReferenceWasChosen() throws {
    var packets = (0..<500).map { Self.packet($0, delayNs: 10_000_000) }
    packets.append(Self.packet(500))
    let pdv = try Self.report(packets).pdv
    #expect(pdv.minSeconds == 0)
    #expect(pdv.maxSeconds == 0.01)
    #expect(abs(pdv.p50Seconds - 0.01) <= 0.000_1)
  }

  @Test func partsJoinedAreTheWhole() throws {
    var generator = SeededRandom(seed: 7)
    var packets: [(RTPHeader, UInt64)] = []
    for index in 0..<2_000 where generator.next() % 20 != 0 {
      packets.append(Self.packet(index, delayNs: generator.next() % 9_000_000, firstSequence: 64_900))
    }
    let whole = try Self.report(packets)
    for cut in [1, 50, 700, 1_500] {
      var joined = Self.analysis(Array(packets[..<cut]))
      joined.merge(Self.analysis(Array(packets[cut...])))
      let report = try #require(joined.report)
      #expect(report.packets == whole.packets)
      #expect(report.loss == whole.loss)
      #expect(report.extendedHighestSequence == whole.extendedHighestSequence)
      #expect(report.wireshark.lost == whole.wireshark.lost)
      #expect(report.interarrival == whole.interarrival)
      #expect(report.pdv.maxSeconds == whole.pdv.maxSeconds)
      #expect(abs(report.pdv.p50Seconds - whole.pdv.p50Seconds) <= 0.02 * whole.pdv.p50Seconds)
      #expect(abs((report.clock.driftPpm ?? 0) - (whole.clock.driftPpm ?? 1)) < 1e-3)
      #expect(report.bursts.losses + (whole.loss.lost - whole.bursts.losses) <= whole.loss.lost + 16)
    }
  }

  /// No header and no time may trap.
  @Test(arguments: [1, 2, 3] as [UInt64]) func hostileHeaders(seed: UInt64) {
    var generator = SeededRandom(seed: seed)
    var analysis = RTPAnalysis(capacity: 2)
    for _ in 0..<20_000 {
      let random = generator.next()
      analysis.receive(
        RTPHeader(
          payloadType: UInt8(random & 0x7f), sequence: UInt16(truncatingIfNeeded: random >> 7),
          timestamp: UInt32(truncatingIfNeeded: random >> 23), ssrc: UInt32(random >> 62)),
        arrivalNs: generator.next(), payloadBytes: Int(truncatingIfNeeded: generator.next() >> 48))
    }
    #expect(analysis.reports.count == 2, "seed \(seed)")
    #expect(analysis.displaced > 0)
  }
}
