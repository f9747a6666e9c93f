/// A series of values as one line of little bars.
enum Sparkline {
  private static let blocks = Array("▁▂▃▄▅▆▇█")
  private static let ascii = Array("_.:-=+*#")

  /// `cells` bars, oldest first, from zero to the largest value. Where there are more values than cells, a bar
  /// is the largest of its share, so that no spike is hidden; nil values leave a blank.
  static func text(_ values: [Double?], cells: Int, unicode: Bool) -> String {
    guard cells > 0, !values.isEmpty else { return "" }
    let count = min(cells, values.count)
    let levels = unicode ? blocks : ascii
    let top = values.reduce(0) { max($0, $1 ?? 0) }
    var line = ""
    for cell in 0..<count {
      let share = values[cell * values.count / count..<(cell + 1) * values.count / count]
      guard let value = share.compactMap({ $0 }).max() else {
        line.append(" ")
        continue
      }
      let level = top > 0 ? Int((value / top * Double(levels.count - 1)).rounded()) : 0
      line.append(levels[max(0, min(levels.count - 1, level))])
    }
    return line
  }

  /// A horizontal bar of `cells` cells at most, for a share from 0 to 1; something above zero is never empty.
  static func bar(share: Double, cells: Int, unicode: Bool) -> String {
    let filled = Int((share * Double(cells)).rounded())
    return String(repeating: unicode ? "█" : "#", count: min(cells, max(share > 0 ? 1 : 0, filled)))
  }
}
