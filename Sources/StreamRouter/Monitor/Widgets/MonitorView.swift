/// The whole screen of the live view: puts the widgets under each other.
struct MonitorView {
  let state: MonitorState
  let style: MonitorStyle

  /// Exactly as many lines as the terminal has, none wider than it.
  func frame() -> [StyledLine] {
    if state.size.isTooSmall { return tooSmall() }
    var lines = [HeaderView(state: state, style: style).line()]
    switch state.page {
    case .table:
      lines += TableView(state: state, style: style).lines()
      lines += NodesView(board: state.board, style: style).lines(atMost: state.layout.nodeLines)
    case .detail, .nodes, .node, .links, .events, .columns, .help:
      lines += Self.text(state, style).dropFirst(state.scroll).prefix(Self.textRows(state.size))
      lines += repeatElement(StyledLine(), count: max(0, state.size.rows - 1 - lines.count))
    }
    lines.append(FooterView(state: state).line())
    return lines.map { $0.cut(to: state.size.columns, mark: style.cutMark) }
  }

  private func tooSmall() -> [StyledLine] {
    let least = MonitorState.Size.least
    let text = ["terminal too small", "needs \(least.columns)x\(least.rows)", "q quits"]
    let lines = text.prefix(state.size.rows).map {
      StyledLine($0).cut(to: state.size.columns, mark: style.cutMark)
    }
    return lines + repeatElement(StyledLine(), count: max(0, state.size.rows - lines.count))
  }

  /// Lines on the screen for all pages but the table.
  static func textRows(_ size: MonitorState.Size) -> Int { max(1, size.rows - 2) }

  /// Lines that such a page has in all.
  static func textLength(_ state: MonitorState) -> Int {
    text(state, MonitorStyle(colour: false, unicode: false)).count
  }

  /// The line of such a page that keys act on; nil where it has none.
  static func cursorLine(_ state: MonitorState) -> Int? {
    text(state, MonitorStyle(colour: false, unicode: false)).firstIndex(where: \.isSelected)
  }

  private static func text(_ state: MonitorState, _ style: MonitorStyle) -> [StyledLine] {
    switch state.page {
    case .table: []
    case .help: HelpView.lines(state.order.columns, playing: state.player != nil)
    case .columns:
      ColumnsView(
        choice: state.order.columns, selected: state.cursor, columns: state.size.columns, style: style
      ).lines()
    case .nodes:
      NodeTableView(
        board: state.board, selected: state.cursor, columns: state.size.columns, style: style
      ).lines()
    case .node(let name):
      NodeDetailView(
        name: name, node: state.board.nodes.first { $0.name == name },
        rows: state.board.rows.filter { $0.node == name },
        links: state.board.links.filter { $0.node == name }, timeNs: state.board.timeNs,
        columns: state.size.columns, style: style
      ).lines()
    case .links: LinksView(links: state.board.links, columns: state.size.columns, style: style).lines()
    case .events: EventsView(events: state.board.events, style: style).lines()
    case .detail(let id):
      DetailView(
        id: id, row: state.board.rows.first { $0.id == id },
        path: StreamPath(stream: id.stream, rows: state.board.rows),
        node: state.board.nodes.first { $0.name == id.node }, timeNs: state.board.timeNs,
        columns: state.size.columns, style: style
      ).lines()
    }
  }
}
