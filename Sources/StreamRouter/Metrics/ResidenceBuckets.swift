/// The boundaries of residence in metrics: some of the 112 of ``ResidenceHistogram``, at powers of two nanoseconds.
///
/// Each is also a boundary of ours, so the counts are exact. They double from half a microsecond to a millisecond, where
/// hops differ, and grow by four up to a second. `le` says "at most", ours are "less than": a packet that stayed exactly
/// 1,024 ns counts in the bucket above.
enum ResidenceBuckets {
  /// In nanoseconds, rising.
  static let boundsNs: [UInt64] = (Array(9...20) + [22, 24, 26, 28, 30]).map { UInt64(1) << UInt64($0) }

  /// The values of label `le`, in seconds; the last is `+Inf`.
  static let labels: [String] = boundsNs.map { MetricsText.number(Double($0) / 1e9) } + ["+Inf"]

  /// How many of our buckets lie below each boundary.
  private static let places: [Int] = boundsNs.map { bound in
    (0..<ResidenceHistogram.bucketCount).prefix {
      ResidenceHistogram.upperBoundNs(bucket: $0) <= bound
    }.count
  }

  /// How many packets stayed less than each boundary; the last is all of them.
  static func cumulative(_ histogram: ResidenceHistogram) -> [UInt64] {
    var counts: [UInt64] = []
    counts.reserveCapacity(labels.count)
    var (place, sum) = (0, UInt64(0))
    for end in places + [histogram.counts.count] {
      while place < min(end, histogram.counts.count) {
        sum &+= histogram.counts[place]
        place += 1
      }
      counts.append(sum)
    }
    return counts
  }
}
