/// One line a node: whether it answers, and how busy it is.
struct NodesView {
  let board: MonitorBoard
  let style: MonitorStyle

  /// Nodes that do not answer come first where not all fit, and the last line then counts those left out.
  func lines(atMost limit: Int) -> [StyledLine] {
    var nodes = board.nodes
    let fits = nodes.count <= limit
    if !fits { nodes = nodes.filter { $0.condition != .up } + nodes.filter { $0.condition == .up } }
    let shown = fits ? nodes.count : max(0, limit - 1)
    let width = min(32, board.nodes.reduce(0) { max($0, TextWidth.cells($1.name)) })
    var lines = nodes.prefix(shown).map { line($0, nameWidth: width) }
    if !fits {
      let rest = nodes.dropFirst(shown)
      let silent = rest.count { $0.condition != .up }
      let state = silent == 0 ? "all up" : "\(silent) not answering"
      lines.append(StyledLine("\(rest.count) more nodes, \(state)", silent == 0 ? .faint : .bad))
    }
    return lines
  }

  private func line(_ node: MonitorBoard.Node, nameWidth: Int) -> StyledLine {
    var line = StyledLine(TextWidth.fit(TextWidth.clean(node.name), to: nameWidth, mark: style.cutMark) + "  ")
    switch node.condition {
    case .up:
      line.append("up     ", .good)
      line.append(Self.load(node))
    case .stale:
      line.append("stale  ", .warning)
      let age = node.reading.staleSeconds ?? 0
      line.append("last answer \(Figure.age(seconds: age)) ago\(Self.problem(node))")
    case .down:
      line.append("down   ", .bad)
      line.append("never answered\(Self.problem(node))")
    }
    return line
  }

  /// How busy the node is, as live view and table say it.
  static func load(_ node: MonitorBoard.Node) -> String {
    guard let load = node.reading.snapshot?.load else { return "" }
    let share = node.rates?.softirqShare.map { Figure.percent($0) + "%" } ?? Figure.none
    return "\(load.runnableThreads) runnable on \(load.processors) CPUs, softirq \(share)"
  }

  private static func problem(_ node: MonitorBoard.Node) -> String {
    node.reading.problem.map { ": \($0)" } ?? ""
  }
}
