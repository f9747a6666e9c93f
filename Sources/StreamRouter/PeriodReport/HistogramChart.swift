/// How durations of the packets of a stream spread, as SVG: a row of bars for each hop, all on one logarithmic axis.
struct HistogramChart {
  var title: String
  var rows: [(name: String, histogram: ResidenceHistogram)]

  private static let width = 640.0
  private static let rowHeight = 64.0
  private static let axisHeight = 20.0
  private static let left = 62.0
  private static let right = 10.0

  /// nil where no hop has a packet.
  func svg() -> String? {
    let rows = rows.enumerated().filter { $0.element.histogram.total > 0 }.prefix(HTMLLine.most)
    let hit = rows.flatMap { row in
      row.element.histogram.counts.indices.filter { row.element.histogram.counts[$0] > 0 }
    }
    guard let lowest = hit.min(), let highest = hit.max() else { return nil }
    // A few empty places beside a single one, or it would fill the picture.
    let first = max(0, lowest - 3)
    let last = min(ResidenceHistogram.bucketCount - 1, highest + 3)
    let step = (Self.width - Self.left - Self.right) / Double(last - first + 1)
    let height = Self.rowHeight * Double(rows.count) + Self.axisHeight
    var svg =
      "<svg class=\"chart\" viewBox=\"0 0 \(Int(Self.width)) \(Int(height))\" role=\"img\">"
      + HTMLText.element("title", "\(title), \(rows.count) hops; a bar for each step of a quarter") + "\n"
    for (place, row) in rows.enumerated() {
      svg += bars(row.element, row.offset, top: Self.rowHeight * Double(place), first...last, step)
    }
    let every = max(1, (last - first + 1) / 6)
    for bucket in stride(from: first, through: last, by: every) {
      let x = Self.left + step * Double(bucket - first + 1)
      svg +=
        "<text class=\"tick\" text-anchor=\"end\" x=\"\(LineChart.text(x))\" y=\"\(LineChart.text(height - 5))\">"
        + "&lt; " + HTMLText.escape(Self.bound(bucket)) + "</text>\n"
    }
    return svg + "</svg>"
  }

  private func bars(
    _ row: (name: String, histogram: ResidenceHistogram), _ index: Int, top: Double,
    _ buckets: ClosedRange<Int>,
    _ step: Double
  ) -> String {
    let total = Double(row.histogram.total)
    let most = Double(row.histogram.counts.max() ?? 1)
    let base = top + Self.rowHeight - 4
    let room = Self.rowHeight - 22
    var svg =
      "<text class=\"name\" x=\"2\" y=\"\(LineChart.text(top + 12))\">\(HTMLText.escape(row.name))</text>\n"
    svg += "<line class=\"axis\" x1=\"\(LineChart.text(Self.left))\" y1=\"\(LineChart.text(base))\" "
    svg += "x2=\"\(LineChart.text(Self.width - Self.right))\" y2=\"\(LineChart.text(base))\"/>\n"
    for bucket in buckets where row.histogram.counts[bucket] > 0 {
      let count = row.histogram.counts[bucket]
      // What was there once is seen.
      let height = max(1.5, room * Double(count) / most)
      let x = Self.left + step * Double(bucket - buckets.lowerBound)
      svg +=
        "<rect x=\"\(LineChart.text(x + 0.5))\" y=\"\(LineChart.text(base - height))\" "
        + "width=\"\(LineChart.text(max(1, step - 1)))\" height=\"\(LineChart.text(height))\" "
        + "fill=\"\(HTMLLine.colour(index))\">"
        + HTMLText.element(
          "title",
          "\(row.name), below \(Self.bound(bucket)): \(Figure.grouped(count)) packets, "
            + "\(Figure.percent(Double(count) / total))%") + "</rect>\n"
    }
    return svg
  }

  static func bound(_ bucket: Int) -> String {
    Figure.duration(seconds: Double(ResidenceHistogram.upperBoundNs(bucket: bucket)) / 1e9)
  }
}
