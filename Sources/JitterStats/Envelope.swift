/// How far points reach above and below any straight line, known without keeping the points: their convex hull.
///
/// Which line is not known before the last point has come: the media rate of an interval, the drift of a clock. The
/// points with the largest and the smallest distance from any line are corners of the hull, and thousands of points have
/// some tens of them. Beyond ``cornersLimit`` the corner that tells least is given up.
struct Envelope: Hashable, Sendable {
  struct Point: Hashable, Sendable {
    var x: Double
    var y: Double
  }

  /// Corners of either side that are kept.
  static let cornersLimit = 128

  private var upper = Side()
  /// Mirrored at y = 0.
  private var lower = Side()

  /// Takes in a point. Those of lesser x than one before count as of that x.
  mutating func record(x: Double, y: Double) { record(x: x, low: y, high: y) }

  /// Takes in two points of one x.
  mutating func record(x: Double, low: Double, high: Double) {
    upper.record(Point(x: x, y: high))
    lower.record(Point(x: x, y: -low))
  }

  /// The points farthest above and below the line of this slope through the origin, y being the distance from it; nil
  /// of no point.
  func extremes(slope: Double) -> (highest: Point, lowest: Point)? {
    guard let highest = upper.farthest(slope: slope), let lowest = lower.farthest(slope: -slope) else {
      return nil
    }
    return (highest, Point(x: lowest.x, y: -lowest.y))
  }

  /// Takes in the points of another, which lie right of ours once they are moved by (x, y).
  mutating func merge(_ other: Envelope, x: Double, y: Double) {
    for point in other.upper.corners { upper.record(Point(x: point.x + x, y: point.y + y)) }
    for point in other.lower.corners { lower.record(Point(x: point.x + x, y: point.y - y)) }
  }

  /// The upper half of a hull, from left to right (Andrew's monotone chain).
  private struct Side: Hashable, Sendable {
    private(set) var corners: [Point] = []

    mutating func record(_ point: Point) {
      var point = point
      if let last = corners.last, point.x <= last.x {
        guard point.y > last.y else { return }
        point.x = last.x
        corners.removeLast()
      }
      while corners.count >= 2, Self.height(corners[corners.count - 2], corners[corners.count - 1], point) <= 0
      {
        corners.removeLast()
      }
      corners.append(point)
      if corners.count > Envelope.cornersLimit { giveUpOne() }
    }

    /// How far the middle point lies above the line through the others.
    private static func height(_ left: Point, _ middle: Point, _ right: Point) -> Double {
      let part = right.x > left.x ? (middle.x - left.x) / (right.x - left.x) : 0
      return middle.y - (left.y + part * (right.y - left.y))
    }

    private mutating func giveUpOne() {
      func height(_ place: Int) -> Double {
        Self.height(corners[place - 1], corners[place], corners[place + 1])
      }
      if let least = (1..<corners.count - 1).min(by: { height($0) < height($1) }) { corners.remove(at: least) }
    }

    func farthest(slope: Double) -> Point? {
      corners.lazy.map { Point(x: $0.x, y: $0.y - slope * $0.x) }.max { $0.y < $1.y }
    }
  }
}
