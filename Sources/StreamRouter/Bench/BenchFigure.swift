/// One figure of a benchmark: what several ways did, over a number that varies (background threads, sinks, relays).
public struct BenchFigure: Codable, Hashable, Sendable {
  /// Which way a value should go.
  public enum Better: String, Codable, Sendable { case higher, lower, neither }

  /// What one way did at one place of the axis.
  public struct Point: Codable, Hashable, Sendable {
    public var x: Int
    /// One of each round, in the order of the rounds; nil where the way did not run in that round.
    public var values: [Double?]

    public init(x: Int, values: [Double?]) {
      self.x = x
      self.values = values
    }

    public var spread: BenchSpread? { BenchSpread(values.compactMap(\.self)) }
  }

  public struct Series: Codable, Hashable, Sendable {
    public var way: String
    public var points: [Point]
  }

  /// Names the figure in files and in `compare`.
  public var key: String
  public var title: String
  public var part: BenchPart
  /// What stands along the x axis; empty where there is but one value of each way.
  public var axis: String
  public var unit: String
  public var better: Better
  /// What must be known to read it.
  public var note: String
  /// Whether it stands beside another figure, to judge that one by: no chart of its own.
  public var isBeside: Bool
  public var series: [Series] = []

  public init(
    key: String, title: String, part: BenchPart, axis: String, unit: String, better: Better, note: String = "",
    isBeside: Bool = false
  ) {
    self.key = key
    self.title = title
    self.part = part
    self.axis = axis
    self.unit = unit
    self.better = better
    self.note = note
    self.isBeside = isBeside
  }

  /// Takes up what a way did in one round.
  ///
  /// - Parameter round: From 0.
  public mutating func add(_ value: Double?, way: String, x: Int = 0, round: Int) {
    let place =
      series.firstIndex { $0.way == way }
      ?? {
        series.append(Series(way: way, points: []))
        return series.count - 1
      }()
    let point =
      series[place].points.firstIndex { $0.x == x }
      ?? {
        let next = series[place].points.firstIndex { $0.x > x } ?? series[place].points.count
        series[place].points.insert(Point(x: x, values: []), at: next)
        return next
      }()
    while series[place].points[point].values.count < round { series[place].points[point].values.append(nil) }
    series[place].points[point].values.append(value)
  }

  public func point(_ way: String, at x: Int) -> Point? {
    series.first { $0.way == way }?.points.first { $0.x == x }
  }

  public func spread(_ way: String, at x: Int) -> BenchSpread? { point(way, at: x)?.spread }

  /// Every place of the axis that some way has.
  public var places: [Int] { Set(series.flatMap { $0.points.map(\.x) }).sorted() }

  /// How many times what another way did, by round: the machine's slow moments are both ways'. nil where they have no
  /// round in common.
  public func ratio(_ way: String, at x: Int, to other: String, at otherX: Int? = nil) -> BenchSpread? {
    guard let mine = point(way, at: x), let theirs = point(other, at: otherX ?? x) else { return nil }
    return BenchSpread(
      zip(mine.values, theirs.values).compactMap { mine, theirs in
        guard let mine, let theirs else { return nil }
        return mine / theirs
      })
  }

  /// Of these ways the one with the best median at a place.
  public func best(of ways: [String], at x: Int) -> String? {
    let found = ways.compactMap { way in spread(way, at: x).map { (way, $0.median) } }
    return (better == .lower ? found.min { $0.1 < $1.1 } : found.max { $0.1 < $1.1 })?.0
  }
}
