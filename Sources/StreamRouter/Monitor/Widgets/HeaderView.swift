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
    switch state.recording {
    case .none: break
    case .running: right.append("REC ", .bad)
    case .stopped: right.append("NOT RECORDING ", .bad)
    }
    if let player = state.player {
      playing(player, &right)
    } else {
      right.append(Figure.clock(timeNs: board.timeNs) + " UTC", .faint)
    }
    let left = line.cut(to: max(0, state.size.columns - right.cells - 1), mark: style.cutMark)
    return left.filled(to: state.size.columns - right.cells).joined(with: right)
  }

  private func playing(_ player: Player, _ line: inout StyledLine) {
    let word = player.isAtEnd ? "END" : player.isPaused ? "PAUSED" : "PLAY"
    let speed = player.speed < 1 ? "1/\(Int(1 / player.speed))" : "\(Int(player.speed))"
    line.append("\(word) x\(speed) \(player.position + 1)/\(player.count) ", .warning)
    // Recorded on another day as a rule; without parts of a second and what separates date and time.
    let time = MonitorDocument.text(timeNs: player.timeNs)
    line.append("\(time.prefix(10)) \(time.dropFirst(11).prefix(8)) UTC", .faint)
  }

  private func relays() -> String {
    let all = state.board.rows.count
    return state.rows.count == all ? "\(all) relays" : "\(state.rows.count) of \(all) relays"
  }
}
