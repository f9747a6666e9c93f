/// The way of one node from the relays that run to those that are wanted, cut into the steps that all nodes of a topology
/// make together so that no packet is lost between two of them.
///
/// A relay begins or changes before the hop that sends to it does: all nodes first take on what is farthest from the
/// sources, then the hops before it, at last the hops at which streams enter. Until the last of them has changed, relays
/// that are not wanted any more go on, and a relay accepts packets from its former source as well as from its new one, and
/// at its former ingress as well as at its new one.
public struct Transition: Hashable, Sendable {
  /// What runs.
  public let old: [Relay]
  /// What is wanted.
  public let new: [Relay]

  private let formers: [String: Relay]
  private let wantedSockets: Set<Relay.Socket>

  /// - Parameters: the relays of one node; neither holds two of one stream.
  public init(from old: [Relay], to new: [Relay]) {
    self.old = old
    self.new = new
    formers = Dictionary(old.map { ($0.stream, $0) }, uniquingKeysWith: { first, _ in first })
    wantedSockets = Set(new.flatMap(\.sockets))
  }

  /// The hops at which a relay begins or changes, in the order of the steps: the farthest first.
  public var hops: [Int] {
    Set(new.filter { formers[$0.stream] != $0 }.map(\.hop)).sorted(by: >)
  }

  /// What runs on the node once all steps down to `hop` are made.
  public func relays(downTo hop: Int) -> [Relay] {
    var running: [Relay] = []
    var listening: Set<Relay.Socket> = []
    let begun = new.filter { $0.hop >= hop }
    for relay in begun {
      running.append(between(relay))
      listening.formUnion(relay.sockets)
    }
    let streams = Set(begun.map(\.stream))
    // One that stands in the way of a new relay has to go before its time.
    running += old.filter { !streams.contains($0.stream) && listening.isDisjoint(with: $0.sockets) }
    return running
  }

  /// A wanted relay as it runs until the last step: the hop before it may still be the former one, and send where that
  /// relay listened.
  private func between(_ relay: Relay) -> Relay {
    guard let former = formers[relay.stream] else { return relay }
    var between = relay
    if former.ingress != relay.ingress {
      guard relay.canListenLike(former), wantedSockets.isDisjoint(with: former.sockets) else { return relay }
      between.formerIngress = former.ingress
    }
    let sources = relay.sources + former.sources.filter { !relay.sources.contains($0) }
    guard sources.count <= Limits.sourcesPerRelay else { return relay }
    between.sources = sources
    return between
  }
}

extension Relay {
  /// What a relay listens on. UDP and TCP do not get into each other's way.
  struct Socket: Hashable {
    var endpoint: Endpoint
    var isTCP: Bool
  }

  /// RTCP ports included.
  var sockets: [Socket] {
    listeners.map { Socket(endpoint: $0.endpoint, isTCP: transport == .tcp) }
  }

  /// Whether packets to another relay's ingress could be its own too.
  fileprivate func canListenLike(_ other: Relay) -> Bool {
    transport == other.transport && ingress.address.family == other.ingress.address.family
  }
}

extension Plan {
  /// What changes of a whole topology lose packets that are on their way, by the place of the change in ``changes``; the
  /// others lose none.
  public func interruptions() -> [Int: String] {
    var found: [Int: String] = [:]
    let begun = changes.flatMap { change -> [(Relay.Socket, Relay)] in
      switch change {
      case .add(let relay), .replace(_, let relay): relay.sockets.map { ($0, relay) }
      case .remove: []
      }
    }
    let starts = Dictionary(begun.map { (Place(node: $0.1.node, socket: $0.0), $0.1.stream) }) { first, _ in
      first
    }
    /// What listens in a relay's place afterwards.
    func taker(of relay: Relay) -> String? {
      relay.sockets.lazy.compactMap { starts[Place(node: relay.node, socket: $0)] }.first {
        $0 != relay.stream
      }
    }
    for (index, change) in changes.enumerated() {
      switch change {
      case .add: break
      case .replace(let old, let new):
        if old.transport == .tcp, new.transport == .tcp, old.ingress == new.ingress, old.mode != new.mode {
          found[index] = "its mode changes: connections that are open end"
        }
        guard old.ingress != new.ingress || old.transport != new.transport else { continue }
        if old.transport == .tcp, old.hop > 0 {
          found[index] = "it listens elsewhere: connections that are open end"
          continue
        }
        if old.hop == 0 {
          found[index] = "it listens elsewhere: packets to \(old.ingress) are passed by"
        } else if let other = taker(of: old) {
          found[index] = "stream \(other) takes its port: packets on their way are lost"
        } else if !new.canListenLike(old) {
          found[index] = "it listens elsewhere: packets on their way to \(old.ingress) are lost"
        }
      case .remove(let relay):
        if let other = taker(of: relay) {
          found[index] = "stream \(other) takes its port: packets on their way are lost"
        }
      }
    }
    return found
  }

  private struct Place: Hashable {
    var node: String
    var socket: Relay.Socket
  }
}
