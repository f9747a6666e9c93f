/// The page of events: what happened since the monitor was started, the latest first.
struct EventsView {
  let events: [MonitorEvent]
  let style: MonitorStyle

  func lines() -> [StyledLine] {
    var lines = [StyledLine("Events since this monitor was started, the latest first", .title)]
    guard !events.isEmpty else { return lines + [StyledLine("  nothing happened yet", .faint)] }
    let width = min(32, events.reduce(0) { max($0, TextWidth.cells($1.place)) })
    lines += events.reversed().map { event in
      var line = StyledLine("  \(Figure.clock(timeNs: event.timeNs))  ", .faint)
      line.append(TextWidth.fit(TextWidth.clean(event.place), to: width, mark: style.cutMark) + "  ")
      line.append(TextWidth.fit(event.kind.rawValue, to: 18, mark: style.cutMark), event.kind.part)
      line.append("  " + TextWidth.clean(event.text))
      return line
    }
    return lines
  }
}
