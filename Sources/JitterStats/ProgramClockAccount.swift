/// The program clock references (PCR) of one PID: how often they come, whether they go on, and how evenly they arrive.
///
/// ``overallJitter`` is measured like PCR_OJ of ETSI TR 101 290 section 5.3.2, arrival against value,
/// but without its filters: from all references of one time base the straight line of least squares is taken away
/// (offset and drift of the sender's clock), and what remains is given from its lowest to its highest point. A
/// reference arrives with its datagram, so that a sender that puts seven packets into one adds up to the time
/// between two datagrams.
public struct ProgramClockAccount: Sendable {
  /// Units of 27 MHz in a second.
  public static let ticksPerSecond = 27_000_000.0
  /// Where the 33 bits of the base wrap (ISO/IEC 13818-1 section 2.4.3.5): after 26.5 hours.
  static let wrapTicks: Int64 = 300 << 33
  /// Most that two references may lie apart: 40 ms (TR 101 290 2.3a, PCR_repetition_error).
  static let repetitionTicks: Int64 = 27_000 * 40
  /// A step back, or of more than 100 ms, must be announced (TR 101 290 2.3b, PCR_discontinuity_indicator_error).
  static let discontinuityTicks: Int64 = 27_000 * 100

  private struct Reference: Hashable, Sendable {
    var ticks: UInt64
    var arrivalNs: UInt64
    var isDiscontinuous: Bool
  }

  /// What one reference told.
  public enum Step: Hashable, Sendable {
    /// The time base went on by that many ticks.
    case ticks(Int64)
    /// It began anew.
    case restart
  }

  public let pid: UInt16
  /// References so far.
  public private(set) var count: UInt64 = 1
  /// Intervals above 40 ms.
  public private(set) var repetitionErrors: UInt64 = 0
  /// Steps back or of more than 100 ms that no discontinuity_indicator announced.
  public private(set) var discontinuityErrors: UInt64 = 0
  /// Steps that discontinuity_indicator announced.
  public private(set) var announcedDiscontinuities: UInt64 = 0
  /// How often the time base began anew, announced or not.
  public private(set) var restarts: UInt64 = 0
  /// The largest step, and when it ended; nil before the second reference.
  public private(set) var largestInterval: DelayDistribution.Peak?
  /// How much the time between arrivals differs from the time between the references' values.
  public private(set) var stepJitter = DelayDistribution()

  private var first: Reference
  private var latest: Reference
  // The present time base.
  private var origin: Reference
  private var elapsedTicks: Int64 = 0
  private var fit = ClockFit()
  private var lateness = Envelope()
  /// Of the time bases before.
  private var formerJitter: DelayDistribution.Peak?

  /// The account after the first reference of a PID.
  public init(pid: UInt16, ticks: UInt64, arrivalNs: UInt64, isDiscontinuous: Bool) {
    self.pid = pid
    first = Reference(ticks: ticks, arrivalNs: arrivalNs, isDiscontinuous: isDiscontinuous)
    latest = first
    origin = first
    record(arrivalNs: arrivalNs)
  }

  /// Accounts for one more reference.
  @discardableResult
  public mutating func receive(ticks: UInt64, arrivalNs: UInt64, isDiscontinuous: Bool) -> Step {
    count += 1
    let reference = Reference(ticks: ticks, arrivalNs: arrivalNs, isDiscontinuous: isDiscontinuous)
    let step = judge(reference)
    latest = reference
    switch step {
    case .ticks(let ticks): elapsedTicks = elapsedTicks.saturatingAdd(ticks)
    case .restart:
      formerJitter = overallJitter
      origin = reference
      elapsedTicks = 0
      fit = ClockFit()
      lateness = Envelope()
    }
    record(arrivalNs: arrivalNs)
    return step
  }

