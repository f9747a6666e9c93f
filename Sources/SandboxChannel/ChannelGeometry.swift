import CStreamRouter

/// How large the parts of a channel are. Both sides see the same.
public struct ChannelGeometry: Equatable, Sendable {
  /// Bytes of a slot: the longest packet. A power of two, 64 to 32,768.
  public let slotBytes: Int
  /// Slots for packets: a power of two, 64 to 2^20.
  public let slotCount: Int
  /// Entries of the ring. As many as there are slots, so that a packet always finds one.
  public var ringEntries: Int { slotCount }
  /// Events that one priority queues: a power of two, 2 to 4,096.
  public let queuedEvents: Int
  /// Whether several threads of the producer allocate and send at once. One thread needs no locked instruction.
  public let hasSeveralProducers: Bool

  public init(
    slotBytes: Int = 2_048, slotCount: Int = 4_096, queuedEvents: Int = 64, hasSeveralProducers: Bool = false
  ) throws(ChannelError) {
    func check(_ value: Int, _ range: ClosedRange<Int>, _ what: String) throws(ChannelError) {
      guard range.contains(value), value.nonzeroBitCount == 1 else {
        throw .geometry(
          "\(what) is \(value), not a power of two from \(range.lowerBound) to \(range.upperBound)")
      }
    }
    try check(slotBytes, 64...Int(SR_MAX_SLOT_BYTES.rawValue), "the size of a slot")
    try check(slotCount, 64...Int(SR_MAX_CHANNEL_SLOTS.rawValue), "the number of slots")
    try check(queuedEvents, 2...Int(SR_MAX_QUEUED_EVENTS.rawValue), "the number of queued events")
    self.slotBytes = slotBytes
    self.slotCount = slotCount
    self.queuedEvents = queuedEvents
    self.hasSeveralProducers = hasSeveralProducers
  }

  /// Reads what a peer wrote, which may be anything.
  init(_ value: sr_channel_geometry, side: sr_channel_side) throws(ChannelError) {
    guard value.magic == SR_CHANNEL_MAGIC.rawValue else { throw .foreign("it does not begin with SRCH") }
    guard value.version == SR_CHANNEL_VERSION.rawValue else {
      throw .foreign("its version is \(value.version), this one's \(SR_CHANNEL_VERSION.rawValue)")
    }
    guard value.side == side.rawValue else { throw .foreign("it is the other side's") }
    try self.init(
      slotBytes: Int(value.slot_bytes), slotCount: Int(value.slot_count),
      queuedEvents: Int(value.queued_events),
      hasSeveralProducers: value.several != 0)
    guard value.ring_entries == UInt32(ringEntries) else {
      throw .foreign("its ring has \(value.ring_entries) entries for \(slotCount) slots")
    }
  }

  func value(_ side: sr_channel_side, incarnation: UInt64) -> sr_channel_geometry {
    var value = sr_channel_geometry()
    value.magic = SR_CHANNEL_MAGIC.rawValue
    value.version = SR_CHANNEL_VERSION.rawValue
    value.side = side.rawValue
    value.slot_bytes = UInt32(slotBytes)
    value.slot_count = UInt32(slotCount)
    value.ring_entries = UInt32(ringEntries)
    value.queued_events = UInt32(queuedEvents)
    value.several = hasSeveralProducers ? 1 : 0
    value.incarnation = incarnation
    return value
  }

  var wordCount: Int { slotCount / Int(SR_SLOTS_PER_WORD.rawValue) }
  var producerPlaces: sr_producer_places {
    var value = value(SR_SIDE_PRODUCER, incarnation: 0)
    return sr_producer_places(&value)
  }
  var consumerPlaces: sr_consumer_places {
    var value = value(SR_SIDE_CONSUMER, incarnation: 0)
    return sr_consumer_places(&value)
  }
}
