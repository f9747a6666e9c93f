/// The table of relays: column titles, and the rows that are on the screen.
struct TableView {
  let state: MonitorState
  let style: MonitorStyle

  /// One line more than the layout has rows, blank ones included.
  func lines() -> [StyledLine] {
    let layout = state.layout
    let columns = layout.widths(for: state.rows)
    let selected = state.selected
    var lines = [titles(columns)]
    let visible = state.rows.indices.dropFirst(state.top).prefix(layout.rows)
    for index in visible {
      var line = self.line(state.rows[index], columns, mark: index == selected)
      if index == selected {
        line = line.filled(to: state.size.columns)
        line.isSelected = true
      }
      lines.append(line)
    }
    if state.rows.isEmpty { lines.append(StyledLine("  " + emptyText(), .faint)) }
    return lines + repeatElement(StyledLine(), count: max(0, layout.rows + 1 - lines.count))
  }

  private func emptyText() -> String {
    if !state.board.rows.isEmpty { return "no relay matches the filter; esc clears it" }
    return state.board.anyNodeUp ? "the nodes run no relay yet" : "no node answers"
  }

  private func titles(_ columns: [(column: MonitorColumn, cells: Int)]) -> StyledLine {
    var text = String(repeating: " ", count: MonitorLayout.margin - MonitorLayout.gap)
    for (column, cells) in columns {
      let isSorted = column.name == state.order.column
      let arrow =
        style.unicode ? (state.order.isDescending ? "▼" : "▲") : (state.order.isDescending ? "v" : "^")
      // The arrow takes the gap before a right-aligned title, so that titles stay whole.
      let before = isSorted && column.alignsRight && TextWidth.cells(column.title) >= cells ? arrow : ""
      text += before.isEmpty ? String(repeating: " ", count: MonitorLayout.gap) : before
      let title =
        isSorted && before.isEmpty
        ? column.alignsRight ? arrow + column.title : column.title + arrow : column.title
      text += TextWidth.fit(title, to: cells, mark: style.cutMark, alignRight: column.alignsRight)
    }
    return StyledLine(text, .title)
  }

  private func line(
    _ row: MonitorRow, _ columns: [(column: MonitorColumn, cells: Int)], mark: Bool
  ) -> StyledLine {
    let condition = row.condition
    let rowPart: StyledLine.Part = condition == .stale ? .faint : .plain
    var line = StyledLine(mark ? (style.unicode ? "›" : ">") : " ", .title)
    for (column, cells) in columns {
      let text = column.shown(row, style: style, cells: cells)
      line.append(String(repeating: " ", count: MonitorLayout.gap))
      line.append(
        TextWidth.fit(TextWidth.clean(text), to: cells, mark: style.cutMark, alignRight: column.alignsRight),
        column.name == "state" ? Self.part(condition) : rowPart)
    }
    return line
  }

  static func part(_ condition: MonitorRow.Condition) -> StyledLine.Part {
    switch condition {
    case .ok: .good
    case .idle, .new, .cut: .faint
    case .limit, .loss, .stale: .warning
    case .drop: .bad
    }
  }
}
