/// The figures of Wireshark's RTP stream analysis, by its rules: so that whoever lays both side by side finds the
/// same digits (those of version 4.0.17). docs/ACCOUNT.md says where these rules and those of the RFCs part.
///
/// What differs from ours: times are floating-point milliseconds; every packet of the source counts, duplicates and
/// those out of range as well; smallest, mean and largest leave out packets with the marker bit, comfort noise
/// (payload types 13 and 19) and the packet after it; the mean of what is left is divided by the count of all packets
/// so far; lost packets are last minus first number, less what arrived. A packet whose timestamp is before that of
/// the first one to arrive takes no part in anything but that count. A timestamp that goes back, but not so far, is
/// one like any other: its step is negative.
public struct WiresharkAccount: Hashable, Sendable {
  /// One more value in three figures.
  public struct Range: Hashable, Sendable {
    public private(set) var smallestMs: Double?
    public private(set) var largestMs = 0.0
    public private(set) var meanMs = 0.0

    /// - Parameter packetsBefore: all packets before the one that tells this value, at least 1.
    mutating func record(_ valueMs: Double, packetsBefore: UInt64) {
      smallestMs = min(smallestMs ?? valueMs, valueMs)
      largestMs = max(largestMs, valueMs)
      meanMs = (meanMs * Double(packetsBefore - 1) + valueMs) / Double(packetsBefore)
    }

    mutating func merge(_ other: Range, ours: UInt64, theirs: UInt64) {
      smallestMs = [smallestMs, other.smallestMs].compactMap { $0 }.min()
      largestMs = max(largestMs, other.largestMs)
      let all = Double(ours + theirs)
      if all > 0 { meanMs = (meanMs * Double(ours) + other.meanMs * Double(theirs)) / all }
    }
  }

  /// Time between packets.
  public private(set) var delta = Range()
  /// Interarrival jitter in floating point.
  public private(set) var jitter = Range()
  /// How far the timestamps ran ahead of the arrivals at most; negative where they fell behind.
  public private(set) var largestSkewMs = 0.0
  /// Numbers out of order and timestamps that went back.
  public private(set) var problems: UInt64 = 0
  public private(set) var packets: UInt64 = 1
  public private(set) var fit = ClockFit()

  private let originNs: UInt64
  private var firstTimestamp: UInt32
  /// Above 0 where parts were joined: what the timestamps of the latest one count from.
  private var sentOffsetMs = 0.0
  /// Arrival of the latest packet that is not before the first one.
  private var previousNs: UInt64
  private var lastNs: UInt64
  private var previousType: UInt8
  private var jitterMs = 0.0
  /// By the timestamp of the latest packet that is not before the first one.
  private var sentMs = 0.0
  private let firstSequence: UInt16
  private var lastSequence: UInt16
  private var expectedSequence: UInt16
  private var wraps: UInt64 = 0
  private var isBelowFirst = false

  /// The account after the first packet.
  public init(_ header: RTPHeader, arrivalNs: UInt64) {
    originNs = arrivalNs
    firstTimestamp = header.timestamp
    previousNs = arrivalNs
    lastNs = arrivalNs
    previousType = header.payloadType
    firstSequence = header.sequence
    lastSequence = header.sequence
    expectedSequence = header.sequence
    fit.record(arrivalSeconds: 0, sentSeconds: 0)
  }

  /// Packets that the last number says were sent; the last one to arrive, whichever it was.
  public var expected: Int64 {
    Int64(lastSequence) + Int64(wraps) * 0x10000 - Int64(firstSequence) + 1
  }
  /// Below 0 where duplicates outnumber losses.
  public var lost: Int64 { expected - Int64(packets) }
  /// From the first to the last packet.
  public var durationMs: Double { Double(Int64(bitPattern: lastNs &- originNs)) / 1e6 }
  /// What the sender's clock gained over the stream, milliseconds.
  public var clockDriftMs: Double { fit.slope.map { durationMs * ($0 - 1) } ?? 0 }

