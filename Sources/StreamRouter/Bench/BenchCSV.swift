extension BenchFigure {
  static let csvHeader = "figure,unit,axis,way,x,round,value\n"

  /// A line for each value, rounds from 1; without the header.
  func csvBody() -> String {
    series.map { series in
      series.points.map { point in
        point.values.enumerated().compactMap { round, value in
          value.map { CSVReport.line([key, unit, axis, series.way, "\(point.x)", "\(round + 1)", "\($0)"]) }
        }.joined()
      }.joined()
    }.joined()
  }
}

extension BenchResults {
  /// All figures as comma-separated values (RFC 4180, with line feeds).
  public func csv() -> String { BenchFigure.csvHeader + figures.map { $0.csvBody() }.joined() }
}
