/// When the latest time stamps of senders and receivers passed here, by what an answer names of them: the SSRC and the
/// middle 32 bits of the NTP time (RFC 3550 section 6.4.1, RFC 3611 section 4.5). A bounded number, the oldest go first.
public struct PassingTimes: Sendable {
  struct Key: Hashable, Sendable {
    var ssrc: UInt32
    /// Never 0, which means that none came.
    var ntpMiddle: UInt32
  }

  /// How many are kept.
  public let capacity: Int
  private var passed: [Key: UInt64] = [:]
  /// In the order of arrival; a ring once it is full.
  private var order: [Key] = []
  private var oldest = 0

  /// - Parameter capacity: at least 1.
  public init(capacity: Int = 64) {
    precondition(capacity >= 1, "A memory of nothing remembers nothing.")
    self.capacity = capacity
  }

  mutating func note(ssrc: UInt32, ntpTime: UInt64, passedNs: UInt64) {
    let key = Key(ssrc: ssrc, ntpMiddle: UInt32(truncatingIfNeeded: ntpTime >> 16))
    guard key.ntpMiddle != 0 else { return }
    // A copy that comes later, as over a second way, is answered from the first.
    guard passed[key] == nil else { return }
    passed[key] = passedNs
    if order.count < capacity {
      order.append(key)
    } else {
      passed[order[oldest]] = nil
      order[oldest] = key
      oldest = (oldest + 1) % capacity
    }
  }

  func passedNs(_ key: Key) -> UInt64? { passed[key] }
}
