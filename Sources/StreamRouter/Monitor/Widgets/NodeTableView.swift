/// The page of nodes: whether each answers, how busy it is, and what runs there.
struct NodeTableView {
  let board: MonitorBoard
  /// The node that keys act on.
  let selected: String?
  let columns: Int
  let style: MonitorStyle

  private static let gap = 2

  func lines() -> [StyledLine] {
    let shown = NodeColumn.fitting(columns - MonitorLayout.margin, gap: Self.gap)
    let cells = board.nodes.map { node in
      shown.map { TextWidth.clean($0.value(node) ?? Figure.none) }
    }
    var widths = shown.map(\.width.lowerBound)
    var left =
      columns - MonitorLayout.margin - widths.reduce(0, +) - Self.gap * max(0, shown.count - 1)
    for index in shown.indices {
      let longest = cells.reduce(0) { max($0, TextWidth.cells($1[index])) }
      let more = max(0, min(left, min(shown[index].width.upperBound, longest) - widths[index]))
      widths[index] += more
      left -= more
    }
    func text(_ index: Int, _ text: String) -> String {
      TextWidth.fit(text, to: widths[index], mark: style.cutMark, alignRight: shown[index].alignsRight)
    }
    let gap = String(repeating: " ", count: Self.gap)
    let margin = String(repeating: " ", count: MonitorLayout.margin)
    let titles = shown.indices.map { text($0, shown[$0].title) }.joined(separator: gap)
    var lines = [StyledLine(margin + titles, .title)]
    for (node, texts) in zip(board.nodes, cells) {
      let isSelected = node.name == selected
      var line = StyledLine(isSelected ? (style.unicode ? "› " : "> ") : margin, .title)
      for index in shown.indices {
        line.append(index > 0 ? gap : "")
        line.append(
          text(index, texts[index]), shown[index].title == "STATE" ? Self.part(node.condition) : .plain)
      }
      if isSelected {
        line = line.filled(to: columns)
        line.isSelected = true
      }
      lines.append(line)
    }
    if board.nodes.isEmpty { lines.append(StyledLine("  no node", .faint)) }
    lines += [StyledLine(), StyledLine("Columns (a narrow terminal shows fewer)", .title)]
    return lines + shown.map { HelpView.entry($0.title, $0.text) }
  }

  static func part(_ condition: MonitorBoard.Node.Condition) -> StyledLine.Part {
    switch condition {
    case .up: .good
    case .stale: .warning
    case .down: .bad
    }
  }
}
