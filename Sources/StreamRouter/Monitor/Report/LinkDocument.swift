/// One link of a node in JSON: counters since the node began to probe it, and delays over the latest 30 s and in all.
struct LinkDocument: Encodable {
  /// One way of the link.
  struct Way: Encodable {
    var lost: UInt64
    /// From test packet to test packet (RFC 3393).
    var ipdv: MonitorDocument.Variation
  }

  struct RoundTrip: Encodable {
    @OrNull var window: MonitorDocument.Residence?
    @OrNull var total: MonitorDocument.Residence?
  }

  var peer: String
  var state: String
  var local: String
  var remote: String
  var intervalSeconds: Double
  var sent: UInt64
  var answered: UInt64
  /// Lost, and no later answer told on which way.
  var lostEither: UInt64
  var late: UInt64
  var duplicates: UInt64
  var unexpected: UInt64
  var reflected: UInt64
  @OrNull var windowLossRatio: Double?
  var roundTrip: RoundTrip
  var forward: Way
  var backward: Way
  @OrNull var lastAnswer: String?
  @OrNull var clockOffsetSeconds: Double?
  @OrNull var clockErrorSeconds: Double?
  var clockSteps: UInt64
  @OrNull var problem: String?

  init(_ link: MonitorLink) {
    let (found, rates) = (link.snapshot, link.rates)
    peer = found.peer
    state = link.condition.rawValue
    local = found.local.description
    remote = found.remote.description
    intervalSeconds = Double(found.intervalMs) / 1000
    (sent, answered, lostEither) = (found.sent, found.answered, found.lostEither)
    (late, duplicates, unexpected, reflected) = (
      found.late, found.duplicates, found.unexpected, found.reflected
    )
    _windowLossRatio = OrNull(rates?.lossRatio)
    roundTrip = RoundTrip(
      window: OrNull(rates?.roundTrip.map(MonitorDocument.Residence.init)),
      total: OrNull(ResidenceSummary(found.roundTrip).map(MonitorDocument.Residence.init)))
    forward = Way(
      lost: found.lostForward, ipdv: MonitorDocument.Variation(found.ipdvForward, rates?.ipdvForward))
    backward = Way(
      lost: found.lostBackward, ipdv: MonitorDocument.Variation(found.ipdvBackward, rates?.ipdvBackward))
    _lastAnswer = OrNull(found.lastAnswerNs > 0 ? MonitorDocument.text(timeNs: found.lastAnswerNs) : nil)
    _clockOffsetSeconds = OrNull(found.clockOffsetNs.map { Double($0) / 1e9 })
    _clockErrorSeconds = OrNull(found.clockErrorNs.map { Double($0) / 1e9 })
    clockSteps = found.clockSteps
    _problem = OrNull(found.problem)
  }
}
