import JitterStats

/// Watches the packets of one relay for the moment at which a condition on jitter or loss begins to hold.
struct CaptureTrigger {
  private let thresholds: [Threshold]
  private let clockRate: UInt32?
  private var flow = FlowAccount()
  /// Sequence numbers that were skipped, and packets, in this second of the capture and in the one before.
  private var now = (second: UInt64(0), missing: 0, packets: 0)
  private var before = (missing: 0, packets: 0)

  /// Those that can be watched for.
  static let figures: [Threshold.Figure] = [.jitter, .loss]

  /// - Parameter clockRate: Hz; nil: by payload type.
  init(_ thresholds: [Threshold], clockRate: UInt32?) {
    self.thresholds = thresholds
    self.clockRate = clockRate
  }

  /// Takes in a packet and says what holds after it, in words; nil: nothing does.
  mutating func receive(_ header: RTPHeader, timeNs: UInt64) -> String? {
    let rate = clockRate ?? PayloadClock.rate(payloadType: header.payloadType)
    let outcome = flow.receive(header, arrivalNs: timeNs, clockRate: rate)
    let second = timeNs / 1_000_000_000
    if second != now.second {
      before = second == now.second + 1 ? (now.missing, now.packets) : (0, 0)
      now = (second, 0, 0)
    }
    now.packets += 1
    if case .gap(let missing) = outcome.arrival { now.missing += Int(missing) }
    if case .late = outcome.arrival { now.missing -= 1 }
    for threshold in thresholds {
      switch threshold.figure {
      case .jitter:
        let jitter = flow.current?.jitter.seconds ?? 0
        if threshold.isExceeded(by: jitter) {
          return "\(threshold): jitter is \(Figure.duration(seconds: jitter))"
        }
      case .loss:
        let missing = max(0, now.missing + before.missing)
        let all = now.packets + before.packets + missing
        if threshold.isExceeded(by: Double(missing), of: Double(all)) {
          return "\(threshold): \(missing) of \(all) packets missing"
        }
      case .duplicates, .reordered, .queue, .delay, .delayFactor, .mediaLossRate: continue
      }
    }
    return nil
  }
}
