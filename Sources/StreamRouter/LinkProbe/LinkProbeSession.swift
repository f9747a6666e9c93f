import Topology

/// Probes one link: makes the test packets, takes their answers, and keeps the account (the session-sender of RFC 8762).
///
/// State machine without socket and clock: times and answers go in, packets and the account come out.
struct LinkProbeSession: Sendable {
  /// One moment by both clocks of the machine.
  struct Instant: Hashable, Sendable {
    /// Nanoseconds since 1970.
    var realtimeNs: UInt64
    /// By the clock that nobody sets.
    var monotonicNs: UInt64
  }

  /// A test packet that was sent.
  private struct Sent {
    var number: UInt64
    var time: TestTime
    var monotonicNs: UInt64
    var answer: Answer?
  }

  private struct Answer {
    /// The reflector's number.
    var number: UInt32
    /// nil where a clock was set while it was under way.
    var delays: Delays?
  }

  /// How long each way took by the clocks of its two ends, nanoseconds: their difference is part of it.
  private struct Delays {
    var forwardNs: Int64
    var backwardNs: Int64
  }

  /// An answer that takes longer is none.
  static let patienceNs: UInt64 = 2_000_000_000
  /// Both ways changing by so much at once, in opposite directions, is no network: a clock was set.
  private static let clockStepNs: UInt64 = 1_000_000
  /// Two clocks of one machine are not read at the same moment.
  private static let slackNs: Int64 = 1_000_000

  let probe: LinkProbe
  private(set) var account: LinkSnapshot
  private var clock = ClockOffset()
  /// The number of the next test packet, and of the first that is not yet known to be answered or lost.
  private var next: UInt64 = 0
  private var unjudged: UInt64 = 0
  /// The latest test packets, by their number: those that are waited for, and some whose answers tell which way a
  /// neighbour was lost.
  private var sent: [Sent?]

  init(_ probe: LinkProbe, port: UInt16) {
    self.probe = probe
    account = LinkSnapshot(
      peer: probe.peer, local: probe.local, remote: Endpoint(address: probe.remote, port: port),
      intervalMs: probe.intervalMs)
    let waited = Self.patienceNs / 1_000_000 / UInt64(max(1, probe.intervalMs))
    sent = Array(repeating: nil, count: Int(waited) + 24)
  }

  /// Why the link cannot be probed at the moment; an answer ends it.
  mutating func report(problem: String?) { account.problem = problem }

  private func place(_ number: UInt64) -> Int { Int(number % UInt64(sent.count)) }

  private func packet(_ number: UInt64) -> Sent? {
    guard let found = sent[place(number)], found.number == number else { return nil }
    return found
  }

  // MARK: Sending

  /// The next test packet, on its way at this moment.
  mutating func send(at now: Instant, quality: UInt16) -> TestPacket {
    judge(nowNs: now.monotonicNs)
    let time = TestTime(realtimeNs: now.realtimeNs)
    sent[place(next)] = Sent(number: next, time: time, monotonicNs: now.monotonicNs)
    account.sent += 1
    defer { next += 1 }
    return TestPacket(number: UInt32(truncatingIfNeeded: next), time: time, quality: quality)
  }

  /// Counts as lost what has waited too long, a little later than that: the answers behind it tell which way it was lost.
  private mutating func judge(nowNs: UInt64) {
    let hopeNs = Self.patienceNs + 8 * UInt64(account.intervalMs) * 1_000_000
    while unjudged < next {
      let isOverrun = unjudged + UInt64(sent.count) <= next
      if let packet = packet(unjudged), packet.answer == nil {
        let age = nowNs > packet.monotonicNs ? nowNs - packet.monotonicNs : 0
        guard age > Self.patienceNs || isOverrun else { return }
        switch direction(of: unjudged) {
        case .forward?: account.lostForward += 1
        case .backward?: account.lostBackward += 1
        case nil:
          guard age > hopeNs || isOverrun else { return }
          account.lostEither += 1
        }
      }
      unjudged += 1
    }
  }

  private enum Direction { case forward, backward }

