/// What test packets told of a link between two snapshots. Where a counter went backwards, the node began anew and all
/// counts from zero.
public struct LinkRates: Hashable, Sendable {
  /// Seconds between the two, by the node's own clock; above zero.
  public var intervalSeconds: Double
  public var sent: UInt64
  public var answered: UInt64
  public var lostForward: UInt64
  public var lostBackward: UInt64
  public var lostEither: UInt64
  public var clockSteps: UInt64
  /// nil where no answer came.
  public var roundTrip: ResidenceSummary?
  public var ipdvForward: ResidenceSummary?
  public var ipdvBackward: ResidenceSummary?

  /// nil where the later snapshot is not later, or of another link. Times are nanoseconds since 1970, of the node that
  /// took both.
  public init?(from earlier: LinkSnapshot, at earlierNs: UInt64, to later: LinkSnapshot, at laterNs: UInt64) {
    guard laterNs > earlierNs, earlier.peer == later.peer, earlier.remote == later.remote else { return nil }
    let isAnew =
      later.sent < earlier.sent || later.answered < earlier.answered || later.lost < earlier.lost
    let before =
      isAnew
      ? LinkSnapshot(peer: later.peer, local: later.local, remote: later.remote, intervalMs: later.intervalMs)
      : earlier
    func count(_ of: (LinkSnapshot) -> UInt64) -> UInt64 {
      let (now, then) = (of(later), of(before))
      return now >= then ? now - then : now
    }
    func summary(_ of: (LinkSnapshot) -> ResidenceHistogram) -> ResidenceSummary? {
      let histogram = of(later).since(of(before))
      return ResidenceSummary(histogram, maxNs: histogram.intervalMaxNs(maxBeforeNs: of(before).maxNs))
    }
    intervalSeconds = Double(laterNs - earlierNs) / 1e9
    sent = count(\.sent)
    answered = count(\.answered)
    lostForward = count(\.lostForward)
    lostBackward = count(\.lostBackward)
    lostEither = count(\.lostEither)
    clockSteps = count(\.clockSteps)
    roundTrip = summary(\.roundTrip)
    ipdvForward = summary(\.ipdvForward.durations)
    ipdvBackward = summary(\.ipdvBackward.durations)
  }

  /// The share (0 to 1) of test packets that were lost, either way, of those that are known to be lost or answered; nil
  /// where there is none.
  public var lossRatio: Double? {
    Self.lossRatio(lost: [lostForward, lostBackward, lostEither], answered: answered)
  }

  /// Counts may be what a file says.
  static func lossRatio(lost: [UInt64], answered: UInt64) -> Double? {
    let lost = lost.reduce(0, Plausible.sum)
    let known = Plausible.sum(lost, answered)
    return known > 0 ? Double(lost) / Double(known) : nil
  }
}
