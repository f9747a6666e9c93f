/// The median of some repetitions with the lowest and the highest: what a benchmark says of one value.
public struct BenchSpread: Hashable, Sendable {
  public var median: Double
  public var low: Double
  public var high: Double

  /// What is not finite is left out; nil where nothing is left.
  public init?(_ values: [Double]) {
    let sorted = values.filter(\.isFinite).sorted()
    guard let low = sorted.first, let high = sorted.last else { return nil }
    (self.low, self.high) = (low, high)
    let middle = sorted.count / 2
    median = sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }

  /// Whether what two runs saw has values in common: then their difference says nothing.
  public func overlaps(_ other: BenchSpread) -> Bool { low <= other.high && other.low <= high }
}
