import CStreamRouter

/// Where events stand.
enum EventQueues {
  /// In the second word of an event that was reserved and never written.
  static let hole: UInt64 = 1 << 63
  static let priorities = Int(SR_EVENT_PRIORITIES.rawValue)

  /// The word of an event's payload; the one after it bears code and lap.
  static func place(_ priority: Int, _ position: UInt64, _ geometry: ChannelGeometry) -> Int {
    2 * (priority * geometry.queuedEvents + Int(position & UInt64(geometry.queuedEvents - 1)))
  }

  static func shift(_ geometry: ChannelGeometry) -> UInt64 {
    UInt64(geometry.queuedEvents.trailingZeroBitCount)
  }

  static func overflowed(_ half: ProducerHalf) -> [UInt64] { (0..<priorities).map(half.eventOverflows.relaxed) }
}
