import TestSupport
import JitterStats
import Testing

/// Several SSRCs on one relay, and what must hold for any arrivals.
@Suite struct FlowAccountTests {
  private func header(_ ssrc: UInt32, _ sequence: UInt16, _ timestamp: UInt32 = 0) -> RTPHeader {
    RTPHeader(sequence: sequence, timestamp: timestamp, ssrc: ssrc)
  }

  @Test func onlyFurtherSourcesAreRestarts() {
    var flow = FlowAccount()
    #expect(flow.current == nil)
    #expect(
      flow.receive(header(1, 10), arrivalNs: 1, clockRate: 8_000) == .init(arrival: .first, isRestart: false))
    #expect(
      flow.receive(header(1, 11), arrivalNs: 2, clockRate: 8_000) == .init(arrival: .inOrder, isRestart: false))
    #expect(
      flow.receive(header(2, 99), arrivalNs: 3, clockRate: 8_000) == .init(arrival: .first, isRestart: true))
    #expect(flow.current?.ssrc == 2)
    // Back to the first one: its state was kept.
    #expect(
      flow.receive(header(1, 12), arrivalNs: 4, clockRate: 8_000) == .init(arrival: .inOrder, isRestart: false))
    #expect(flow.current?.ssrc == 1)
  }

  @Test func aConfirmedJumpIsARestart() {
    var flow = FlowAccount()
    _ = flow.receive(header(1, 10), arrivalNs: 1, clockRate: 8_000)
    #expect(
      flow.receive(header(1, 9_000), arrivalNs: 2, clockRate: 8_000)
        == .init(arrival: .suspect, isRestart: false))
    #expect(
      flow.receive(header(1, 9_001), arrivalNs: 3, clockRate: 8_000)
        == .init(arrival: .restart, isRestart: true))
  }

  @Test func theFifthTakesThePlaceOfTheLongestSilent() {
    var flow = FlowAccount()
    for ssrc in 1...4 {
      _ = flow.receive(header(UInt32(ssrc), 1), arrivalNs: UInt64(ssrc), clockRate: 8_000)
    }
    // 1 speaks again, so 2 is the longest silent.
    _ = flow.receive(header(1, 2), arrivalNs: 10, clockRate: 8_000)
    #expect(flow.receive(header(5, 1), arrivalNs: 11, clockRate: 8_000).arrival == .first)
    for ssrc: UInt32 in [1, 3, 4, 5] {
      let next: UInt16 = ssrc == 1 ? 3 : 2
      #expect(flow.receive(header(ssrc, next), arrivalNs: 12, clockRate: 8_000).arrival == .inOrder)
    }
    #expect(
      flow.receive(header(2, 2), arrivalNs: 13, clockRate: 8_000) == .init(arrival: .first, isRestart: true))
  }

  @Test func anSSRCKeepsTheClockOfItsFirstPacket() {
    var flow = FlowAccount()
    _ = flow.receive(header(1, 1, 0), arrivalNs: 0, clockRate: 8_000)
    _ = flow.receive(header(1, 2, 160), arrivalNs: 20_000_000, clockRate: 90_000)
    #expect(flow.current?.clockRate == 8_000)
    #expect(flow.current?.jitter.q4Ns == 0)
  }

  /// Received once + lost = expected, whatever is lost, doubled or late within the window.
  @Test(arguments: 0..<20) func everySequenceNumberIsAccountedOnce(round: Int) {
    var random = SeededRandom()
    for _ in 0..<round { _ = random.next() }
    let first = UInt16.random(in: 0 ... .max, using: &random)
    let expected = 5_000
    // Each packet is lost, or sent at its own place, up to 40 places later, and perhaps twice.
    var arrivals: [(place: Int, sequence: UInt16)] = []
    var distinct: Set<UInt16> = []
    for index in 0..<expected {
      let sequence = first &+ UInt16(index)
      // The ends arrive, so that the highest and the lowest number are known.
      let isEnd = index == 0 || index == expected - 1
      if !isEnd, Int.random(in: 0..<10, using: &random) == 0 { continue }
      let delay = isEnd || Bool.random(using: &random) ? 0 : Int.random(in: 0...40, using: &random)
      distinct.insert(sequence)
      arrivals.append((index + delay, sequence))
      if !isEnd, Int.random(in: 0..<10, using: &random) == 0 {
        arrivals.append((index + delay + Int.random(in: 0...40, using: &random), sequence))
      }
    }
    // A stable order: the first stays first.
    let ordered = arrivals.enumerated().sorted { ($0.element.place, $0.offset) < ($1.element.place, $1.offset) }
    var flow = FlowAccount()
    var unique = 0
    var missing = 0
    var late = 0
    var duplicates = 0
    for (place, arrival) in ordered.enumerated() {
      let outcome = flow.receive(
        header(1, arrival.element.sequence), arrivalNs: UInt64(place), clockRate: 90_000)
      switch outcome.arrival {
      case .first, .inOrder: unique += 1
      case .gap(let count):
        unique += 1
        missing += Int(count)
      case .late:
        unique += 1
        late += 1
      case .duplicate: duplicates += 1
      case .suspect, .restart: Issue.record("no step was that large; SR_SEED=\(random.seed)")
      }
    }
    #expect(unique == distinct.count, "SR_SEED=\(random.seed)")
    #expect(unique + missing - late == expected, "SR_SEED=\(random.seed)")
    #expect(unique + duplicates == arrivals.count, "SR_SEED=\(random.seed)")
  }

  /// Sources do not disturb each other: merged on one relay they give what each gives alone.
  @Test(arguments: 0..<20) func mergedSourcesAreAccountedLikeEachAlone(round: Int) {
    var random = SeededRandom()
    for _ in 0..<round { _ = random.next() }
    var merged = FlowAccount()
    var alone: [UInt32: FlowAccount] = [:]
    var sequence: [UInt32: UInt16] = [:]
    for step in 0..<4_000 {
      let ssrc = UInt32.random(in: 0..<4, using: &random)
      let next = sequence[ssrc, default: UInt16(truncatingIfNeeded: random.next())] &+ 1
      sequence[ssrc] = next
      let jump: UInt16 =
        Int.random(in: 0..<50, using: &random) == 0 ? .random(in: 0 ... .max, using: &random) : 0
      let packet = header(ssrc, next &+ jump, UInt32(step) &* 3_000)
      let arrivalNs = UInt64(step) * 1_000_000 + UInt64.random(in: 0..<900_000, using: &random)
      let together = merged.receive(packet, arrivalNs: arrivalNs, clockRate: 90_000)
      let single = alone[ssrc, default: FlowAccount()].receive(packet, arrivalNs: arrivalNs, clockRate: 90_000)
      #expect(together.arrival == single.arrival, "SR_SEED=\(random.seed)")
      #expect(merged.current == alone[ssrc]?.current, "SR_SEED=\(random.seed)")
    }
  }

  /// No input traps, and the estimate stays within the largest difference that it takes in.
  @Test func anyHeaderAtAnyTimeIsAccounted() {
    var random = SeededRandom()
    var flow = FlowAccount()
    for _ in 0..<100_000 {
      let packet = RTPHeader(
        payloadType: UInt8(truncatingIfNeeded: random.next()) & 0x7f,
        sequence: UInt16(truncatingIfNeeded: random.next()),
        timestamp: UInt32(truncatingIfNeeded: random.next()),
        ssrc: UInt32.random(in: 0..<6, using: &random))
      _ = flow.receive(
        packet, arrivalNs: random.next(), clockRate: PayloadClock.rate(payloadType: packet.payloadType))
      #expect(
        flow.current!.jitter.q4Ns <= JitterFilter.discontinuityNs * 16 + 8, "SR_SEED=\(random.seed)")
    }
  }
}
