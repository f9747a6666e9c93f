/// The Media Delivery Index of a stream, DF:MLR (RFC 4445), an interval after the other.
///
/// An interval lasts about a second: from just after the last packet of one second since the first packet to just
/// after the last packet of the next second in which any came. The media rate is that of the program clock within the
/// interval, piecewise as the stream may be one of variable rate: media bytes from its first to its last reference
/// by the time between their values. Where an interval has none, the rate before it goes on; where there is none at
/// all, it is the mean of what arrived. As it is known only at the end of the interval, the virtual buffer is kept as
/// the ``Envelope`` of media bytes over time. Lost packets drain nothing and fill nothing: they are MLR's.
public struct MediaDeliveryIndex: Sendable {
  /// The nominal length of an interval, which the RFC recommends, nanoseconds.
  static let periodNs: Int64 = 1_000_000_000

  /// What a media rate was known from.
  public enum RateOrigin: String, Hashable, Sendable, Codable {
    case clock = "PCR"
    case arrivals
  }

  /// The figures of one interval.
  public struct Interval: Hashable, Sendable {
    /// Seconds that the virtual buffer took at most (DF, section 3.1).
    public var delayFactor: Double
    /// Transport stream packets lost (MLR, section 3.2).
    public var lost: UInt64
    /// Bytes in a second.
    public var mediaRate: Double
    public var rateOrigin: RateOrigin
    /// Arrival of the interval's last packet.
    public var endNs: UInt64
  }

  /// Intervals that ended.
  public private(set) var count: UInt64 = 0
  /// Of those, intervals with losses.
  public private(set) var lossyCount: UInt64 = 0
  public private(set) var latest: Interval?
  /// The interval with the largest delay factor, and the one with the most losses.
  public private(set) var worstDelay: Interval?
  public private(set) var worstLoss: Interval?

  /// Arrival of the first packet: nominal periods count from here.
  private var originNs: UInt64?
  private var period: Int64 = 0
  private var latestNs: UInt64 = 0
  // The interval that has not ended.
  private var zeroNs: UInt64 = 0
  private var packets: UInt64 = 0
  private var bytes: UInt64 = 0
  private var lost: UInt64 = 0
  private var buffer = Envelope()
  private var clockTicks: Int64 = 0
  private var clockBytes: UInt64 = 0
  // The program clock that gives the rate.
  private var clockPID: UInt16?
  private var clockPosition: UInt64 = 0
  private var clockRate: Double?

  public init() {}

  /// Ends the interval where a packet that arrives now belongs to the next one. To be called before what the packet
  /// holds is told.
  mutating func begin(arrivalNs: UInt64) {
    guard let originNs else {
      (self.originNs, latestNs, zeroNs) = (arrivalNs, arrivalNs, arrivalNs)
      return
    }
    let now = max(0, Int64(bitPattern: arrivalNs &- originNs)) / Self.periodNs
    if now > period {
      endInterval()
      period = now
    }
    // Captures may be out of order; the virtual buffer's time is not.
    if Int64(bitPattern: arrivalNs &- latestNs) > 0 { latestNs = arrivalNs }
  }

  /// Takes in one packet of the stream: a datagram. The first one only sets time zero, as the last packet of an
  /// interval does for the next.
  /// - Parameters:
  ///   - bytes: of media: transport stream packets.
  ///   - lost: transport stream packets that are missing before or within it.
  mutating func receive(bytes media: UInt64, lost missing: UInt64, isFirst: Bool) {
    lost += missing
    guard !isFirst else { return }
    let elapsed = Double(Int64(bitPattern: latestNs &- zeroNs)) / 1e9
    if packets == 0 { buffer.record(x: 0, y: 0) }
    packets += 1
    // VB(i,pre) and VB(i,post), before anything is drained.
    buffer.record(x: elapsed, low: Double(bytes), high: Double(bytes + media))
    bytes += media
  }

  /// Takes in a reference of a program clock.
  /// - Parameter position: media bytes of the stream before the packet that bears it.
  mutating func clock(pid: UInt16, step: ProgramClockAccount.Step, position: UInt64) {
    if clockPID == nil { (clockPID, clockPosition) = (pid, position) }
    guard pid == clockPID else { return }
    if case .ticks(let ticks) = step {
      clockTicks = clockTicks.saturatingAdd(ticks)
      clockBytes += position - min(position, clockPosition)
    }
    clockPosition = position
  }

  private mutating func endInterval() {
    if clockTicks > 0, clockBytes > 0 {
      clockRate = Double(clockBytes) * ProgramClockAccount.ticksPerSecond / Double(clockTicks)
    } else {
      // A clock that has stopped makes room for another.
      clockPID = nil
    }
    let elapsed = Double(Int64(bitPattern: latestNs &- zeroNs)) / 1e9
    if packets > 0, let rate = clockRate ?? (elapsed > 0 ? Double(bytes) / elapsed : nil), rate > 0 {
      let ends = buffer.extremes(slope: rate)
      let interval = Interval(
        delayFactor: ends.map { ($0.highest.y - $0.lowest.y) / rate } ?? 0, lost: lost, mediaRate: rate,
        rateOrigin: clockRate == nil ? .arrivals : .clock, endNs: latestNs)
      count += 1
      if lost > 0 { lossyCount += 1 }
      latest = interval
      take(interval, interval)
      lost = 0
    }
    (zeroNs, packets, bytes) = (latestNs, 0, 0)
    (clockTicks, clockBytes) = (0, 0)
    buffer = Envelope()
  }

  private mutating func take(_ delay: Interval?, _ loss: Interval?) {
    if let delay, delay.delayFactor > worstDelay?.delayFactor ?? -1 { worstDelay = delay }
    if let loss, loss.lost > worstLoss?.lost ?? 0 { worstLoss = loss }
  }

  /// The index with the interval that has not ended taken for one that has: what there is to report.
  var ended: MediaDeliveryIndex {
    var ended = self
    ended.endInterval()
    return ended
  }

  /// Takes in the intervals of a later part. The last one of ours ends where the part begins.
  /// - Parameters:
  ///   - lost: packets missing between both, which count for our last interval.
  ///   - position: media bytes of ours.
  mutating func merge(_ later: MediaDeliveryIndex, lost missing: UInt64, position: UInt64) {
    guard later.originNs != nil else { return }
    lost += missing
    endInterval()
    var merged = later
    // Without an interval to end, what was missing is still to be counted.
    merged.lost += lost
    merged.count += count
    merged.lossyCount += lossyCount
    merged.latest = later.latest ?? latest
    merged.take(worstDelay, worstLoss)
    merged.clockRate = later.clockRate ?? clockRate
    merged.clockPosition += position
    self = merged
  }
}
