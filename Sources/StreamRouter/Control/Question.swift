/// What the controller asks of a node. Each is harmless when asked twice.
enum Question: Hashable, Sendable {
  /// See whether this part can run, and change nothing. With seconds, the node goes back by itself where the revision is
  /// not settled so long after its first step: the change may have cut it off.
  case prepare(NodePart, revertAfterSeconds: UInt32)
  /// Relays of this hop and beyond become those of the prepared revision.
  case advance(revision: UInt64, hop: Int)
  /// The prepared revision is the node's own; what it does not name goes.
  case settle(revision: UInt64)
  /// Back to the revision that was settled last.
  case abandon(revision: UInt64)
  case snapshot
  /// What time it is there.
  case clock
  /// Fetch a new certificate, and with it whom to trust, now.
  case renew

  /// For messages.
  var name: String {
    switch self {
    case .prepare(let part, _): "prepare revision \(part.revision)"
    case .advance(let revision, let hop): "take on hop \(hop) of revision \(revision)"
    case .settle(let revision): "settle revision \(revision)"
    case .abandon(let revision): "give up revision \(revision)"
    case .snapshot: "give its snapshot"
    case .clock: "tell the time"
    case .renew: "renew its certificate"
    }
  }
}

/// A node's answer that it is done.
struct Answer: Sendable {
  var snapshot: NodeSnapshot?
  /// The node's clock when it answered, nanoseconds since 1970; 0: it did not say.
  var timeNs: UInt64 = 0
}

/// What a node says first.
struct Hello: Hashable, Sendable {
  var node: String
  var version: String
  /// The revision that is its own, 0 for none.
  var revision: UInt64
  /// The one it has prepared, 0 for none.
  var prepared: UInt64
}
