/// A figure as a table: a row for each way, a column for each place of the axis.
struct BenchTable {
  var header: [String]
  var rows: [[String]]

  /// - Parameter cell: How a cell is written.
  init(_ figure: BenchFigure, cell: (BenchSpread) -> String) {
    let places = figure.places
    header =
      [figure.axis.isEmpty ? "" : figure.axis] + (figure.axis.isEmpty ? [figure.unit] : places.map { "\($0)" })
    rows = figure.series.map { series in
      [BenchWay.title(of: series.way)]
        + places.map { x in figure.spread(series.way, at: x).map(cell) ?? "-" }
    }
  }

  /// How many times what each other way does sandbox does, by round; nil where the figure has no such comparison. Of
  /// times it is how many times as long the other one takes.
  static func ratios(_ figure: BenchFigure) -> BenchTable? {
    let sandbox = BenchWay.sandbox.rawValue
    guard figure.better != .neither, !figure.isBeside, figure.series.contains(where: { $0.way == sandbox })
    else {
      return nil
    }
    var table = BenchTable(figure) { _ in "" }
    table.rows = figure.series.filter { $0.way != sandbox }.map { series in
      let other = series.way
      return [BenchWay.title(of: other)]
        + figure.places.map { x in
          let ratio =
            figure.better == .higher
            ? figure.ratio(sandbox, at: x, to: other) : figure.ratio(other, at: x, to: sandbox)
          return ratio.map { BenchNumber.short($0.median) } ?? "-"
        }
    }
    return table.rows.isEmpty ? nil : table
  }

  /// With columns that stand below each other.
  func text(indent: String) -> [String] {
    let all = [header] + rows
    let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
    return all.map { row in
      let cells = row.enumerated().map { column, cell in
        let pad = String(repeating: " ", count: widths[column] - cell.count)
        return column == 0 ? cell + pad : pad + cell
      }
      let line = indent + cells.joined(separator: "  ")
      return String(line.reversed().drop { $0 == " " }.reversed())
    }
  }

  func markdown() -> [String] {
    ["| " + header.joined(separator: " | ") + " |", "|" + String(repeating: "---|", count: header.count)]
      + rows.map { "| " + $0.joined(separator: " | ") + " |" }
  }
}
