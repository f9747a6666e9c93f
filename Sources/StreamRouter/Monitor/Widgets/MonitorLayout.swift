/// Where things stand on the screen of the live view: header, table, one line a node, footer.
struct MonitorLayout: Sendable {
  /// Cells before the first column: the mark of the selected row.
  static let margin = 2
  /// Cells between two columns.
  static let gap = 1

  var size: MonitorState.Size
  /// Lines for nodes; the last says how many more there are where they do not all fit.
  var nodeLines: Int
  /// Relays that fit.
  var rows: Int
  /// Those that fit.
  var columns: [MonitorColumn]

  /// A third of the screen is for nodes, and what relays leave free.
  init(size: MonitorState.Size, nodes: Int, relays: Int, choice: ColumnChoice = ColumnChoice()) {
    self.size = size
    columns = choice.fitting(size.columns - Self.margin, gap: Self.gap)
    let lines = size.rows - 3
    nodeLines = min(nodes, max(1, lines / 3, lines - max(1, relays)))
    rows = max(1, size.rows - 3 - nodeLines)
  }

  /// The columns with their widths: what is left over goes to names until they are whole, then to the minute.
  func widths(for rows: [MonitorRow]) -> [(column: MonitorColumn, cells: Int)] {
    var cells = columns.map(\.width.lowerBound)
    var left =
      size.columns - Self.margin - cells.reduce(0, +) - Self.gap * max(0, columns.count - 1)
    for (index, column) in columns.enumerated() where column.width.upperBound > cells[index] {
      var wanted = column.width.upperBound
      if column.format == .text {
        let longest = rows.reduce(0) { longest, row in
          if case .text(let text) = column.value(row) { max(longest, TextWidth.cells(text)) } else { longest }
        }
        wanted = min(wanted, longest)
      }
      let more = max(0, min(left, wanted - cells[index]))
      cells[index] += more
      left -= more
    }
    return Array(zip(columns, cells))
  }
}
