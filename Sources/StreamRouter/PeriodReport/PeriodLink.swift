/// What test packets told of one link over a span of time, from one of its ends.
struct PeriodLink: Sendable {
  let node: String
  let peer: String
  /// How it was at the end.
  private(set) var condition: MonitorLink.Condition
  /// How long nothing was answered.
  private(set) var silentSeconds = 0.0
  /// Seconds of the time that are accounted for.
  private(set) var seconds = 0.0
  private(set) var sent: UInt64 = 0
  private(set) var answered: UInt64 = 0
  private(set) var lostForward: UInt64 = 0
  private(set) var lostBackward: UInt64 = 0
  private(set) var lostEither: UInt64 = 0
  private(set) var clockSteps: UInt64 = 0
  private(set) var roundTrip = ResidenceHistogram()
  private(set) var ipdvForward = ResidenceHistogram()
  private(set) var ipdvBackward = ResidenceHistogram()
  private var latest: MonitorLink

  init(_ link: MonitorLink) {
    node = link.node
    peer = link.snapshot.peer
    condition = link.condition
    latest = link
  }

  /// `later` is the same link in a later reading, `seconds` after the one before.
  mutating func take(_ later: MonitorLink, seconds: Double) {
    condition = later.condition
    if later.isMute { silentSeconds += seconds }
    guard later.staleSeconds == nil,
      let rates = LinkRates(from: latest.snapshot, at: latest.timeNs, to: later.snapshot, at: later.timeNs)
    else {
      if later.snapshot.remote != latest.snapshot.remote { latest = later }
      return
    }
    let former = later.snapshot.sent < latest.snapshot.sent ? nil : latest.snapshot
    latest = later
    self.seconds += rates.intervalSeconds
    sent = Plausible.sum(sent, rates.sent)
    answered = Plausible.sum(answered, rates.answered)
    lostForward = Plausible.sum(lostForward, rates.lostForward)
    lostBackward = Plausible.sum(lostBackward, rates.lostBackward)
    lostEither = Plausible.sum(lostEither, rates.lostEither)
    clockSteps = Plausible.sum(clockSteps, rates.clockSteps)
    roundTrip.add(later.snapshot.roundTrip, since: former?.roundTrip)
    ipdvForward.add(later.snapshot.ipdvForward.durations, since: former?.ipdvForward.durations)
    ipdvBackward.add(later.snapshot.ipdvBackward.durations, since: former?.ipdvBackward.durations)
  }

  /// Of the test packets that are known to be lost or answered; nil where there is none.
  var lossRatio: Double? {
    LinkRates.lossRatio(lost: [lostForward, lostBackward, lostEither], answered: answered)
  }

  /// A figure of a link that tables of the report show.
  struct Column: Sendable {
    let title: String
    let text: @Sendable (PeriodLink) -> String
  }

  static let columns: [Column] = [
    Column(title: "STATE", text: { $0.condition.rawValue }),
    Column(title: "TESTS", text: { Figure.scaled(Double($0.sent)) }),
    Column(title: "LOSS%", text: { $0.lossRatio.map(Figure.percent) ?? Figure.none }),
    Column(title: "LOST>", text: { Figure.scaled(Double($0.lostForward)) }),
    Column(title: "<LOST", text: { Figure.scaled(Double($0.lostBackward)) }),
    Column(title: "RTT", text: { duration($0.roundTrip, \.p50Seconds) }),
    Column(title: "RTT99", text: { duration($0.roundTrip, \.p99Seconds) }),
    Column(title: "RTTMAX", text: { duration($0.roundTrip, \.maxSeconds) }),
    Column(title: "IPDV>", text: { duration($0.ipdvForward, \.p99Seconds) }),
    Column(title: "<IPDV", text: { duration($0.ipdvBackward, \.p99Seconds) }),
    Column(title: "SILENT", text: { Figure.duration(seconds: $0.silentSeconds) }),
  ]

  private static func duration(
    _ histogram: ResidenceHistogram, _ share: (ResidenceSummary) -> Double
  ) -> String {
    ResidenceSummary(histogram).map { Figure.duration(seconds: share($0)) } ?? Figure.none
  }

  /// As the report names it.
  var way: String { "\(node) -> \(peer)" }
}

extension PeriodDocument {
  struct Link: Encodable {
    struct Way: Encodable {
      var lost: UInt64
      @OrNull var ipdv: MonitorDocument.Residence?
    }

    var node: String
    var peer: String
    /// At the end.
    var state: String
    var silentSeconds: Double
    var accountedSeconds: Double
    var sent: UInt64
    var answered: UInt64
    var lostEither: UInt64
    @OrNull var lossRatio: Double?
    @OrNull var roundTrip: MonitorDocument.Residence?
    var forward: Way
    var backward: Way
    var clockSteps: UInt64

    init(_ link: PeriodLink) {
      func durations(_ histogram: ResidenceHistogram) -> OrNull<MonitorDocument.Residence> {
        OrNull(ResidenceSummary(histogram).map(MonitorDocument.Residence.init))
      }
      (node, peer, state) = (link.node, link.peer, link.condition.rawValue)
      (silentSeconds, accountedSeconds) = (link.silentSeconds, link.seconds)
      (sent, answered, lostEither) = (link.sent, link.answered, link.lostEither)
      _lossRatio = OrNull(link.lossRatio)
      _roundTrip = durations(link.roundTrip)
      forward = Way(lost: link.lostForward, ipdv: durations(link.ipdvForward))
      backward = Way(lost: link.lostBackward, ipdv: durations(link.ipdvBackward))
      clockSteps = link.clockSteps
    }
  }
}
