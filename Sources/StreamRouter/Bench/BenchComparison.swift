/// Two results side by side: what became of each value, and whether more than the spread of both.
public struct BenchComparison: Sendable {
  /// One value that both have.
  public struct Row: Hashable, Sendable {
    public var figure: String
    public var unit: String
    public var way: String
    public var axis: String
    public var x: Int
    public var before: BenchSpread
    public var after: BenchSpread
    public var better: BenchFigure.Better

    /// After over before, by the medians.
    public var ratio: Double { after.median / before.median }

    /// What the difference says. Spreads that have values in common say nothing, nor does one round against one.
    public var verdict: String {
      if before.overlaps(after) { return "within the spread" }
      if before.low == before.high && after.low == after.high { return "one round each: no spread to judge by" }
      switch better {
      case .neither: return "differs"
      case .higher: return after.median > before.median ? "better" : "worse"
      case .lower: return after.median < before.median ? "better" : "worse"
      }
    }
  }

  public let rows: [Row]
  /// What makes the two hard to compare.
  public let remarks: [String]

  public init(_ before: BenchResults, _ after: BenchResults) {
    rows = before.figures.flatMap { figure in
      guard let other = after.figure(figure.key) else { return [Row]() }
      return figure.series.flatMap { series in
        series.points.compactMap { point -> Row? in
          guard let mine = point.spread, let theirs = other.spread(series.way, at: point.x) else { return nil }
          return Row(
            figure: figure.key, unit: figure.unit, way: series.way, axis: figure.axis, x: point.x, before: mine,
            after: theirs, better: figure.better)
        }
      }
    }
    var remarks: [String] = []
    if before.machine.summary != after.machine.summary {
      remarks.append("other machines: \(before.machine.summary); \(after.machine.summary)")
    }
    if before.settings != after.settings { remarks.append("the settings of the two runs differ") }
    let missing = before.figures.filter { after.figure($0.key) == nil }.map(\.key)
    let added = after.figures.filter { before.figure($0.key) == nil }.map(\.key)
    remarks += Self.lone(before, without: after).map { "only in the first: \($0)" }
    remarks += Self.lone(after, without: before).map { "only in the second: \($0)" }
    if !missing.isEmpty { remarks.append("only in the first: \(missing.joined(separator: ", "))") }
    if !added.isEmpty { remarks.append("only in the second: \(added.joined(separator: ", "))") }
    self.remarks = remarks
  }

  /// Ways that a figure of one has and the other has not, with what was found: modes of the kernel module are such.
  private static func lone(_ results: BenchResults, without others: BenchResults) -> [String] {
    results.figures.flatMap { figure in
      guard let other = others.figure(figure.key) else { return [String]() }
      let ways = Set(other.series.map(\.way))
      return figure.series.filter { !ways.contains($0.way) }.map { series in
        var text = "\(figure.key), \(BenchWay.title(of: series.way))"
        // Of a way with an axis one value would not be enough.
        if figure.axis.isEmpty, let spread = series.points.first?.spread {
          text += ": \(BenchNumber.text(spread)) \(figure.unit)"
        }
        return text
      }
    }
  }

  public var text: String {
    var lines = remarks.map { "note: \($0)" }
    var table = BenchTable(header: ["figure", "way", "at", "before", "after", "ratio", ""], rows: [])
    for row in rows {
      let highest = max(row.before.median, row.after.median)
      let (scale, unit) = BenchNumber.scale(for: row.unit, highest)
      table.rows.append([
        "\(row.figure), \(unit)", BenchWay.title(of: row.way), row.axis.isEmpty ? "" : "\(row.x)",
        BenchNumber.text(row.before, scale: scale), BenchNumber.text(row.after, scale: scale),
        row.ratio.isFinite ? BenchNumber.text(row.ratio, digits: 2) : "-", row.verdict,
      ])
    }
    lines += table.text(indent: "")
    let (better, worse) = (rows.filter { $0.verdict == "better" }, rows.filter { $0.verdict == "worse" })
    lines.append(
      "\(rows.count) values: \(better.count) better and \(worse.count) worse beyond the spread of both runs")
    return lines.joined(separator: "\n")
  }
}

extension BenchTable {
  init(header: [String], rows: [[String]]) {
    self.header = header
    self.rows = rows
  }
}
