/// The page of links: what test packets tell of each, from either end.
struct LinksView {
  let links: [MonitorLink]
  let columns: Int
  let style: MonitorStyle

  private static let gap = 2

  func lines() -> [StyledLine] {
    if links.isEmpty {
      return [StyledLine("no link is probed: 'probe: off' in the topology, or nodes without links", .faint)]
    }
    let shown = LinkColumn.fitting(columns, gap: Self.gap)
    var lines = table(shown)
    lines += [
      StyledLine(),
      StyledLine(
        "Columns: over the latest \(MonitorLink.windowNs / 1_000_000_000) s (a narrow terminal shows fewer)",
        .title),
    ]
    return lines + shown.map { HelpView.entry($0.title, $0.text) }
  }

  /// Titles, a line for each link, and under it why it is not as it should be.
  func table(_ shown: [LinkColumn]) -> [StyledLine] {
    let cells = links.map { link in shown.map { TextWidth.clean($0.value(link) ?? Figure.none) } }
    var widths = shown.map(\.width.lowerBound)
    var left = columns - widths.reduce(0, +) - Self.gap * max(0, shown.count - 1)
    for index in shown.indices {
      let longest = cells.reduce(TextWidth.cells(shown[index].title)) { max($0, TextWidth.cells($1[index])) }
      let more = max(0, min(left, min(shown[index].width.upperBound, longest) - widths[index]))
      widths[index] += more
      left -= more
    }
    func line(_ texts: [String], _ part: (LinkColumn) -> StyledLine.Part) -> StyledLine {
      var line = StyledLine()
      for (index, column) in shown.enumerated() {
        if index > 0 { line.append(String(repeating: " ", count: Self.gap)) }
        line.append(
          TextWidth.fit(texts[index], to: widths[index], mark: style.cutMark, alignRight: column.alignsRight),
          part(column))
      }
      return line
    }
    var lines = [line(shown.map(\.title)) { _ in .title }]
    for (link, texts) in zip(links, cells) {
      lines.append(line(texts) { $0.title == "STATE" ? Self.part(link.condition) : .plain })
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
