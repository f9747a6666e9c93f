import Topology

/// The JSON form of a limit, in seconds, as a ratio, or in bits a second.
struct LimitDocument: Encodable {
  var limit: String
  var unit: String
  @OrNull var atLeast: Double?
  @OrNull var atMost: Double?

  init(_ limit: StreamLimit) {
    self.limit = limit.name
    unit = limit.figure.isTime ? "seconds" : limit.figure == .loss ? "ratio" : "bitsPerSecond"
    _atLeast = OrNull(limit.atLeast)
    _atMost = OrNull(limit.atMost)
  }
}

/// The JSON form of a broken limit.
struct BreachDocument: Encodable {
  var limit: LimitDocument
  var stream: String
  var hop: Int
  var node: String
  /// In the limit's unit.
  var measured: Double
  var place: String
  var cause: String

  init(_ breach: LimitBreach) {
    limit = LimitDocument(breach.limit)
    stream = breach.stream
    hop = breach.hop
    node = breach.node
    measured = breach.measured
    place = breach.place.description
    cause = breach.cause
  }
}
