/// A series of values as bars over several lines, from zero to the largest.
enum Chart {
  private static let blocks = Array("▁▂▃▄▅▆▇█")

  /// `height` lines of `cells` cells, the highest first. Where there are more values than cells, a bar is the largest
  /// of its share; nil values leave a blank, and what is above zero shows at least the lowest block.
  static func lines(_ values: [Double?], cells: Int, height: Int, unicode: Bool) -> [String] {
    guard cells > 0, height > 0, !values.isEmpty else { return [] }
    let count = min(cells, values.count)
    let bars = (0..<count).map { cell in
      values[cell * values.count / count..<(cell + 1) * values.count / count].compactMap { $0 }.max()
    }
    let top = bars.reduce(0) { max($0, $1 ?? 0) }
    let steps = unicode ? blocks.count : 2
    let levels = bars.map { value -> Int? in
      guard let value else { return nil }
      guard top > 0, value > 0 else { return 0 }
      return max(1, Int((value / top * Double(height * steps)).rounded()))
    }
    return (0..<height).reversed().map { line in
      String(
        levels.map { level -> Character in
          guard let level else { return " " }
          let here = level - line * steps
          // Zero is a value, and no gap.
          if here <= 0 { return line == 0 ? (unicode ? "▁" : "_") : " " }
          return unicode ? blocks[min(steps, here) - 1] : here == 1 ? "." : "#"
        })
    }
  }
}
