import TestSupport
import Testing

@testable import JitterStats

/// RTCP as it comes from the wire, whole and broken, against vectors laid out by hand after the figures of RFC 3550
/// section 6.4 and RFC 3611 section 4.
@Suite struct RTCPCompoundTests {
  static func compound(_ bytes: [UInt8], length: Int? = nil) -> RTCPCompound? {
    bytes.withUnsafeBytes { RTCPCompound($0.bytes, length: length) }
  }

  /// RFC 3550 section 6.4.1, two report blocks.
  static let senderReport: [UInt8] = [
    0x82, 200, 0, 18, 0x11, 0x22, 0x33, 0x44,
    0xb4, 0x4d, 0xb7, 0x05, 0x20, 0, 0, 0,  // NTP
    0x01, 0x02, 0x03, 0x04,  // RTP
    0, 0, 0x04, 0xd2, 0, 0x01, 0, 0,  // 1,234 packets, 65,536 bytes
    0xaa, 0, 0, 1, 64, 0, 0, 25, 0, 1, 0x12, 0x34, 0, 0, 0, 99, 0xb7, 0x05, 0x20, 0, 0, 5, 0x40, 0,
    0xaa, 0, 0, 2, 0, 0xff, 0xff, 0xfe, 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0,
  ]
  static let description: [UInt8] = [0x81, 202, 0, 3, 0x11, 0x22, 0x33, 0x44, 1, 2, 0x61, 0x62, 0, 0, 0, 0]
  /// RFC 3550 section 6.4.2, no block.
  static let receiverReport: [UInt8] = [0x80, 201, 0, 1, 0x55, 0x66, 0x77, 0x88]
  static let goodbye: [UInt8] = [0x82, 203, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 3, 0x62, 0x79, 0x65]