  /// Accounts for one more packet. `clockRate` in Hz.
  public mutating func receive(_ header: RTPHeader, arrivalNs: UInt64, clockRate: UInt32) {
    let units = header.timestamp &- firstTimestamp
    let isInTime = units < 0x8000_0000
    let isInSequence = judge(header.sequence, isInTime: isInTime)
    if !isInTime || !isInSequence { problems += 1 }
    defer {
      previousType = header.payloadType
      lastSequence = header.sequence
      lastNs = arrivalNs
      packets += 1
    }
    guard isInTime else { return }

    // Whole kHz: 44 for 44,100 Hz. Clocks below 1 kHz, by which it would divide by 0, are taken as they are.
    let kHz = clockRate >= 1_000 ? Double(clockRate / 1_000) : Double(clockRate) / 1_000
    let formerSentMs = sentMs
    sentMs = sentOffsetMs + Double(units) / kHz
    let deltaMs = Double(Int64(bitPattern: arrivalNs &- previousNs)) / 1e6
    jitterMs = (15 * jitterMs + abs(deltaMs - (sentMs - formerSentMs))) / 16
    let arrivalMs = Double(Int64(bitPattern: arrivalNs &- originNs)) / 1e6
    let skewMs = sentMs - arrivalMs
    if abs(skewMs) > abs(largestSkewMs) { largestSkewMs = skewMs }
    fit.record(arrivalSeconds: arrivalMs / 1_000, sentSeconds: sentMs / 1_000)

    let isNoise = Self.isComfortNoise(header.payloadType)
    if !header.isMarked, !isNoise, !Self.isComfortNoise(previousType) {
      delta.record(deltaMs, packetsBefore: packets)
      jitter.record(jitterMs, packetsBefore: packets)
    }
    previousNs = arrivalNs
  }

  private static func isComfortNoise(_ payloadType: UInt8) -> Bool { payloadType == 13 || payloadType == 19 }

  /// Counts wraps, and says whether the number is the one expected.
  private mutating func judge(_ sequence: UInt16, isInTime: Bool) -> Bool {
    if isInTime {
      if !isBelowFirst, sequence < firstSequence || sequence == 0 && lastSequence == .max {
        wraps += 1
        isBelowFirst = true
      } else if isBelowFirst, sequence > firstSequence {
        isBelowFirst = false
      }
    }
    let step = Int(sequence) - Int(expectedSequence)
    if isInTime, step == 1 || step == -0xffff {
      expectedSequence = sequence
      return true
    }
    if isInTime, step > 1 || step < -0xff00 { expectedSequence = sequence }
    return false
  }

  /// Takes in a later part. Its jitter started from 0 anew, which its first values show.
  public mutating func merge(_ later: WiresharkAccount) {
    var merged = self
    let apartMs = Double(Int64(bitPattern: later.originNs &- originNs)) / 1e6
    let arrivalMs = Double(Int64(bitPattern: previousNs &- originNs)) / 1e6
    let joinMs = sentMs + apartMs - arrivalMs
    merged.delta.merge(later.delta, ours: packets, theirs: later.packets)
    merged.jitter.merge(later.jitter, ours: packets, theirs: later.packets)
    if abs(later.largestSkewMs) > abs(largestSkewMs) { merged.largestSkewMs = later.largestSkewMs }
    merged.problems += later.problems
    // The two parts' clocks are joined where the first ended: no drift is known across the border.
    merged.fit.merge(later.fit, arrivalOffset: apartMs / 1_000, sentOffset: joinMs / 1_000)
    merged.packets += later.packets
    let step = Int64(Int16(bitPattern: later.firstSequence &- lastSequence))
    let lastNumber = Int64(firstSequence) + expected - 1 + step + later.expected - 1
    merged.wraps = UInt64(max(0, lastNumber) >> 16)
    merged.lastSequence = later.lastSequence
    merged.expectedSequence = later.expectedSequence
    merged.isBelowFirst = later.lastSequence < firstSequence
    merged.previousNs = later.previousNs
    merged.lastNs = later.lastNs
    merged.previousType = later.previousType
    merged.jitterMs = later.jitterMs
    merged.firstTimestamp = later.firstTimestamp
    merged.sentOffsetMs = joinMs + later.sentOffsetMs
    merged.sentMs = joinMs + later.sentMs
    self = merged
  }
}
