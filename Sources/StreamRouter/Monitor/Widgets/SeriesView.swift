/// Figures over the last minute as charts, two beside each other where there is room.
struct SeriesView {
  struct Series {
    var title: String
    var values: MinuteSeries
    var text: (Double) -> String
  }

  let series: [Series]
  let columns: Int
  let style: MonitorStyle

  private static let height = 3
  private static let margin = 2
  private static let gap = 4

  /// What a relay did.
  init(row: MonitorRow, columns: Int, style: MonitorStyle) {
    let duration = { Figure.duration(seconds: $0) }
    let history = row.history
    series = [
      Series(title: "jitter", values: history.jitter, text: duration),
      Series(title: "residence p99", values: history.residenceP99, text: duration),
      Series(title: "packets/s", values: history.packetsPerSecond, text: Figure.scaled),
      Series(title: "lost on the way or dropped", values: history.lost, text: Figure.scaled),
    ]
    self.columns = columns
    self.style = style
  }

  /// How busy a node was.
  init(node history: NodeHistory, columns: Int, style: MonitorStyle) {
    let percent = { Figure.percent($0) + "%" }
    series = [
      Series(title: "runnable threads", values: history.runnableThreads, text: Figure.scaled),
      Series(title: "time a thread waited", values: history.pressureShare, text: percent),
      Series(title: "softirq", values: history.softirqShare, text: percent),
      Series(title: "ksoftirqd", values: history.ksoftirqdShare, text: percent),
    ]
    self.columns = columns
    self.style = style
  }

  func lines() -> [StyledLine] {
    let isDouble = columns >= 2 * (MinuteSeries.length + Self.margin) + Self.gap
    let cells = max(10, min(MinuteSeries.length, columns - Self.margin))
    let charts = series.filter { $0.values.largest != nil }.map { chart($0, cells: cells) }
    guard isDouble else { return charts.flatMap { $0 } }
    return stride(from: 0, to: charts.count, by: 2).flatMap { first in
      charts[first].indices.map { line in
        let left = charts[first][line].filled(to: Self.margin + cells + Self.gap)
        return first + 1 < charts.count ? left.joined(with: charts[first + 1][line]) : left
      }
    }
  }

  private func chart(_ series: Series, cells: Int) -> [StyledLine] {
    var title = StyledLine(series.title, .title)
    let now = series.values.latest.map(series.text) ?? Figure.none
    let most = series.values.largest.map(series.text) ?? Figure.none
    title.append("  \(now), at most \(most) in 60 s")
    let margin = String(repeating: " ", count: Self.margin)
    return [title.cut(to: Self.margin + cells, mark: style.cutMark)]
      + Chart.lines(series.values.seconds, cells: cells, height: Self.height, unicode: style.unicode).map {
        StyledLine(margin + $0, .graph)
      }
  }
}
