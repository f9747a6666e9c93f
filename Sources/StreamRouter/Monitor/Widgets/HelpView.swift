/// The page of help: what the keys do and what the columns say.
enum HelpView {
  private static let keys: [(String, String)] = [
    ("q  Ctrl-C", "quit"),
    ("Q", "quit and leave the last picture on the terminal"),
    ("?  h", "this help"),
    ("esc", "back; in the table: clear the filter"),
    ("arrows  j k", "select a relay, or scroll"),
    ("g  G", "first, last"),
    ("PgUp  PgDn", "a screen up, down"),
    ("enter", "the selected relay and its stream's path; the selected node"),
    ("<- ->  tab", "there: the stream's hop before, its next hop"),
    ("n", "nodes: load, engines, extensions"),
    ("l", "links: loss, round trip, delay variation, clocks"),
    ("e", "what happened: streams start, stop, lose; limits; silent nodes"),
    ("c", "choose columns and their order"),
    ("t", "next theme"),
    ("/", "filter by stream, node, engine or state; !text shows the others"),
    ("<  >", "sort by the column to the left, to the right"),
    ("r", "reverse the order"),
    ("space", "freeze the picture; readings go on behind it"),
  ]

  private static let playing: [(String, String)] = [
    ("space", "pause, go on"), ("[  ]", "one reading back, on"), ("{  }", "a minute back, on"),
    ("+  -", "twice, half as fast"),
  ]

  static func lines(_ choice: ColumnChoice = ColumnChoice(), playing isPlaying: Bool = false) -> [StyledLine] {
    var lines = [StyledLine("Keys", .title)]
    lines += keys.map { entry($0.0, $0.1) }
    if isPlaying {
      lines += [StyledLine(), StyledLine("Keys of the recording that is played", .title)]
      lines += playing.map { entry($0.0, $0.1) }
    }
    lines += [StyledLine(), StyledLine("Columns (a narrow terminal shows fewer)", .title)]
    lines += choice.columns.map { entry($0.title, $0.text) }
    lines += [StyledLine(), StyledLine("Figures", .title)]
    lines += [
      entry("LOSS%", "in JSON and CSV a ratio from 0 to 1"),
      entry("-", "not known: one reading only, no packets, or the node is stale"),
      entry("p50 p99 max", "upper bounds of histogram steps, up to 25% too high"),
      entry("softirq", "share of all processor time; relays of engine sandbox run there"),
    ]
    return lines
  }

  static func entry(_ name: String, _ text: String) -> StyledLine {
    var line = StyledLine("  " + TextWidth.fit(name, to: 12, mark: "~") + " ", .title)
    line.append(text)
    return line
  }
}
