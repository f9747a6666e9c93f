/// Extended sequence numbers and what they tell: expected, received, lost, duplicated and reordered packets, over
/// wraps and restarts.
///
/// It judges nothing by itself: ``SourceAccount`` says what each number told, here it is counted. A restart begins
/// a new run of numbers, and expected packets are those of all runs together.
public struct SequenceAccount: Hashable, Sendable {
  /// Positions back that arrivals are remembered for: as many as ``SourceAccount`` has in its window.
  static let windowWidth = 128

  /// Packets expected in runs before the present one.
  private var expectedBefore: UInt64 = 0
  /// The present run's lowest extended number. Numbers of a run start at 2^17, so that late packets from before
  /// the first, and from before the wrap before it, have numbers too.
  private var lowest: UInt64
  /// The lowest number of the first run.
  private var firstLowest: UInt64
  /// The present run's highest extended number.
  private(set) var highest: UInt64
  /// Packets received that are no duplicates and were not out of range.
  public private(set) var received: UInt64 = 1
  public private(set) var duplicates: UInt64 = 0
  /// Packets whose number lay outside the range that is believed, and was not confirmed (RFC 3550 appendix A.1).
  public private(set) var outOfRange: UInt64 = 0
  /// Runs that were begun anew.
  public private(set) var restarts: UInt64 = 0
  public private(set) var reordering = ReorderingAccount()
  /// Bursts and gaps up to the numbers that can still arrive.
  private var decided = LossPattern()
  /// Bit i: whether `highest - i` arrived.
  private var window: UInt128 = 1
  /// Bits of the window that stand for numbers of this run.
  private var known: UInt64 = 1

  /// The account after the first packet.
  public init(sequence: UInt16, arrivalNs: UInt64) {
    highest = 0x20000 | UInt64(sequence)
    lowest = highest
    firstLowest = highest
    reordering.advance(by: 1, arrivalNs: arrivalNs)
  }

  /// The highest extended sequence number: the count of wraps of this run in the high bits, the number itself in
  /// the low 16 (RFC 3550 section 6.4.1).
  public var extendedHighest: UInt64 { highest - 0x20000 }
  /// Packets that the numbers say were sent: highest minus lowest plus one, of each run.
  public var expected: UInt64 { expectedBefore + highest - lowest + 1 }
  /// Packets expected and not received.
  public var lost: UInt64 { expected > received ? expected - received : 0 }

  /// Bursts and gaps, the numbers that can still arrive taken for lost where they did not.
  public var pattern: LossPattern {
    var pattern = decided
    Self.decide(bits: window, count: known, into: &pattern)
    pattern.finish()
    return pattern
  }

  /// Counts what a further packet told.
  public mutating func receive(_ arrival: SourceAccount.Arrival, sequence: UInt16, arrivalNs: UInt64) {
    switch arrival {
    case .first: break
    case .inOrder: advance(by: 1, arrivalNs: arrivalNs)
    case .gap(let missing): advance(by: UInt64(missing) + 1, arrivalNs: arrivalNs)
    case .late: late(behind: UInt64(UInt16(truncatingIfNeeded: highest) &- sequence), arrivalNs: arrivalNs)
    case .duplicate: duplicates += 1
    case .suspect: outOfRange += 1
    case .restart: restart(sequence: sequence, arrivalNs: arrivalNs)
    }
  }

  private mutating func advance(by step: UInt64, arrivalNs: UInt64) {
    received += 1
    highest += step
    // Numbers that leave the window are decided, the oldest first: those that it held, and what was skipped so far
    // that it never comes into the window.
    let leaving = known + step > UInt64(Self.windowWidth) ? known + step - UInt64(Self.windowWidth) : 0
    let held = min(leaving, known)
    if held > 0 { Self.decide(bits: window >> UInt128(known - held), count: held, into: &decided) }
    for _ in held..<max(held, leaving) { decided.lost() }
    window = window << UInt128(step) | 1
    known = min(known + step, UInt64(Self.windowWidth))
    reordering.advance(by: step, arrivalNs: arrivalNs)
  }

  /// Feeds the low `count` bits to the pattern, the highest of them first.
  private static func decide(bits: UInt128, count: UInt64, into pattern: inout LossPattern) {
    for position in (0..<count).reversed() {
      if bits >> UInt128(position) & 1 == 1 { pattern.received() } else { pattern.lost() }
    }
  }

  private mutating func late(behind: UInt64, arrivalNs: UInt64) {
    received += 1
    guard behind < UInt64(Self.windowWidth) else { return }
    window |= 1 << UInt128(behind)
    known = max(known, behind + 1)
    lowest = min(lowest, highest - behind)
    if restarts == 0 { firstLowest = min(firstLowest, lowest) }
    reordering.late(behind: Int(behind), arrivalNs: arrivalNs)
  }

  private mutating func restart(sequence: UInt16, arrivalNs: UInt64) {
    expectedBefore = expected
    Self.decide(bits: window, count: known, into: &decided)
    restarts += 1
    // The packet before it, which was suspect, was the first of this run.
    outOfRange -= min(outOfRange, 1)
    received += 2
    lowest = 0x20000 | UInt64(sequence &- 1)
    highest = lowest + 1
    window = 0b11
    known = 2
    reordering.restart(arrivalNs: arrivalNs)
  }

  /// Takes in a later part of the same source, whose first packets may lie somewhat before our last ones.
  ///
  /// Packets are expected from our lowest number to the other's highest, so that what both together received is no
  /// loss. Reordering across the border is not seen. A part that starts where no packet would be believed
  /// (RFC 3550 appendix A.1) is a restart.
  public mutating func merge(_ later: SequenceAccount) {
    let apart = UInt16(truncatingIfNeeded: later.firstLowest) &- UInt16(truncatingIfNeeded: highest)
    let behind = 0 &- apart
    let between = Int64(Int16(bitPattern: apart)) - 1
    let isBelieved = apart < SourceAccount.maxDropout || behind <= SourceAccount.maxMisorder
    var pattern = self.pattern
    if isBelieved, between > 0 { for _ in 0..<between { pattern.lost() } }
    pattern.merge(later.decided)
    let all = Int64(expected + later.expected) + (isBelieved ? between : 0)

    var merged = later
    if isBelieved, later.restarts == 0 {
      // Our count of wraps goes on.
      merged.highest = UInt64(Int64(highest) + between + 1) + later.highest - later.lowest
      merged.lowest = merged.highest - (later.highest - later.lowest)
    }
    merged.firstLowest = firstLowest
    merged.expectedBefore = UInt64(max(0, all - Int64(merged.highest - merged.lowest) - 1))
    merged.received += received
    merged.duplicates += duplicates
    merged.outOfRange += outOfRange
    merged.restarts += restarts + (isBelieved ? 0 : 1)
    merged.decided = pattern
    merged.reordering.merge(earlier: reordering)
    self = merged
  }
}