  @Test func senderReportWithBlocks() throws {
    let found = try #require(Self.compound(Self.senderReport + Self.description))
    let sender = try #require(found.senders.first)
    #expect(found.senders.count == 1 && sender.ssrc == 0x1122_3344 && sender.rtpTimestamp == 0x0102_0304)
    #expect(sender.ntpTime == 0xb44d_b705_2000_0000 && sender.packets == 1234 && sender.payloadBytes == 65536)
    #expect(found.blocks.map(\.reporter) == [0x1122_3344, 0x1122_3344])
    #expect(found.blocks.map(\.subject) == [0xaa00_0001, 0xaa00_0002])
    #expect(
      found.blocks.map(\.figures.reception) == [
        PeerReception(lossRatio: 0.25, lostPackets: 25, extendedHighestSequence: 0x1_1234, jitterUnits: 99),
        // Duplicates outnumber losses: 24 bits with a sign.
        PeerReception(lossRatio: 0, lostPackets: -2, extendedHighestSequence: 7, jitterUnits: .max),
      ])
    #expect(found.blocks[0].figures.echo == .init(ntpMiddle: 0xb705_2000, delayUnits: 0x0005_4000))
    #expect(found.blocks[0].figures.echo.delayNs == 5_250_000_000)
    #expect(found.skipped == 0)
  }

  @Test func receiverReportAndGoodbye() throws {
    let found = try #require(Self.compound(Self.receiverReport + Self.goodbye))
    #expect(found.senders.isEmpty && found.blocks.isEmpty && found.leaving == [0x0102_0304, 0x0506_0708])
  }

  /// RFC 3611 sections 4.4 to 4.7, and a block of a type that nobody knows.
  @Test func extendedReports() throws {
    let blocks: [[UInt8]] = [
      [4, 0, 0, 2, 0xb4, 0x4d, 0xb7, 0x05, 0x20, 0, 0, 0],
      [5, 0, 0, 6, 0, 0, 0, 9, 1, 2, 3, 4, 0, 1, 0x80, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0],
      [99, 0, 0, 1, 1, 2, 3, 4],
      [6, 0xa0, 0, 9, 0, 0, 0, 9, 0, 1, 0, 101] + [0, 0, 0, 5] + [0, 0, 0, 8]
        + [0, 0, 0, 1, 0, 0, 0, 40, 0, 0, 0, 4, 0, 0, 0, 2] + [60, 64, 63, 1],
      [7, 0, 0, 8, 0, 0, 0, 9, 5, 2, 128, 1, 0, 120, 0x13, 0x88, 0, 31, 0, 0, 0xec, 0xba, 127, 16]
        + [93, 127, 41, 127, 0x30, 0, 0, 40, 0, 80, 0, 200],
    ]
    let body = blocks.flatMap { $0 }
    let packet = [0x80, 207, 0, UInt8(1 + body.count / 4), 0xee, 0, 0, 1] + body
    let found = try #require(Self.compound(packet))
    #expect(found.receiverTimes == [.init(ssrc: 0xee00_0001, ntpTime: 0xb44d_b705_2000_0000)])
    #expect(found.receiverEchoes.map(\.subject) == [9, 10])
    #expect(found.receiverEchoes[0].figures == .init(ntpMiddle: 0x0102_0304, delayUnits: 0x1_8000))
    #expect(found.receiverEchoes[0].figures.delayNs == 1_500_000_000)
    #expect(found.skipped == 1)
    let statistics = try #require(found.statistics.first)
    #expect(statistics.reporter == 0xee00_0001 && statistics.subject == 9)
    // Flags L and J are set, D and ToH are not.
    #expect(statistics.figures.lostPackets == 5 && statistics.figures.duplicatePackets == nil)
    #expect(statistics.figures.hops == nil && statistics.figures.jitter?.maxUnits == 40)
    #expect(statistics.figures.beginSequence == 1 && statistics.figures.endSequence == 101)
    let voice = try #require(found.voice.first?.figures)
    #expect(voice.lossRatio == 5.0 / 256 && voice.discardRatio == 2.0 / 256 && voice.burstDensity == 0.5)
    #expect(voice.burstSeconds == 0.12 && voice.gapSeconds == 5 && voice.roundTripSeconds == 0.031)
    // 0 and 127 stand for what is not known.
    #expect(voice.endSystemSeconds == nil && voice.conversationalQuality == nil)
    #expect(voice.rFactor == 93 && voice.listeningQuality == 4.1)
    #expect(voice.bufferSeconds == 0.04 && voice.bufferMaxSeconds == 0.08)
  }

  @Test func paddingStandsAtTheEnd() throws {
    let padded: [UInt8] = [0xa0, 201, 0, 2, 0x55, 0x66, 0x77, 0x88, 0, 0, 0, 4]
    #expect(Self.compound(padded) != nil)
    #expect(Self.compound(Self.receiverReport + padded) != nil)
    #expect(Self.compound(padded + Self.receiverReport) == nil, "only the last packet may be padded")
    for wrong in [0, 3, 12, 255] as [UInt8] {
      #expect(Self.compound(padded.dropLast() + [wrong]) == nil, "\(wrong) bytes of padding")
    }
    // The padding takes the place of the SSRC.
    #expect(Self.compound(padded.dropLast() + [8]) == nil)
  }

  /// RFC 3550 appendix A.2: all lengths add up, or nothing is believed.
  @Test func lengthsThatDoNotAddUp() {
    let whole = Self.senderReport + Self.description
    for length in 0..<whole.count where length != Self.senderReport.count {
      #expect(Self.compound(Array(whole.prefix(length))) == nil, "\(length) bytes")
    }
    #expect(Self.compound(whole + [0x80, 201, 0, 0]) == nil, "a report without its SSRC")
    #expect(Self.compound(whole + [1, 2, 3, 4]) == nil)
    var version = whole
    version[Self.senderReport.count] = 0x41
    #expect(Self.compound(version) == nil)
    var blocks = Self.senderReport
    blocks[0] = 0x83
    #expect(Self.compound(blocks) == nil, "three blocks do not fit")
    // SRTCP (RFC 3711 section 3.4): the first eight bytes are in the clear, an index and a tag follow.
    #expect(Self.compound(Self.senderReport + [0x80, 0, 0, 5, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) == nil)
  }

  @Test func whatIsKeptOfALongerDatagramCounts() throws {
    let whole = Self.senderReport + Self.description + Self.receiverReport
    for kept in Self.senderReport.count...whole.count {
      let found = try #require(Self.compound(Array(whole.prefix(kept)), length: whole.count), "\(kept)")
      #expect(found.senders.count == 1 && found.blocks.count == 2)
    }
    #expect(Self.compound(Array(whole.prefix(40)), length: whole.count)?.senders.isEmpty == true)
    // Less than is held is no length.
    #expect(Self.compound(whole, length: whole.count - 1) == nil)
  }

  /// Whatever comes, it is read or refused: no trap. Half of it is a whole datagram with some bytes changed.
  @Test func anyBytes() {
    var random = SeededRandom()
    let whole = Self.senderReport + Self.description + Self.goodbye + [0x80, 207, 0, 4, 0, 0, 0, 1, 4, 0, 0, 2]
    var reports = PeerReports(capacity: 3)
    var times = PassingTimes(capacity: 5)
    var readable = 0
    for step in 0..<60_000 {
      var bytes =
        random.once(in: 2) ? whole + random.bytes(8) : random.bytes(Int.random(in: 0...200, using: &random))
      for _ in 0..<Int.random(in: 0...4, using: &random) where !bytes.isEmpty {
        let place = Int.random(in: bytes.indices, using: &random)
        bytes[place] =
          random.once(in: 3)
          ? UInt8.random(in: 192...223, using: &random) : UInt8(truncatingIfNeeded: random.next())
      }
      let kept = random.once(in: 3) ? Int.random(in: 0...bytes.count, using: &random) : bytes.count
      let timeNs = random.once(in: 5) ? random.next() : UInt64(step) * 1_000_000
      bytes.prefix(kept).withUnsafeBytes {
        if RTCPCompound($0.bytes, length: bytes.count) != nil { readable += 1 }
        reports.receive($0.bytes, length: bytes.count, timeNs: timeNs, times: &times)
      }
      reports.resolve(times)
    }
    let account = reports.account { _ in 90_000 }
    #expect(readable > 1000, "SR_SEED=\(random.seed): half of what is tried resembles RTCP")
    #expect(account.packets == UInt64(readable) && account.unreadable == UInt64(60_000 - readable))
    #expect(account.reports.count <= 3 && account.senders.count <= 3 && account.displaced > 0)
  }
}