  /// What lies between the latest reference and one more.
  private mutating func judge(_ next: Reference) -> Step {
    guard !next.isDiscontinuous else {
      announcedDiscontinuities += 1
      restarts += 1
      return .restart
    }
    var ticks = (Int64(bitPattern: next.ticks) - Int64(bitPattern: latest.ticks)) % Self.wrapTicks
    if ticks > Self.wrapTicks / 2 { ticks -= Self.wrapTicks }
    if ticks < -Self.wrapTicks / 2 { ticks += Self.wrapTicks }
    let stepNs = Self.nanoseconds(ticks)
    let apartNs = Int64(bitPattern: next.arrivalNs &- latest.arrivalNs)
    let differenceNs = apartNs.saturatingSubtract(stepNs).magnitude
    if ticks < 0 || ticks > Self.discontinuityTicks {
      discontinuityErrors += 1
      // Where packets were lost or overtook each other, arrivals step like the references: the time base is the same.
      if differenceNs > UInt64(Self.nanoseconds(Self.discontinuityTicks)) {
        restarts += 1
        return .restart
      }
    }
    if ticks > Self.repetitionTicks { repetitionErrors += 1 }
    if stepNs > 0, UInt64(stepNs) > largestInterval?.valueNs ?? 0 {
      largestInterval = .init(valueNs: UInt64(stepNs), atNs: next.arrivalNs)
    }
    stepJitter.record(differenceNs, atNs: next.arrivalNs)
    return .ticks(ticks)
  }

  private mutating func record(arrivalNs: UInt64) {
    let arrival = Double(Int64(bitPattern: arrivalNs &- origin.arrivalNs)) / 1e9
    let sent = Double(elapsedTicks) / Self.ticksPerSecond
    fit.record(arrivalSeconds: arrival, sentSeconds: sent)
    lateness.record(x: arrival, y: arrival - sent)
  }

  /// To the nearest; ticks are less than ``wrapTicks``, so that the product fits.
  static func nanoseconds(_ ticks: Int64) -> Int64 {
    (ticks * 1000 + (ticks < 0 ? -13 : 13)) / 27
  }

  /// Parts per million that the sender's clock is fast, in the present time base; nil where references are too few.
  public var driftPpm: Double? { fit.count > 1 ? fit.slope.map { ($0 - 1) * 1e6 } : nil }

  /// From the earliest to the latest reference against the straight line, and when the latest came: of the time base
  /// in which this was largest.
  public var overallJitter: DelayDistribution.Peak? {
    guard count > 1, let extremes = lateness.extremes(slope: 1 - (fit.slope ?? 1)) else { return formerJitter }
    let jitterNs = (extremes.highest.y - extremes.lowest.y) * 1e9
    let peak = DelayDistribution.Peak(
      valueNs: UInt64(max(0, min(jitterNs, 0x1p62))),
      atNs: origin.arrivalNs &+ UInt64(bitPattern: Int64(max(-0x1p62, min(extremes.highest.x * 1e9, 0x1p62)))))
    guard let formerJitter, formerJitter.valueNs > peak.valueNs else { return peak }
    return formerJitter
  }

  /// Takes in what another account of this PID saw later. Where it begins in our time base and ends in it, both lie
  /// on one line; else each has its own.
  public mutating func merge(_ later: ProgramClockAccount) {
    let step = judge(later.first)
    if case .ticks(let ticks) = step, later.restarts == 0 {
      let apart = Double(Int64(bitPattern: later.origin.arrivalNs &- origin.arrivalNs)) / 1e9
      let before = elapsedTicks.saturatingAdd(ticks)
      let sent = Double(before) / Self.ticksPerSecond
      fit.merge(later.fit, arrivalOffset: apart, sentOffset: sent)
      lateness.merge(later.lateness, x: apart, y: apart - sent)
      elapsedTicks = before.saturatingAdd(later.elapsedTicks)
    } else {
      formerJitter = overallJitter
      (origin, elapsedTicks, fit, lateness) = (later.origin, later.elapsedTicks, later.fit, later.lateness)
    }
    if let former = later.formerJitter, former.valueNs > formerJitter?.valueNs ?? 0 { formerJitter = former }
    count += later.count
    repetitionErrors += later.repetitionErrors
    discontinuityErrors += later.discontinuityErrors
    announcedDiscontinuities += later.announcedDiscontinuities
    restarts += later.restarts
    if let interval = later.largestInterval, interval.valueNs > largestInterval?.valueNs ?? 0 {
      largestInterval = interval
    }
    stepJitter.merge(later.stepJitter)
    latest = later.latest
  }
}
