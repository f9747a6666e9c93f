/// The table on stdout: the live view's columns at their full width, then a line for each node, and one for each link that
/// is probed, from either end.
enum TableReport {
  static func text(_ board: MonitorBoard, order: MonitorOrder, style: MonitorStyle) -> String {
    let columns = order.columns.reported(usual: order.columns.columns)
    let rows = order.apply(to: board.rows)
    let cells = rows.map { row in
      columns.map { TextWidth.clean($0.shown(row, style: style, cells: $0.width.upperBound)) }
    }
    let widths = columns.enumerated().map { index, column in
      cells.reduce(TextWidth.cells(column.title)) { max($0, TextWidth.cells($1[index])) }
    }
    func line(_ texts: [String], _ parts: [StyledLine.Part]) -> StyledLine {
      var line = StyledLine()
      for (index, column) in columns.enumerated() {
        if index > 0 { line.append("  ") }
        line.append(
          TextWidth.fit(texts[index], to: widths[index], mark: style.cutMark, alignRight: column.alignsRight),
          parts[index])
      }
      return line
    }
    var lines: [StyledLine] = []
    if !rows.isEmpty {
      lines.append(line(columns.map(\.title), columns.map { _ in style.colour ? .title : .plain }))
      for (row, texts) in zip(rows, cells) {
        let part = style.colour ? TableView.part(row.condition) : .plain
        lines.append(line(texts, columns.map { $0.name == "state" ? part : .plain }))
      }
    }
    var nodes = NodesView(board: board, style: style).lines(atMost: board.nodes.count)
    if !style.colour { nodes = nodes.map { StyledLine($0.text) } }
    if !lines.isEmpty, !nodes.isEmpty { lines.append(StyledLine()) }
    var links: [StyledLine] = []
    if !board.links.isEmpty {
      links = LinksView(links: board.links, columns: 240, style: style).table(PageColumns(LinkColumn.all))
      if !style.colour { links = links.map { StyledLine($0.text) } }
      links.insert(StyledLine(), at: 0)
    }
    return (lines + nodes + links).map { trimmed($0.rendered(style)) + "\n" }.joined()
  }

  private static func trimmed(_ text: String) -> String {
    String(text.reversed().drop { $0 == " " }.reversed())
  }
}
