import Histogram

/// How often each duration occurred, in constant memory: a histogram, and the exact extremes with their times.
///
/// The histogram keeps two significant digits: a percentile is off by at most 1 %, or by 0.5 us where that is
/// more. Three digits would take eight times the memory for a source (19 kB become 150 kB) to tell 10.1 from
/// 10.11 ms; the largest and the smallest value, where a digit can matter, are kept exactly beside it.
public struct DelayDistribution: Sendable {
  /// The largest duration that has a place of its own, nanoseconds: beyond it lies a pause, not delay variation
  /// (``JitterFilter/discontinuityNs``). Larger ones count as this one.
  public static let largestNs: UInt64 = JitterFilter.discontinuityNs

  private var histogram = Histogram<UInt64>(
    lowestDiscernibleValue: 1_000, highestTrackableValue: largestNs, numberOfSignificantValueDigits: .two)
  private var sumNs = 0.0
  /// The smallest duration, nanoseconds; nil before the first.
  public private(set) var smallestNs: UInt64?
  /// The largest duration, nanoseconds, and when it occurred; nil before the first.
  public private(set) var largest: Peak?

  /// The largest of many values, and when it occurred.
  public struct Peak: Hashable, Sendable {
    public var valueNs: UInt64
    /// Nanoseconds of the clock of arrivals.
    public var atNs: UInt64

    public init(valueNs: UInt64, atNs: UInt64) {
      self.valueNs = valueNs
      self.atNs = atNs
    }
  }

  public init() {}

  /// Values so far.
  public var count: UInt64 { histogram.totalCount }
  /// The mean, nanoseconds; 0 of none.
  public var meanNs: Double { count == 0 ? 0 : sumNs / Double(count) }

  /// Takes in one duration that was known at `atNs`, or `count` equal ones.
  public mutating func record(_ valueNs: UInt64, count: UInt64 = 1, atNs: UInt64) {
    histogram.record(min(valueNs, Self.largestNs), count: count)
    sumNs += Double(valueNs) * Double(count)
    smallestNs = min(smallestNs ?? .max, valueNs)
    if valueNs > largest?.valueNs ?? 0 || largest == nil { largest = Peak(valueNs: valueNs, atNs: atNs) }
  }

  /// The value that a part of all values do not exceed, nanoseconds: the nearest rank, 0 of none. Never beyond the
  /// smallest and the largest value, which the histogram does not know exactly.
  /// - Parameter percentile: above 0, at most 100.
  public func valueNs(percentile: Double) -> UInt64 {
    guard let smallestNs, let largest else { return 0 }
    return min(max(histogram.valueAtPercentile(percentile), smallestNs), largest.valueNs)
  }

  /// The same in seconds.
  public func seconds(percentile: Double) -> Double { Double(valueNs(percentile: percentile)) / 1e9 }

  /// Each step of the histogram that holds values: a value within it, and how many there are. The smallest and the
  /// largest value come by themselves, exactly.
  func forEachStep(_ body: (_ valueNs: UInt64, _ count: UInt64) -> Void) {
    guard let smallestNs, let largestNs = largest?.valueNs else { return }
    var exact = [smallestNs, largestNs].prefix(Int(min(count, 2)))
    for step in histogram.recordedValues() {
      let value = histogram.medianEquivalentForValue(step.value)
      var rest = step.count
      while let extreme = exact.first, rest > 0,
        histogram.valuesAreEquivalent(min(extreme, Self.largestNs), step.value)
      {
        body(extreme, 1)
        exact.removeFirst()
        rest -= 1
      }
      if rest > 0 { body(min(max(value, smallestNs), largestNs), rest) }
    }
  }

  /// Takes in values that differ from those of another distribution by `offsetNs`; those below 0 count as 0.
  mutating func merge(_ other: DelayDistribution, offsetNs: Int64) {
    guard offsetNs != 0 else { return merge(other) }
    other.forEachStep { valueNs, count in
      let moved = max(0, Int64(clamping: valueNs).saturatingAdd(offsetNs))
      histogram.record(min(UInt64(moved), Self.largestNs), count: count)
      sumNs += Double(moved) * Double(count)
    }
    func move(_ valueNs: UInt64) -> UInt64 { UInt64(max(0, Int64(clamping: valueNs).saturatingAdd(offsetNs))) }
    mergeExtremes(
      smallestNs: other.smallestNs.map(move),
      largest: other.largest.map { Peak(valueNs: move($0.valueNs), atNs: $0.atNs) })
  }

  /// Takes in the values of `other` as their distances from `around`, which is its largest value: the smallest of
  /// them become the largest.
  mutating func merge(mirrored other: DelayDistribution, around largestNs: UInt64) {
    other.forEachStep { valueNs, count in
      let moved = largestNs - min(valueNs, largestNs)
      histogram.record(min(moved, Self.largestNs), count: count)
      sumNs += Double(moved) * Double(count)
    }
    mergeExtremes(smallestNs: 0, largest: nil)
  }

  /// Takes in the values of another distribution.
  public mutating func merge(_ other: DelayDistribution) {
    histogram.add(other.histogram)
    sumNs += other.sumNs
    mergeExtremes(smallestNs: other.smallestNs, largest: other.largest)
  }

  private mutating func mergeExtremes(smallestNs otherSmallestNs: UInt64?, largest otherLargest: Peak?) {
    if let otherSmallestNs { smallestNs = min(smallestNs ?? .max, otherSmallestNs) }
    if let otherLargest, largest.map({ otherLargest.valueNs > $0.valueNs }) ?? true { largest = otherLargest }
  }
}

extension Int64 {
  /// The sum, or the nearest value where the sum has none: no hostile timestamp may trap.
  func saturatingAdd(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    guard overflow else { return sum }
    return self < 0 ? .min : .max
  }

  /// The difference, or the nearest value where the difference has none.
  func saturatingSubtract(_ other: Int64) -> Int64 {
    let (difference, overflow) = subtractingReportingOverflow(other)
    guard overflow else { return difference }
    return self < 0 ? .min : .max
  }
}
