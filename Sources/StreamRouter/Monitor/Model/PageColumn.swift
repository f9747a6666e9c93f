/// One column of a page that lists something else than relays, by the same rules as ``MonitorColumn``.
struct PageColumn<Entry>: Sendable {
  let title: String
  let text: String
  /// 1 is kept longest when the terminal narrows.
  let importance: Int
  let width: ClosedRange<Int>
  var alignsRight = true
  /// nil: not known.
  let value: @Sendable (Entry) -> String?
}

/// Columns of a page, beside each other.
struct PageColumns<Entry>: Sendable {
  let columns: [PageColumn<Entry>]
  /// Cells between two.
  static var gap: Int { 2 }

  /// Those that fit into so many cells.
  init(_ all: [PageColumn<Entry>], fitting width: Int) {
    var left = width + Self.gap
    let kept = all.sorted { $0.importance < $1.importance }.prefix { column in
      left -= column.width.lowerBound + Self.gap
      return left >= 0
    }
    let lowest = kept.map(\.importance).max() ?? 1
    columns = all.filter { $0.importance <= lowest }
  }

  init(_ columns: [PageColumn<Entry>]) { self.columns = columns }

  /// The titles, then the texts of each entry, filled and cut to their columns' widths; the first columns take what is
  /// left of so many cells where they need it.
  func rows(_ entries: [Entry], within width: Int, cutMark: Character) -> [[String]] {
    let titles = columns.map(\.title)
    let rows =
      [titles]
      + entries.map { entry in columns.map { TextWidth.clean($0.value(entry) ?? Figure.none) } }
    var widths = columns.map(\.width.lowerBound)
    var left = width - widths.reduce(0, +) - Self.gap * max(0, columns.count - 1)
    for index in columns.indices {
      let longest = rows.reduce(0) { max($0, TextWidth.cells($1[index])) }
      let more = max(0, min(left, min(columns[index].width.upperBound, longest) - widths[index]))
      widths[index] += more
      left -= more
    }
    return rows.map { texts in
      columns.indices.map {
        TextWidth.fit(texts[$0], to: widths[$0], mark: cutMark, alignRight: columns[$0].alignsRight)
      }
    }
  }
}
