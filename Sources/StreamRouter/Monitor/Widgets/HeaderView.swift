/// The first line: the topology, how many nodes answer, what is filtered, whether it is frozen, the time.
struct HeaderView {
  let state: MonitorState
  let style: MonitorStyle

  func line() -> StyledLine {
    let board = state.board
    var line = StyledLine(board.topology.isEmpty ? "streamrouter" : board.topology, .title)
    let up = board.count(.up)
    line.append("  \(up) of \(board.nodes.count) nodes up", up == board.nodes.count ? .good : .plain)
    let stale = board.count(.stale)
    if stale > 0 { line.append(", \(stale) stale", .warning) }
    let down = board.count(.down)
    if down > 0 { line.append(", \(down) down", .bad) }
    line.append("  \(relays())")
    if !state.order.filter.isEmpty { line.append("  filter \(state.order.filter)", .warning) }
    var right = StyledLine()
    if state.isFrozen { right.append("FROZEN ", .warning) }
    right.append(Figure.clock(timeNs: board.timeNs) + " UTC", .faint)
    let left = line.cut(to: max(0, state.size.columns - right.cells - 1), mark: style.cutMark)
    return left.filled(to: state.size.columns - right.cells).joined(with: right)
  }

  private func relays() -> String {
    let all = state.board.rows.count
    return state.rows.count == all ? "\(all) relays" : "\(state.rows.count) of \(all) relays"
  }
}
