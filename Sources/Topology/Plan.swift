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
    func chain(_ relay: Relay) -> String {
      relay.extensions.isEmpty ? "none" : relay.extensions.map(\.description).joined(separator: ", ")
    }
    let fields = [
      ("hop", "\(old.hop)", "\(new.hop)"),
      ("protocol", old.transport.rawValue, new.transport.rawValue),
      ("ingress", "\(old.ingress)", "\(new.ingress)"),
      ("former ingress", optional(old.formerIngress), optional(new.formerIngress)),
      ("sources", "\(old.sources)", "\(new.sources)"),
      ("sinks", old.sinks.map(\.route).joined(separator: ", "), new.sinks.map(\.route).joined(separator: ", ")),
      ("dscp", optional(old.dscp), optional(new.dscp)),
      ("clock rate", optional(old.clockRate), optional(new.clockRate)),
      ("extensions", chain(old), chain(new)),
      ("mode", optional(old.mode), optional(new.mode)),
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
    var socket: Relay.Socket
  }

  /// A relay to add, or to replace where `old` is there.
  private struct Start {
    enum State {
      /// `underway`: others are made room for first.
      case waiting, underway, made
    }

    var old: Relay?
    var new: Relay
    var state = State.waiting
  }

  private var starts: [Start] = []
  private var startOf: [Identity: Int] = [:]
  private var removes: [Relay] = []
  private var removable: [Identity: Relay] = [:]
  private var listeners: [Socket: Identity] = [:]
  private var changes: [Change] = []

  init(old: [Relay], new: [Relay]) {
    let running = Dictionary(old.map { (Identity($0), $0) }, uniquingKeysWith: { first, _ in first })
    let wanted = Set(new.map { Identity($0) })
    starts = new.filter { running[Identity($0)] == nil }.map { Start(new: $0) }
    starts += new.compactMap { relay in
      running[Identity(relay)].flatMap { $0 == relay ? nil : Start(old: $0, new: relay) }
    }
    startOf = Dictionary(
      starts.enumerated().map { (Identity($0.element.new), $0.offset) }, uniquingKeysWith: { first, _ in first }
    )
    removes = old.filter { !wanted.contains(Identity($0)) }
    removable = Dictionary(removes.map { (Identity($0), $0) }, uniquingKeysWith: { first, _ in first })
    for relay in old {
      for socket in sockets(relay) { listeners[socket] = Identity(relay) }
    }
  }

  mutating func order() -> [Change] {
    for index in starts.indices { make(index) }
    for relay in removes where removable[Identity(relay)] != nil { remove(relay) }
    return changes
  }

  /// Makes one start, and before it whatever makes room for it. The stack stands in for recursion, which a long
  /// chain of relays that each move to the next one's port would take too deep.
  private mutating func make(_ index: Int) {
    var stack = [index]
    while let top = stack.last {
      if starts[top].state == .made {
        stack.removeLast()
        continue
      }
      starts[top].state = .underway
      if let blocker = makeRoom(for: starts[top].new) {
        stack.append(blocker)
        continue
      }
      let (old, new) = (starts[top].old, starts[top].new)
      if let old { silence(old) }
      for socket in sockets(new) { listeners[socket] = Identity(new) }
      changes.append(old.map { .replace(old: $0, new: new) } ?? .add(new))
      starts[top].state = .made
      stack.removeLast()
    }
  }

  /// Removes what can be removed where the relay shall listen. Returns a start that must be made before, if any.
  private mutating func makeRoom(for relay: Relay) -> Int? {
    for socket in sockets(relay) {
      guard let listener = listeners[socket], listener != Identity(relay) else { continue }
      if let old = removable[listener] {
        remove(old)
      } else if let other = startOf[listener], let old = starts[other].old {
        switch starts[other].state {
        case .waiting: return other
        case .underway:
          // Each waits for the next in a circle: this one is taken away, and added again later.
          remove(old)
          starts[other].old = nil
        // Two wanted relays at one ingress: no order helps, and the engine will say so.
        case .made: break
        }
      }
    }
    return nil
  }

  private mutating func remove(_ relay: Relay) {
    changes.append(.remove(relay))
    removable[Identity(relay)] = nil
    silence(relay)
  }

  private func sockets(_ relay: Relay) -> [Socket] {
    relay.sockets.map { Socket(node: relay.node, socket: $0) }
  }

  private mutating func silence(_ relay: Relay) {
    for socket in sockets(relay) where listeners[socket] == Identity(relay) { listeners[socket] = nil }
  }
}
