/// The last line: the keys of the page, or the filter while it is typed.
struct FooterView {
  let state: MonitorState

  func line() -> StyledLine {
    if state.isEditingFilter {
      var line = StyledLine("/" + state.order.filter, .title)
      line.append("_")
      line.append("  enter keeps, esc clears, !text inverts", .faint)
      return line
    }
    var line = StyledLine()
    var left = state.size.columns
    // Whole entries only: half a key is no help.
    for (key, text) in keys() {
      let needed = TextWidth.cells(key) + 1 + TextWidth.cells(text) + (line.cells > 0 ? 2 : 0)
      if needed > left { break }
      line.append((line.cells > 0 ? "  " : ""))
      line.append(key, .title)
      line.append(" " + text, .faint)
      left -= needed
    }
    return line
  }

  private func keys() -> [(String, String)] {
    guard let player = state.player else { return pageKeys() }
    return [
      ("space", player.isPaused ? "go on" : "pause"), ("[ ]", "step"), ("{ }", "minute"), ("+ -", "speed"),
    ] + pageKeys().filter { $0.0 != "space" }
  }

  private func pageKeys() -> [(String, String)] {
    switch state.page {
    case .table:
      [
        ("q", "quit"), ("?", "help"), ("enter", "detail"), ("n", "nodes"), ("e", "events"), ("/", "filter"),
        ("l", "links"),
        ("c", "columns"), ("space", state.isFrozen ? "go on" : "freeze"),
        ("< >", "sort: \(state.order.column)"),
        ("r", "reverse"), ("j k", "select"),
      ]
    case .detail:
      [
        ("q", "quit"), ("esc", "back"), ("tab", "next hop"), ("j k", "scroll"),
        ("space", state.isFrozen ? "go on" : "freeze"), ("n", "nodes"), ("e", "events"),
      ]
    case .nodes:
      [
        ("q", "quit"), ("esc", "back"), ("enter", "detail"), ("j k", "select"),
        ("space", state.isFrozen ? "go on" : "freeze"),
      ]
    case .columns:
      [
        ("q", "quit"), ("esc", "back"), ("space", "show or hide"), ("J K", "move"), ("d", "usual columns"),
        ("j k", "select"),
      ]
    case .node, .links, .events, .help:
      [("q", "quit"), ("esc", "back"), ("j k", "scroll"), ("space", state.isFrozen ? "go on" : "freeze")]
    }
  }
}
