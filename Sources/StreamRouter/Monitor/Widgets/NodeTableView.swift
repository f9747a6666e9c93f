/// The page of nodes: whether each answers, how busy it is, and what runs there.
struct NodeTableView {
  let board: MonitorBoard
  /// The node that keys act on.
  let selected: String?
  let columns: Int
  let style: MonitorStyle

  func lines() -> [StyledLine] {
    let width = columns - MonitorLayout.margin
    let shown = PageColumns(NodeColumn.all, fitting: width)
    let gap = String(repeating: " ", count: PageColumns<MonitorBoard.Node>.gap)
    let margin = String(repeating: " ", count: MonitorLayout.margin)
    let rows = shown.rows(board.nodes, within: width, cutMark: style.cutMark)
    var lines = [StyledLine(margin + rows[0].joined(separator: gap), .title)]
    for (node, texts) in zip(board.nodes, rows.dropFirst()) {
      let isSelected = node.name == selected
      var line = StyledLine(isSelected ? (style.unicode ? "› " : "> ") : margin, .title)
      for (index, text) in texts.enumerated() {
        line.append(index > 0 ? gap : "")
        line.append(text, shown.columns[index].title == "STATE" ? Self.part(node.condition) : .plain)
      }
      if isSelected {
        line = line.filled(to: columns)
        line.isSelected = true
      }
      lines.append(line)
    }
    if board.nodes.isEmpty { lines.append(StyledLine("  no node", .faint)) }
    lines += [StyledLine(), StyledLine("Columns (a narrow terminal shows fewer)", .title)]
    return lines + shown.columns.map { HelpView.entry($0.title, $0.text) }
  }

  static func part(_ condition: MonitorBoard.Node.Condition) -> StyledLine.Part {
    switch condition {
    case .up: .good
    case .stale: .warning
    case .down: .bad
    }
  }
}
