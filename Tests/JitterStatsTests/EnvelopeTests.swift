import TestSupport
import Testing

@testable import JitterStats

@Suite struct EnvelopeTests {
  private static func extremes(_ points: [(x: Double, y: Double)], slope: Double) -> (Double, Double) {
    let rests = points.map { $0.y - slope * $0.x }
    return (rests.max() ?? 0, rests.min() ?? 0)
  }

  @Test("the extremes against any line are those of all points") func random() throws {
    var random = SeededRandom()
    let seed = random.seed
    for round in 0..<30 {
      var envelope = Envelope()
      var later = Envelope()
      var points: [(x: Double, y: Double)] = []
      var (x, y) = (0.0, 0.0)
      for place in 0..<2_000 {
        if !random.once(in: 4) { x += Double.random(in: 0..<1, using: &random) }
        y =
          round % 2 == 0
          ? Double.random(in: -1..<1, using: &random) : y + Double.random(in: -1..<1, using: &random)
        points.append((x, y))
        if place < 1_000 { envelope.record(x: x, y: y) } else { later.record(x: x - 7, y: y + 3) }
      }
      envelope.merge(later, x: 7, y: -3)
      for _ in 0..<20 {
        let slope = Double.random(in: -3..<3, using: &random)
        let all = Self.extremes(points, slope: slope)
        let ours = try #require(envelope.extremes(slope: slope))
        #expect(abs(ours.highest.y - all.0) < 1e-9 && abs(ours.lowest.y - all.1) < 1e-9, "seed \(seed)")
      }
    }
    #expect(Envelope().extremes(slope: 1) == nil)
  }

  /// Every point of a curve is a corner: 100,000 of them in the place of 128. What is lost is the height of an arc over
  /// its chord: an eighth of the curvature by the square of the distance of two corners, here 2 * (1/127)^2 / 8 of 1.
  @Test("of more corners than there is room for, those that tell least are given up") func curve() throws {
    var envelope = Envelope()
    var points: [(x: Double, y: Double)] = []
    for place in 0..<20_000 {
      let x = Double(place) / 20_000
      points.append((x, -x * x))
      envelope.record(x: x, y: -x * x)
    }
    for slope in [-1.9, -1.234, -0.5, 0, 1] {
      let all = Self.extremes(points, slope: slope)
      let ours = try #require(envelope.extremes(slope: slope))
      #expect(abs(ours.highest.y - all.0) < 2e-4 && ours.lowest.y == all.1)
    }
  }
}
