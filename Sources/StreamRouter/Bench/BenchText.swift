/// Results as a person reads them in a terminal: charts, tables, ratios.
public struct BenchText: Sendable {
  private let results: BenchResults
  private let style: BenchChart.Style

  public init(results: BenchResults, style: BenchChart.Style) {
    self.results = results
    self.style = style
  }

  public var text: String {
    var lines = [results.machine.summary]
    let settings = results.settings
    lines.append(
      "\(results.date), StreamRouter \(results.program)\(results.revision.map { " (\($0))" } ?? ""); median of \(settings.repetitions) round\(settings.repetitions == 1 ? "" : "s") and half the span from lowest to highest"
    )
    for figure in results.figures {
      lines.append("")
      lines += self.lines(of: figure)
    }
    for skipped in results.skipped {
      if skipped == results.skipped.first { lines.append("") }
      lines.append(
        "not measured: \(skipped.part.rawValue), \(BenchWay.title(of: skipped.way)): \(skipped.reason)")
    }
    return lines.joined(separator: "\n")
  }

  private func lines(of figure: BenchFigure) -> [String] {
    var lines = figure.isBeside || figure.axis.isEmpty ? [] : BenchChart(figure: figure, style: style).lines
    let highest = figure.series.flatMap { $0.points.compactMap { $0.spread?.median } }.max() ?? 0
    let (scale, unit) = BenchNumber.scale(for: figure.unit, highest)
    if lines.isEmpty { lines.append("\(figure.title), \(unit)") }
    if !figure.axis.isEmpty || figure.isBeside {
      let table = BenchTable(figure) { Self.cell($0, scale: scale, style) }
      lines += table.text(indent: "  ")
    } else {
      lines += BenchTable(figure) { BenchNumber.text($0, scale: scale) }.text(indent: "  ").dropFirst()
    }
    if let ratios = BenchTable.ratios(figure) {
      lines.append(
        figure.better == .higher
          ? "  sandbox delivers so many times what the other does:"
          : "  the other takes so many times what sandbox takes:")
      lines += ratios.text(indent: "  ")
    }
    if !figure.note.isEmpty { lines.append("  \(figure.note)") }
    return lines
  }

  /// `1,261 ±4%`: the median and half the span from the lowest to the highest.
  private static func cell(_ spread: BenchSpread, scale: Double, _ style: BenchChart.Style) -> String {
    let median = BenchNumber.short(spread.median * scale)
    guard spread.low != spread.high, spread.median != 0 else { return median }
    let half = 50 * (spread.high - spread.low) / abs(spread.median)
    return "\(median) \(style == .ascii ? "+-" : "±")\(BenchNumber.text(half, digits: 0))%"
  }
}
