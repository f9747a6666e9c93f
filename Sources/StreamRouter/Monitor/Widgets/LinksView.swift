/// The page of links: what test packets tell of each, from either end.
struct LinksView {
  let links: [MonitorLink]
  let columns: Int
  let style: MonitorStyle

  func lines() -> [StyledLine] {
    if links.isEmpty {
      return [StyledLine("no link is probed: 'probe: off' in the topology, or nodes without links", .faint)]
    }
    let shown = PageColumns(LinkColumn.all, fitting: columns)
    let seconds = MonitorLink.windowNs / 1_000_000_000
    return table(shown) + [
      StyledLine(),
      StyledLine("Columns: over the latest \(seconds) s (a narrow terminal shows fewer)", .title),
    ] + shown.columns.map { HelpView.entry($0.title, $0.text) }
  }

  /// Titles, a line for each link, and under it why it is not as it should be.
  func table(_ shown: PageColumns<MonitorLink>) -> [StyledLine] {
    let gap = String(repeating: " ", count: PageColumns<MonitorLink>.gap)
    let rows = shown.rows(links, within: columns, cutMark: style.cutMark)
    var lines = [StyledLine(rows[0].joined(separator: gap), .title)]
    for (link, texts) in zip(links, rows.dropFirst()) {
      var line = StyledLine()
      for (index, text) in texts.enumerated() {
        if index > 0 { line.append(gap) }
        line.append(text, shown.columns[index].title == "STATE" ? Self.part(link.condition) : .plain)
      }
      lines.append(line)
      if let why = Self.why(link) { lines.append(StyledLine("  " + why, .faint)) }
    }
    return lines
  }

  private static func why(_ link: MonitorLink) -> String? {
    switch link.condition {
    case .failed: link.snapshot.problem
    case .silent:
      link.silentSeconds.map { "no answer for \(Figure.age(seconds: $0))" } ?? "never answered"
    case .stale, .new, .loss, .ok: link.snapshot.problem
    }
  }

  static func part(_ condition: MonitorLink.Condition) -> StyledLine.Part {
    switch condition {
    case .ok: .good
    case .new: .plain
    case .stale, .loss: .warning
    case .silent, .failed: .bad
    }
  }
}
