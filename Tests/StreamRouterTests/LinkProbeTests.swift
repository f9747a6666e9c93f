import TestSupport
import Testing
import Topology

@testable import StreamRouter

/// Two ends of a link without sockets: what is lost, when, and what the account says of it.
private struct Link {
  var session: LinkProbeSession
  var reflector: LinkReflector
  /// By the sender's clock; the reflector's is `offsetNs` ahead.
  var nowNs: UInt64 = 1_795_000_000_000_000_000
  /// By the clock that nobody sets.
  var monotonicNs: UInt64 = 5_000_000_000
  var offsetNs: Int64 = 0
  let source = Endpoint("10.0.0.1:40000")!

  init(intervalMs: Int = 200) {
    let probe = LinkProbe(
      peer: "edge", local: IPAddress("10.0.0.1")!, remote: IPAddress("10.0.0.2")!, intervalMs: intervalMs)
    session = LinkProbeSession(probe, port: 8622)
    reflector = LinkReflector(peers: [probe.local])
  }

  var account: LinkSnapshot { session.account }

  mutating func pass(ns: UInt64) {
    nowNs += ns
    monotonicNs += ns
  }

  /// The answer to the next test packet, as bytes, with the clock where it was; nil where either is lost.
  mutating func exchange(
    thereNs: UInt64 = 1_000_000, backNs: UInt64 = 2_000_000, waitNs: UInt64 = 50_000, lost: Lost? = nil
  ) -> [UInt8]? {
    let packet = session.send(at: .init(realtimeNs: nowNs, monotonicNs: monotonicNs), quality: 0)
    if lost == .forward { return nil }
    pass(ns: thereNs)
    let theirs = UInt64(Int64(nowNs) + offsetNs)
    var answer = packet.encoded.withUnsafeBytes {
      reflector.answer($0, from: source, hopLimit: 254, arrivedNs: theirs, monotonicNs: monotonicNs)
    }
    pass(ns: waitNs)
    answer?.time = TestTime(realtimeNs: UInt64(Int64(nowNs) + offsetNs))
    pass(ns: backNs)
    return lost == .backward ? nil : answer?.encoded
  }

  /// The same, where nothing is lost.
  mutating func answer() throws -> [UInt8] {
    let answer = exchange()
    return try #require(answer)
  }

  enum Lost { case forward, backward }

  mutating func take(_ bytes: [UInt8]) {
    let (now, monotonic) = (nowNs, monotonicNs)
    bytes.withUnsafeBytes { session.take($0, arrivedNs: now, monotonicNs: monotonic) }
  }

  /// A whole interval with one test packet.
  mutating func round(thereNs: UInt64 = 1_000_000, backNs: UInt64 = 2_000_000, lost: Lost? = nil) {
    let began = monotonicNs
    if let answer = exchange(thereNs: thereNs, backNs: backNs, lost: lost) { take(answer) }
    pass(ns: UInt64(session.probe.intervalMs) * 1_000_000 - (monotonicNs - began))
  }
}

@Suite struct LinkProbeSessionTests {
  @Test func aWholeLinkHasARoundTripAndNoLoss() {
    var link = Link()
    for _ in 0..<100 { link.round() }
    let account = link.account
    #expect(account.sent == 100 && account.answered == 100 && account.lost == 0)
    #expect(account.roundTrip.total == 100)
    // 3 ms there and back; what the peer took is not part of it.
    #expect((2_999_000...3_001_000).contains(account.roundTrip.maxNs))
    #expect(account.ipdvForward.durations.total == 99 && account.ipdvForward.durations.maxNs < 10)
    #expect(account.clockSteps == 0 && account.unexpected == 0)
    #expect(link.reflector.answered(link.session.probe.local) == 100)
  }

  /// Each direction by itself, whatever the pattern.
  @Test func lossIsToldByDirection() {
    var random = SeededRandom()
    for _ in 0..<200 {
      var link = Link(intervalMs: [10, 50, 200, 1000, 5000].randomElement(using: &random)!)
      var (forward, backward) = (UInt64(0), UInt64(0))
      // Lost one after the other, and those of such gaps behind which nothing comes for eight intervals.
      var (gap, tooLong) = (UInt64(0), UInt64(0))
      link.round()
      for _ in 0..<300 {
        let lost: Link.Lost? = [nil, nil, nil, .forward, .backward].randomElement(using: &random)!
        forward += lost == .forward ? 1 : 0
        backward += lost == .backward ? 1 : 0
        gap = lost == nil ? 0 : gap + 1
        tooLong += gap > 8 ? 1 : 0
        link.round(lost: lost)
      }
      // Until all is judged.
      for _ in 0..<500 { link.round() }
      let account = link.account
      #expect(account.sent == account.answered + account.lost, "seed \(random.seed)")
      #expect(account.lost == forward + backward, "seed \(random.seed)")
      // So long the answers behind a gap are waited for.
      #expect(account.lostForward <= forward && account.lostBackward <= backward, "seed \(random.seed)")
      #expect(account.lostEither <= tooLong, "seed \(random.seed)")
    }
  }

