import Topology

/// The way of a stream drawn from top to bottom: each hop with what it adds, and between two the link with what it
/// loses and adds. So it shows which place hurts.
struct PathView {
  let path: StreamPath
  /// The hop that the page is about.
  let selected: MonitorRow.ID
  let columns: Int
  let style: MonitorStyle

  /// Cells of each figure; those at the end give way first.
  private static let figures: [(title: String, cells: Int)] = [
    ("LOST", 6), ("ADDED", 7), ("JITTER", 7), ("PKT/S", 7), ("P99", 7),
  ]
  private static let leastName = 22
  private static let bar = 12

  func lines() -> [StyledLine] {
    let shown = shownFigures
    let worst = path.worst
    let most = path.steps.compactMap { path.addedSeconds($0.place) }.max() ?? 0
    var title = StyledLine(TextWidth.fit("Path", to: nameWidth, mark: style.cutMark), .title)
    for figure in shown {
      title.append(
        TextWidth.fit(figure.title, to: figure.cells, mark: style.cutMark, alignRight: true), .title)
    }
    return [title]
      + path.steps.map { step in
        var line = name(step)
        let values = figures(step.place)
        for figure in shown {
          let value = values[figure.title]
          line.append(
            TextWidth.fit(
              value?.text ?? "", to: figure.cells, mark: style.cutMark, alignRight: true),
            value?.part ?? .plain)
        }
        if hasBars, let added = path.addedSeconds(step.place), most > 0 {
          line.append("  ")
          line.append(
            Sparkline.bar(share: added / most, cells: Self.bar, unicode: style.unicode),
            step.place == worst ? .warning : .graph)
        }
        if step.place == worst { line.append(style.unicode ? " ◂ adds most" : " < adds most", .warning) }
        return line
      }
  }

  private var shownFigures: [(title: String, cells: Int)] {
    var left = columns - Self.leastName
    let kept = Self.figures.prefix { figure in
      left -= figure.cells
      return left >= 0
    }
    // As a reader goes: what flows, how it arrives, what was lost, how long it stays, what was added.
    let order = ["PKT/S", "JITTER", "LOST", "P99", "ADDED"]
    return kept.sorted { order.firstIndex(of: $0.title) ?? 0 < order.firstIndex(of: $1.title) ?? 0 }
  }

  private var figureCells: Int { shownFigures.reduce(0) { $0 + $1.cells } }
  private var hasBars: Bool { columns >= Self.leastName + figureCells + Self.bar + 16 }
  private var nameWidth: Int {
    min(48, columns - figureCells - (hasBars ? Self.bar + 16 : 0))
  }

  private typealias Value = (text: String, part: StyledLine.Part)

  private func figures(_ place: StreamPath.Place) -> [String: Value] {
    func duration(_ seconds: Double?) -> Value? {
      seconds.map { (Figure.duration(seconds: $0), .plain) }
    }
    func count(_ lost: UInt64?, _ part: StyledLine.Part) -> Value? {
      lost.map { (Figure.scaled(Double($0)), $0 > 0 ? part : .plain) }
    }
    switch place {
    case .hop(let index):
      let row = path.rows[index]
      guard let rates = row.rates else { return [:] }
      return [
        "PKT/S": (Figure.scaled(rates.packetsPerSecond), .plain), "JITTER": duration(row.jitterSeconds),
        "LOST": count(rates.dropped, rates.dropped > rates.droppedByExtensions ? .bad : .faint),
        "P99": duration(rates.residence?.p99Seconds), "ADDED": duration(row.addedSeconds),
      ].compactMapValues { $0 }
    case .entry(let to), .link(_, let to):
      let row = path.rows[to]
      guard row.staleSeconds == nil else { return [:] }
      return ["LOST": count(row.linkLost, .warning), "ADDED": duration(path.addedSeconds(place))]
        .compactMapValues { $0 }
    case .sink, .unknownHop: return [:]
    }
  }

  private func name(_ step: StreamPath.Step) -> StyledLine {
    let indent = String(repeating: style.unicode ? "│ " : "| ", count: step.depth)
    let (line, end, hop) = style.unicode ? ("│ ", "└ ", "● ") : ("| ", "` ", "o ")
    let isSelected =
      if case .hop(let index) = step.place { path.rows[index].id == selected } else { false }
    var result = StyledLine(isSelected ? (style.unicode ? "›" : ">") : " ", .title)
    result.append(indent, .faint)
    var state: StyledLine?
    switch step.place {
    case .entry(let to):
      let ingress = path.rows[to].relay.ingress
      result.append(line, .faint)
      result.append("comes in at \(ingress)", .faint)
    case .link(_, let to):
      result.append(line, .faint)
      result.append("link to \(path.rows[to].node)", .faint)
    case .hop(let index):
      let row = path.rows[index]
      result.append(hop, TableView.part(row.condition))
      result.append(row.node, isSelected ? .title : .plain)
      result.append(" \(row.relay.engine.rawValue)", .faint)
      state = StyledLine(" \(row.condition.rawValue)", TableView.part(row.condition))
    case .sink(let sink, _):
      result.append(end, .faint)
      result.append(sink.kind == .local ? "local \(sink.destination)" : "to \(sink.destination)", .faint)
    case .unknownHop(let sink, _):
      result.append(line, .faint)
      result.append("link to \(sink.name), whose relay is not known", .warning)
    }
    let room = nameWidth - (state?.cells ?? 0)
    let cut = result.cut(to: room, mark: style.cutMark)
    return (state.map { cut.joined(with: $0) } ?? cut).filled(to: nameWidth)
  }
}
