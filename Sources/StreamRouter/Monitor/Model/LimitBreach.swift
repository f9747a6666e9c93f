import Topology

/// A limit on a stream that was broken in one interval: by which hop, how far, and why.
public struct LimitBreach: Hashable, Sendable {
  /// Where the cause is.
  public enum Place: Hashable, Sendable {
    /// At the stream's source, or on the way from it to the first hop.
    case beforeOverlay
    /// On the way from one hop to the next; `from` is nil where the monitor does not read the hop before.
    case link(from: String?, to: String)
    /// In the node itself.
    case node(String)
  }

  public var stream: String
  /// The hop that is named: the node that is the cause, or the one that the link with the cause leads to.
  public var hop: Int
  public var node: String
  public var limit: StreamLimit
  /// In the unit of the limit's figure.
  public var measured: Double
  public var place: Place
  /// What happened there, in words.
  public var cause: String

  var row: MonitorRow.ID { MonitorRow.ID(stream: stream, hop: hop, node: node) }
}

extension LimitBreach: CustomStringConvertible {
  /// `loss is 9.8%, expected at most 1%: lost on link camera -> edge`.
  public var description: String {
    "\(limit.name) is \(limit.text(measured)), expected \(limit.bounds): \(cause)"
  }
}

extension LimitBreach.Place: CustomStringConvertible {
  public var description: String {
    switch self {
    case .beforeOverlay: "before the overlay"
    case .link(let from?, let to): "link \(from) -> \(to)"
    case .link(nil, let to): "link to \(to)"
    case .node(let node): "node \(node)"
    }
  }
}

extension StreamLimit: CustomStringConvertible {
  /// A value of the limit's figure with its unit.
  func text(_ value: Double) -> String {
    switch figure {
    case .loss: StreamRouter.Figure.percent(value) + "%"
    case .rate: StreamRouter.Figure.scaled(value) + "bit/s"
    case .jitter, .ipdv, .pdv, .residence: StreamRouter.Figure.duration(seconds: value)
    }
  }

  /// `at most 5ms`, `1Mbit/s to 8Mbit/s`.
  var bounds: String {
    switch (atLeast, atMost) {
    case (let low?, let high?): "\(text(low)) to \(text(high))"
    case (let low?, nil): "at least \(text(low))"
    case (nil, let high?): "at most \(text(high))"
    case (nil, nil): "anything"
    }
  }

  public var description: String { "\(name) \(bounds)" }
}