  @Test func silenceIsLossWithoutDirection() {
    var link = Link()
    for _ in 0..<10 { link.round() }
    for _ in 0..<100 { link.round(lost: .forward) }
    let account = link.account
    #expect(account.lostForward == 0 && account.lostBackward == 0)
    // All but those that are still waited for.
    #expect((78...88).contains(account.lostEither))
  }

  @Test func answersThatComeLateOrTwiceDoNotCount() throws {
    var link = Link()
    let first = try link.answer()
    link.take(first)
    link.take(first)
    #expect(link.account.answered == 1 && link.account.duplicates == 1)
    let late = try link.answer()
    link.pass(ns: 2_100_000_000)
    link.take(late)
    #expect(link.account.answered == 1 && link.account.late == 1)
    for _ in 0..<20 { link.round() }
    #expect(link.account.lost == 1 && link.account.answered == 21)
    link.take(late)
    #expect(link.account.late + link.account.unexpected == 2)
  }

  @Test func nobodyElseCanAnswer() throws {
    var link = Link()
    var answer = try link.answer()
    // Another time of sending than the real one.
    answer[34] ^= 1
    link.take(answer)
    link.take([])
    link.take(Array(repeating: 0xff, count: 44))
    link.take(Array(repeating: 0, count: 43))
    #expect(link.account.answered == 0 && link.account.unexpected == 4)
  }

  @Test func theClocksDifferenceLiesWithinItsError() throws {
    var random = SeededRandom()
    for _ in 0..<200 {
      var link = Link()
      link.offsetNs = Int64.random(in: -86_400_000_000_000...86_400_000_000_000, using: &random)
      for _ in 0..<12 {
        link.round(
          thereNs: .random(in: 10_000...20_000_000, using: &random),
          backNs: .random(in: 10_000...20_000_000, using: &random))
      }
      let offset = try #require(link.account.clockOffsetNs)
      let error = try #require(link.account.clockErrorNs)
      #expect((offset - link.offsetNs).magnitude <= error + 2, "seed \(random.seed)")
    }
  }

  @Test func delayVariationIsToldByDirection() {
    var link = Link()
    for number in 0..<50 { link.round(thereNs: number % 2 == 0 ? 1_000_000 : 1_700_000) }
    #expect((699_990...700_010).contains(link.account.ipdvForward.durations.maxNs))
    #expect(link.account.ipdvBackward.durations.maxNs < 10)
    #expect(link.account.ipdvForward.maxAtNs > 0)
  }

  /// A clock that is set is no delay of the network.
  @Test(arguments: [-3_600_000_000_000, -5_000_000, 5_000_000, 31_536_000_000_000_000] as [Int64])
  func aClockThatIsSetIsNoDelay(_ stepNs: Int64) throws {
    var link = Link()
    for _ in 0..<20 { link.round() }
    link.offsetNs += stepNs
    for _ in 0..<20 { link.round() }
    #expect(link.account.clockSteps == 1)
    #expect(link.account.ipdvForward.durations.maxNs < 10 && link.account.ipdvBackward.durations.maxNs < 10)
    #expect((try #require(link.account.clockOffsetNs) - stepNs).magnitude < 2_000_000)
    // Our own, while a test packet is under way.
    let answer = try link.answer()
    link.nowNs = UInt64(Int64(link.nowNs) + stepNs)
    link.take(answer)
    #expect(link.account.clockSteps == 2)
    #expect(link.account.roundTrip.maxNs < 4_000_000)
  }

  /// The peer's daemon was started again: it counts from 0.
  @Test func aReflectorThatBeginsAnewLosesNothing() {
    var link = Link()
    for _ in 0..<50 { link.round() }
    link.reflector = LinkReflector(peers: [link.session.probe.local])
    for _ in 0..<50 { link.round() }
    #expect(link.account.answered == 100 && link.account.lost == 0)
  }

  /// Bytes of a peer that was taken over: anything, and nothing traps.
  @Test func anyAnswerIsTaken() {
    var random = SeededRandom()
    var link = Link()
    for _ in 0..<5_000 {
      guard var answer = link.exchange(thereNs: 1000, backNs: 1000) else { continue }
      for place in [Int](0..<24) + [14, 15, 38, 39, 40, 41, 42, 43] where Bool.random(using: &random) {
        answer[place] = .random(in: 0...255, using: &random)
      }
      link.take(answer)
      link.pass(ns: 100_000_000)
    }
    #expect(link.account.answered > 0, "seed \(random.seed)")
  }
}

@Suite struct LinkReflectorTests {
  private static let packet = TestPacket(number: 7, time: TestTime(raw: 0x0102_0304_0506_0708), quality: 0x8001)

