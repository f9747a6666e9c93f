import Foundation

/// A figure as bars in a terminal: the ways below each other, at the first, the middle and the last place of the axis.
public struct BenchChart: Sendable {
  public enum Style: Sendable { case blocks, ascii }

  /// Values that span more than this are drawn on a logarithmic scale, or the low ones would be no bar at all.
  static let widestLinear = 50.0

  var figure: BenchFigure
  var style: Style
  /// Columns of the longest bar.
  var width: Int

  public init(figure: BenchFigure, style: Style, width: Int = 40) {
    self.figure = figure
    self.style = style
    self.width = width
  }

  /// Whether the values of a figure span so much that a linear scale hides some.
  static func isLogarithmic(_ figure: BenchFigure) -> Bool {
    let medians = figure.series.flatMap { $0.points.compactMap { $0.spread?.median } }.filter { $0 > 0 }
    guard let low = medians.min(), let high = medians.max() else { return false }
    return high / low > widestLinear
  }

  public var lines: [String] {
    let shown = Self.shown(figure.places)
    let medians = figure.series.flatMap { series in
      shown.compactMap { figure.spread(series.way, at: $0)?.median }
    }
    guard let highest = medians.max(), highest > 0 else { return [] }
    let isLogarithmic = Self.isLogarithmic(figure)
    let lowest = medians.filter { $0 > 0 }.min() ?? highest
    let (scale, unit) = BenchNumber.scale(for: figure.unit, highest)
    let titles = figure.series.map { BenchWay.title(of: $0.way) }
    let titleWidth = titles.map(\.count).max() ?? 0
    var lines = ["\(figure.title), \(unit)\(isLogarithmic ? " (bars on a logarithmic scale)" : "")"]
    for place in shown {
      if !figure.axis.isEmpty { lines.append("  \(place) \(figure.axis)") }
      for (series, title) in zip(figure.series, titles) {
        guard let median = figure.spread(series.way, at: place)?.median else { continue }
        let share =
          isLogarithmic
          // The lowest has a tenth of the longest bar.
          ? (median > 0 ? 0.1 + 0.9 * log(median / lowest) / log(highest / lowest) : 0) : median / highest
        let pad = String(repeating: " ", count: titleWidth - title.count)
        lines.append("    \(title)\(pad)  \(bar(share)) \(BenchNumber.short(median * scale))")
      }
    }
    return lines
  }

  private func bar(_ share: Double) -> String {
    let length = max(0, min(1, share)) * Double(width)
    if style == .ascii { return String(repeating: "#", count: Int(length.rounded())) }
    let eighths = Int((length * 8).rounded())
    let parts = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]
    return String(repeating: "█", count: eighths / 8) + parts[eighths % 8]
  }

  /// The first, the middle and the last where there are more than four.
  static func shown(_ places: [Int]) -> [Int] {
    guard places.count > 4 else { return places }
    return [places[0], places[places.count / 2], places[places.count - 1]]
  }
}
