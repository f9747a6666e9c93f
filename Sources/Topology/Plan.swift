/// The ordered, reversible changes from the relays that run to the relays that are wanted.
///
/// A relay is known by its stream and its node. Relays are added first, then replaced, then removed, so that no
/// stream waits for another's end; where an ingress must become free first, what holds it goes first.
public struct Plan: Hashable, Sendable {
  /// In the order in which to make them. Undoing them in reverse order restores what ran.
  public let changes: [Change]

  public var isEmpty: Bool { changes.isEmpty }

  /// Plans the way from one set of relays to another; neither may hold two relays of one stream on one node, or
  /// two that listen at one ingress.
  public init(from old: [Relay], to new: [Relay]) {
    var planner = Planner(old: old, new: new)
    changes = planner.order()
  }
}

/// One step of a ``Plan``.
public enum Change: Hashable, Sendable {
  case add(Relay)
  case replace(old: Relay, new: Relay)
  case remove(Relay)

  /// The step that takes this one back.
  public var undo: Change {
    switch self {
    case .add(let relay): .remove(relay)
    case .replace(let old, let new): .replace(old: new, new: old)
    case .remove(let relay): .add(relay)
    }
  }
}

extension Change: CustomStringConvertible {
  /// One line.
  public var description: String {
    switch self {
    case .add(let relay): "add \(relay.title): \(relay.route)"
    case .replace(let old, let new):
      "replace \(old.title): \(Self.differences(old, new).joined(separator: "; "))"
    case .remove(let relay): "remove \(relay.title): \(relay.route)"
    }
  }

  private static func differences(_ old: Relay, _ new: Relay) -> [String] {
    func optional<T>(_ value: T?) -> String { value.map { "\($0)" } ?? "none" }
    let fields = [
      ("hop", "\(old.hop)", "\(new.hop)"),
      ("protocol", old.transport.rawValue, new.transport.rawValue),
      ("ingress", "\(old.ingress)", "\(new.ingress)"),
      ("sources", "\(old.sources)", "\(new.sources)"),
      ("sinks", old.sinks.map(\.route).joined(separator: ", "), new.sinks.map(\.route).joined(separator: ", ")),
      ("dscp", optional(old.dscp), optional(new.dscp)),
      ("clock rate", optional(old.clockRate), optional(new.clockRate)),
    ]
    return fields.filter { $0.1 != $0.2 }.map { "\($0.0) \($0.1) becomes \($0.2)" }
  }
}

extension Relay {
  /// What a message calls the relay.
  fileprivate var title: String { "stream \(stream) on node \(node)" }

  /// From where to where.
  fileprivate var route: String { "\(transport) \(ingress) to " + sinks.map(\.route).joined(separator: ", ") }
}

extension RelaySink {
  fileprivate var route: String {
    switch kind {
    case .node: "\(destination) (\(name), from \(source))"
    case .host: "\(destination) (from \(source))"
    case .local: "\(destination) (local)"
    }
  }
}

/// Finds an order in which no relay starts where another still listens.
private struct Planner {
  private struct Identity: Hashable {
    var stream: String
    var node: String

    init(_ relay: Relay) { (stream, node) = (relay.stream, relay.node) }
  }

  private struct Socket: Hashable {
    var node: String
    var endpoint: Endpoint
  }

  private var adds: [Relay] = []
  private var replaces: [(old: Relay, new: Relay)] = []
  private var removes: [Relay] = []
  private var listeners: [Socket: Identity] = [:]
  private var changes: [Change] = []

  init(old: [Relay], new: [Relay]) {
    let running = Dictionary(old.map { (Identity($0), $0) }, uniquingKeysWith: { first, _ in first })
    let wanted = Set(new.map { Identity($0) })
    for relay in new {
      if let old = running[Identity(relay)] {
        if old != relay { replaces.append((old, relay)) }
      } else {
        adds.append(relay)
      }
    }
    removes = old.filter { !wanted.contains(Identity($0)) }
    for relay in old { listen(relay) }
  }

  mutating func order() -> [Change] {
    while true {
      let count = changes.count
      for relay in adds where blockers(of: relay).isEmpty { make(.add(relay)) }
      for (old, new) in replaces where blockers(of: new).isEmpty { make(.replace(old: old, new: new)) }
      guard let stuck = adds.first ?? replaces.first?.new else { break }
      if changes.count == count { free(stuck) }
    }
    for relay in removes { make(.remove(relay)) }
    return changes
  }

  /// Takes away what listens where a relay shall start: for good where it is to be removed, else, since it waits
  /// for another in a circle, until it is added again.
  private mutating func free(_ relay: Relay) {
    let blockers = blockers(of: relay)
    if let removed = removes.first(where: { blockers.contains(Identity($0)) }) {
      make(.remove(removed))
    } else if let moved = replaces.first(where: { blockers.contains(Identity($0.old)) }) {
      replaces.removeAll { Identity($0.old) == Identity(moved.old) }
      make(.remove(moved.old))
      adds.append(moved.new)
    } else if adds.contains(relay) {
      // Two wanted relays at one ingress: no order helps, and the engine will say so.
      make(.add(relay))
    } else if let stuck = replaces.first {
      make(.replace(old: stuck.old, new: stuck.new))
    }
  }

  private mutating func make(_ change: Change) {
    changes.append(change)
    switch change {
    case .add(let relay):
      adds.removeAll { $0 == relay }
      listen(relay)
    case .replace(let old, let new):
      replaces.removeAll { Identity($0.new) == Identity(new) }
      silence(old)
      listen(new)
    case .remove(let relay):
      removes.removeAll { $0 == relay }
      silence(relay)
    }
  }

  private func sockets(_ relay: Relay) -> [Socket] {
    relay.transport.ports(from: relay.ingress.port).map {
      Socket(node: relay.node, endpoint: Endpoint(address: relay.ingress.address, port: $0))
    }
  }

  private mutating func listen(_ relay: Relay) {
    for socket in sockets(relay) { listeners[socket] = Identity(relay) }
  }

  private mutating func silence(_ relay: Relay) {
    for socket in sockets(relay) where listeners[socket] == Identity(relay) { listeners[socket] = nil }
  }

  private func blockers(of relay: Relay) -> Set<Identity> {
    Set(sockets(relay).compactMap { listeners[$0] }).subtracting([Identity(relay)])
  }
}