  @Test func onlyPeersAreAnswered() throws {
    var reflector = LinkReflector(peers: [IPAddress("10.0.0.1")!, IPAddress("fd00::1")!])
    func answer(_ source: String, _ bytes: [UInt8], nowNs: UInt64 = 1) -> TestAnswer? {
      bytes.withUnsafeBytes {
        reflector.answer($0, from: Endpoint(source)!, hopLimit: 255, arrivedNs: 0, monotonicNs: nowNs)
      }
    }
    let bytes = Self.packet.encoded
    #expect(answer("10.0.0.9:862", bytes) == nil)
    #expect(answer("10.0.0.1:862", Array(bytes.dropLast())) == nil)
    let found = answer("10.0.0.1:862", bytes)
    let first = try #require(found)
    #expect(first.number == 0 && first.packet == Self.packet && first.hopLimit == 255)
    #expect(answer("10.0.0.1:862", bytes + [1, 2, 3])?.number == 1)
    #expect(answer("[fd00::1]:862", bytes)?.number == 0)
    // Another session of the sender.
    #expect(answer("10.0.0.1:863", bytes)?.number == 0)
    #expect(reflector.answered(IPAddress("10.0.0.1")!) == 3)
  }

  /// Whoever sends in a peer's name gets so many answers sent there, no more.
  @Test func aFloodIsNotAnswered() {
    var reflector = LinkReflector(peers: [IPAddress("10.0.0.1")!])
    var answers = 0
    let bytes = Self.packet.encoded
    for number in 0..<100_000 {
      let answer = bytes.withUnsafeBytes {
        reflector.answer(
          $0, from: Endpoint("10.0.0.1:862")!, hopLimit: 1, arrivedNs: 0,
          monotonicNs: 1_000_000_000 + UInt64(number) * 100_000)
      }
      answers += answer == nil ? 0 : 1
    }
    // Ten seconds.
    #expect((2_000...2_200).contains(answers))
  }

  @Test func peersComeAndGo() {
    let (a, b) = (IPAddress("10.0.0.1")!, IPAddress("10.0.0.2")!)
    var reflector = LinkReflector(peers: [a])
    func answer(_ address: IPAddress) -> TestAnswer? {
      Self.packet.encoded.withUnsafeBytes {
        reflector.answer(
          $0, from: Endpoint(address: address, port: 5), hopLimit: 1, arrivedNs: 0, monotonicNs: 1)
      }
    }
    #expect(answer(a)?.number == 0 && answer(b) == nil)
    reflector.follow(peers: [a, b])
    #expect(answer(a)?.number == 1 && answer(b)?.number == 0)
    reflector.follow(peers: [b])
    #expect(answer(a) == nil)
  }
}

@Suite struct TestPacketTests {
  /// RFC 8762 figures 2 and 4, byte by byte.
  @Test func packetsAreLaidOutAsTheStandardSays() throws {
    let packet = TestPacket(number: 0x0102_0304, time: TestTime(raw: 0x1112_1314_1516_1718), quality: 0x8a0b)
    let bytes = packet.encoded
    #expect(bytes.count == 44)
    #expect(
      bytes.prefix(14) == [1, 2, 3, 4, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x8a, 0x0b])
    #expect(bytes.dropFirst(14).allSatisfy { $0 == 0 })
    let answer = TestAnswer(
      number: 5, time: TestTime(raw: 6), quality: 0x0102, received: TestTime(raw: 7), packet: packet,
      hopLimit: 9)
    let coded = answer.encoded
    #expect(coded.count == 44)
    #expect(Array(coded[0..<16]) == [0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 6, 1, 2, 0, 0])
    #expect(Array(coded[16..<24]) == [0, 0, 0, 0, 0, 0, 0, 7])
    #expect(Array(coded[24..<38]) == Array(bytes.prefix(14)))
    #expect(Array(coded[38...]) == [0, 0, 9, 0, 0, 0])
    #expect(coded.withUnsafeBytes { TestAnswer($0) } == answer)
    #expect(bytes.withUnsafeBytes { TestPacket($0) } == packet)
  }

  @Test func timesAreThoseOfNTP() {
    // 2036-02-07 06:28:16 UTC: seconds since 1900 come round.
    let before = TestTime(realtimeNs: 2_085_978_495_500_000_000)
    let after = TestTime(realtimeNs: 2_085_978_497_000_000_000)
    #expect(after.raw < before.raw)
    #expect((1_499_999_999...1_500_000_001).contains(after.ns(since: before)))
    #expect((-1_500_000_001 ... -1_499_999_999).contains(before.ns(since: after)))
    #expect(TestTime(realtimeNs: 500_000_000).raw == (2_208_988_800 as UInt64) << 32 | 1 << 31)
  }

  @Test func clockErrorsAreRoundedUp() {
    var random = SeededRandom()
    for bits in 0..<64 {
      let errorNs = UInt64.random(in: 0...(UInt64.max >> UInt64(63 - bits)), using: &random)
      let field = ClockQuality(isSynchronised: bits % 2 == 0, errorNs: errorNs).field
      #expect(field & 0x8000 == (bits % 2 == 0 ? 0x8000 : 0) && field & 0x4000 == 0 && field & 0xff > 0)
      let said =
        Double(field & 0xff) * Double(sign: .plus, exponent: Int(field >> 8 & 0x3f) - 32, significand: 1)
      #expect(
        said >= Double(errorNs) / 1e9 && said <= max(4e-9, Double(errorNs) / 1e9 * 1.3 + 1.1), "\(errorNs)")
    }
  }
}