  /// Which way a test packet was lost, from the answers before and behind it: the reflector counts what reaches it. Which
  /// of several neighbours it was does not matter.
  private func direction(of number: UInt64) -> Direction? {
    let oldest = next > UInt64(sent.count) ? next - UInt64(sent.count) : 0
    var before = number
    repeat {
      guard before > oldest else { return nil }
      before -= 1
    } while packet(before)?.answer == nil
    var behind = number
    repeat {
      behind += 1
      guard behind < next else { return nil }
    } while packet(behind)?.answer == nil
    guard let first = packet(before)?.answer?.number, let last = packet(behind)?.answer?.number else {
      return nil
    }
    let missing = behind - before - 1
    let reached = UInt64(last &- first)
    // It was started again, or answers in another order.
    guard reached > 0, reached <= missing + 1 else { return nil }
    return number - before <= missing - (reached - 1) ? .forward : .backward
  }

  // MARK: Answers

  /// Takes what came from the peer's address; `arrivedNs` is when, nanoseconds since 1970.
  mutating func take(_ bytes: UnsafeRawBufferPointer, arrivedNs: UInt64, monotonicNs: UInt64) {
    guard let answer = TestAnswer(bytes), let packet = packet(answered: answer) else {
      account.unexpected += 1
      return
    }
    if packet.answer != nil {
      account.duplicates += 1
      return
    }
    let age = monotonicNs > packet.monotonicNs ? monotonicNs - packet.monotonicNs : 0
    if packet.number < unjudged || age > Self.patienceNs {
      account.late += 1
      return
    }
    account.answered += 1
    account.lastAnswerNs = arrivedNs
    account.problem = nil
    let arrived = TestTime(realtimeNs: arrivedNs)
    let delays = Delays(
      forwardNs: answer.received.ns(since: packet.time), backwardNs: arrived.ns(since: answer.time))
    let roundTrip =
      arrived.ns(since: packet.time).subtractingReportingOverflow(answer.time.ns(since: answer.received))
    // Longer than it was away, or answered before it was sent: a clock was set meanwhile.
    let isPossible =
      !roundTrip.overflow && roundTrip.partialValue >= -Self.slackNs
      && roundTrip.partialValue <= Int64(clamping: age) + Self.slackNs
    sent[place(packet.number)]?.answer = Answer(number: answer.number, delays: isPossible ? delays : nil)
    guard isPossible else {
      account.clockSteps += 1
      return
    }
    measure(
      delays, roundTripNs: UInt64(max(0, roundTrip.partialValue)), of: packet.number, arrivedNs: arrivedNs)
  }

  /// The test packet that was answered: it must have been sent at that very time, which nobody else knows.
  private func packet(answered answer: TestAnswer) -> Sent? {
    let age = UInt64(UInt32(truncatingIfNeeded: next) &- answer.packet.number)
    guard age > 0, age <= min(next, UInt64(sent.count)), let found = packet(next - age),
      found.time == answer.packet.time
    else { return nil }
    return found
  }

  private mutating func measure(_ delays: Delays, roundTripNs: UInt64, of number: UInt64, arrivedNs: UInt64) {
    account.roundTrip.record(roundTripNs)
    if number > 0, let former = packet(number - 1)?.answer?.delays {
      let forward = delays.forwardNs &- former.forwardNs
      let backward = delays.backwardNs &- former.backwardNs
      let isStep =
        min(forward.magnitude, backward.magnitude) > Self.clockStepNs && (forward < 0) != (backward < 0)
        && (forward &+ backward).magnitude < forward.magnitude / 20
      if isStep {
        account.clockSteps += 1
        clock = ClockOffset()
      } else {
        account.ipdvForward.record(forward.magnitude, atNs: arrivedNs)
        account.ipdvBackward.record(backward.magnitude, atNs: arrivedNs)
      }
    }
    clock.take(offsetNs: (delays.forwardNs &- delays.backwardNs) / 2, errorNs: roundTripNs / 2 + 1)
    (account.clockOffsetNs, account.clockErrorNs) = (clock.offsetNs, clock.errorNs)
  }
}
