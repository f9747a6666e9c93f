/// The page that chooses columns: which stand in the table, in which order.
struct ColumnsView {
  let choice: ColumnChoice
  /// The column that keys act on.
  let selected: String?
  let columns: Int
  let style: MonitorStyle

  func lines() -> [StyledLine] {
    let names = choice.everyName
    let width = names.reduce(0) { max($0, $1.count) }
    var lines = [StyledLine("Columns: space shows or hides, J K move, d takes the usual ones", .title)]
    for name in names {
      guard let column = MonitorColumn.all.first(where: { $0.name == name }) else { continue }
      let isSelected = name == selected
      var line = StyledLine(isSelected ? (style.unicode ? "› " : "> ") : "  ", .title)
      let isShown = choice.shows(name)
      line.append(isShown ? "[x] " : "[ ] ", isShown ? .good : .faint)
      line.append(TextWidth.fit(name, to: width, mark: style.cutMark), isShown ? .plain : .faint)
      line.append("  \(column.text)", .faint)
      if isSelected {
        line = line.cut(to: columns, mark: style.cutMark).filled(to: columns)
        line.isSelected = true
      }
      lines.append(line)
    }
    return lines + [StyledLine()] + option()
  }

  /// What keeps the choice: the option, in as many lines as it takes.
  private func option() -> [StyledLine] {
    var lines = ["--columns "]
    for name in choice.text.split(separator: ",") {
      let more = (lines[lines.count - 1].hasSuffix(" ") ? "" : ",") + name
      if lines[lines.count - 1].count + more.count >= columns {
        lines[lines.count - 1] += ","
        lines.append("    " + name)
      } else {
        lines[lines.count - 1] += more
      }
    }
    return lines.map { StyledLine($0, .faint) }
  }
}
