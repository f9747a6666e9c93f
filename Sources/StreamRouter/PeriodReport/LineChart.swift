/// A figure of all hops of a stream over time, as SVG: a line for each hop, interrupted where nothing is known.
struct LineChart {
  var title: String
  /// Ends of the parts of time, nanoseconds since 1970, rising.
  var timesNs: [UInt64]
  /// The hops with a value, or none, for each time.
  var lines: [(name: String, values: [Double?])]
  /// The axis goes at least that far.
  var least: Double
  /// How a value reads.
  var text: (Double) -> String

  private static let width = 640.0
  private static let height = 190.0
  private static let left = 62.0
  private static let right = 10.0
  private static let top = 10.0
  private static let bottom = 24.0

  private var highest: Double { lines.lazy.flatMap(\.values).compactMap { $0 }.filter(\.isFinite).max() ?? 0 }

  /// A number that a quarter of which reads well, not below the highest value.
  static func ceiling(_ value: Double) -> Double {
    guard value > 0, value.isFinite else { return 1 }
    var power = 1.0
    while power > value { power /= 10 }
    while power * 10 <= value { power *= 10 }
    return [1, 2, 3, 4, 6, 8, 10].map { $0 * power }.first { $0 >= value } ?? value
  }

  func svg() -> String {
    let ceiling = Self.ceiling(max(least, highest))
    let shown = lines.prefix(HTMLLine.most)
    var svg =
      "<svg class=\"chart\" viewBox=\"0 0 \(Int(Self.width)) \(Int(Self.height))\" role=\"img\">"
      + HTMLText.element("title", "\(title), \(lines.count) hops; the highest value is \(text(highest))") + "\n"
    svg += (0...4).map { step -> String in
      let value = ceiling * Double(step) / 4
      let y = self.y(value, ceiling)
      return
        "<line class=\"\(step == 0 ? "axis" : "grid")\" x1=\"\(Self.text(Self.left))\" y1=\"\(Self.text(y))\" "
        + "x2=\"\(Self.text(Self.width - Self.right))\" y2=\"\(Self.text(y))\"/>"
        + "<text class=\"tick\" text-anchor=\"end\" x=\"\(Self.text(Self.left - 6))\" y=\"\(Self.text(y + 4))\">"
        + HTMLText.escape(text(value)) + "</text>\n"
    }.joined()
    svg += ticks()
    for (index, line) in shown.enumerated() { svg += draw(line.values, index, ceiling) }
    return svg + "</svg>"
  }

  private func ticks() -> String {
    guard let first = timesNs.first, let last = timesNs.last else { return "" }
    let count: UInt64 = last > first ? 4 : 0
    let span = last > first ? last - first : 0
    return (0...count).map { step -> String in
      let time = first + span / max(1, count) * step
      let anchor = count == 0 ? "middle" : step == 0 ? "start" : step == count ? "end" : "middle"
      return "<text class=\"tick\" text-anchor=\"\(anchor)\" x=\"\(Self.text(x(time)))\" "
        + "y=\"\(Self.text(Self.height - 6))\">\(Figure.clock(timeNs: time))</text>\n"
    }.joined()
  }

  private func draw(_ values: [Double?], _ index: Int, _ ceiling: Double) -> String {
    var path = ""
    var dots = ""
    for place in values.indices where place < timesNs.count {
      guard let value = values[place], value.isFinite else { continue }
      let point = "\(Self.text(x(timesNs[place]))) \(Self.text(y(value, ceiling)))"
      let before = place > 0 ? values[place - 1] : nil
      let after = place + 1 < values.count ? values[place + 1] : nil
      path += before == nil ? "M\(point)" : "L\(point)"
      // A line of one point is not seen.
      if before == nil, after == nil {
        dots +=
          "<circle r=\"2.5\" cx=\"\(Self.text(x(timesNs[place])))\" cy=\"\(Self.text(y(value, ceiling)))\" "
          + "fill=\"\(HTMLLine.colour(index))\"/>"
      }
    }
    guard !path.isEmpty else { return "" }
    return "<path class=\"line\" \(HTMLLine.attributes(index)) d=\"\(path)\"/>\(dots)\n"
  }

  private func x(_ timeNs: UInt64) -> Double {
    let width = Self.width - Self.left - Self.right
    guard let first = timesNs.first, let last = timesNs.last, last > first else { return Self.left + width / 2 }
    let passed = timeNs > first ? Double(timeNs - first) : 0
    return Self.left + width * min(1, passed / Double(last - first))
  }

  private func y(_ value: Double, _ ceiling: Double) -> Double {
    let height = Self.height - Self.top - Self.bottom
    return Self.height - Self.bottom - height * max(0, min(1, value / ceiling))
  }

  /// A coordinate with one decimal.
  static func text(_ value: Double) -> String {
    let tenths = Int((max(-1e6, min(1e6, value)) * 10).rounded())
    return "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)"
  }
}
