import JitterStats

/// What a report says of many delays, in seconds: how late packets left against the plan, or how long they travelled.
public struct DelayFigures: Hashable, Sendable, Codable {
  public var minSeconds: Double
  public var meanSeconds: Double
  public var p50Seconds: Double
  public var p90Seconds: Double
  public var p99Seconds: Double
  public var p999Seconds: Double
  public var maxSeconds: Double

  init(_ delays: DelayDistribution) {
    minSeconds = Double(delays.smallestNs ?? 0) / 1e9
    meanSeconds = delays.meanNs / 1e9
    p50Seconds = delays.seconds(percentile: 50)
    p90Seconds = delays.seconds(percentile: 90)
    p99Seconds = delays.seconds(percentile: 99)
    p999Seconds = delays.seconds(percentile: 99.9)
    maxSeconds = Double(delays.largest?.valueNs ?? 0) / 1e9
  }

  var text: String {
    let values = [
      ("p50", p50Seconds), ("p99", p99Seconds), ("p99.9", p999Seconds), ("max", maxSeconds),
    ]
    return values.map { "\($0.0) \(Figure.duration(seconds: $0.1))" }.joined(separator: "  ")
  }
}
