/// A condition on a figure of a report, as `jitter>5ms`, `loss>0` or `loss>0.1%`.
public struct Threshold: Hashable, Sendable, CustomStringConvertible {
  public enum Figure: String, Hashable, Sendable, CaseIterable {
    /// Packets that did not arrive, or percent of those sent.
    case loss
    case duplicates, reordered
    /// Packets that the tool's own socket had no room for.
    case queue
    /// The largest RFC 3550 estimate of any source.
    case jitter
    /// The largest one-way delay.
    case delay
    /// The Media Delivery Index of any MPEG transport stream (RFC 4445): the largest delay factor, and most packets
    /// lost in an interval.
    case delayFactor = "df"
    case mediaLossRate = "mlr"

    var isTime: Bool { [.jitter, .delay, .delayFactor].contains(self) }
  }

  public let figure: Figure
  /// Seconds, packets, or a ratio from 0 to 1.
  public let limit: Double
  public let isRatio: Bool
  public let description: String

  /// nil where the text is no condition on one of the figures.
  public init?(_ text: String, figures: [Figure] = Figure.allCases) {
    guard let sign = text.firstIndex(of: ">"),
      let figure = Figure(rawValue: text[..<sign].filter { $0 != " " }), figures.contains(figure)
    else { return nil }
    let value = text[text.index(after: sign)...].filter { $0 != " " }
    self.figure = figure
    isRatio = figure == .loss && value.hasSuffix("%")
    description = text
    if figure.isTime {
      guard let seconds = TimeText.seconds(value) else { return nil }
      limit = seconds
    } else {
      guard let number = TimeText.decimal(isRatio ? value.dropLast() : value[...]) else { return nil }
      limit = isRatio ? number / 100 : number
    }
  }

  /// - Parameter total: Packets of which `value` is a part; a ratio is taken of it.
  func isExceeded(by value: Double, of total: Double = 1) -> Bool {
    isRatio ? total > 0 && value / total > limit : value > limit
  }
}
