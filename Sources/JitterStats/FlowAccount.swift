/// The account of the RTP sources that one relay forwards: each SSRC by itself, four at a time.
///
/// A fifth SSRC takes the place of the one that has been silent longest, so that a source which invents an SSRC
/// for each packet costs no memory.
public struct FlowAccount: Sendable {
  /// SSRCs whose state is kept apart (`SR_SSRC_SLOTS`).
  public static let slots = 4

  /// What a packet told, and whether it counts as a restart of the stream.
  public struct Outcome: Hashable, Sendable {
    public var arrival: SourceAccount.Arrival
    /// A confirmed jump of the sequence number, or an SSRC that joins or replaces another one. The first SSRC
    /// of a relay is none.
    public var isRestart: Bool

    public init(arrival: SourceAccount.Arrival, isRestart: Bool) {
      self.arrival = arrival
      self.isRestart = isRestart
    }
  }

  private var sources = InlineArray<4, SourceAccount?>(repeating: nil)
  private var currentSlot = 0

  public init() {}

  /// The source of the latest packet; nil before the first.
  public var current: SourceAccount? { sources[currentSlot] }

  /// Accounts for one RTP packet.
  /// - Parameters:
  ///   - arrivalNs: nanoseconds of any clock that does not change between calls.
  ///   - clockRate: Hz of the RTP timestamps (``PayloadClock``); above 0. What the first packet of an SSRC says
  ///     holds for all of it.
  public mutating func receive(_ header: RTPHeader, arrivalNs: UInt64, clockRate: UInt32) -> Outcome {
    // Most packets belong to the source of the packet before.
    if sources[currentSlot]?.ssrc != header.ssrc {
      guard let slot = slot(of: header.ssrc) else {
        return start(header, arrivalNs: arrivalNs, clockRate: clockRate)
      }
      currentSlot = slot
    }
    let arrival = sources[currentSlot]!.receive(
      sequence: header.sequence, timestamp: header.timestamp, arrivalNs: arrivalNs)
    return Outcome(arrival: arrival, isRestart: arrival == .restart)
  }

  /// Puts in the clock rate of each source, in Hz by SSRC.
  public func noteClockRates(_ rates: inout [UInt32: UInt32]) {
    for slot in 0..<Self.slots {
      if let source = sources[slot] { rates[source.ssrc] = source.clockRate }
    }
  }

  private func slot(of ssrc: UInt32) -> Int? {
    for slot in 0..<Self.slots where sources[slot]?.ssrc == ssrc { return slot }
    return nil
  }

  private mutating func start(_ header: RTPHeader, arrivalNs: UInt64, clockRate: UInt32) -> Outcome {
    var isRestart = false
    var chosen = 0
    var oldestNs = UInt64.max
    var foundFree = false
    for slot in 0..<Self.slots {
      if let source = sources[slot] {
        isRestart = true
        if !foundFree, source.lastArrivalNs < oldestNs {
          oldestNs = source.lastArrivalNs
          chosen = slot
        }
      } else if !foundFree {
        foundFree = true
        chosen = slot
      }
    }
    sources[chosen] = SourceAccount(
      ssrc: header.ssrc, sequence: header.sequence, timestamp: header.timestamp, arrivalNs: arrivalNs,
      clockRate: clockRate)
    currentSlot = chosen
    return Outcome(arrival: .first, isRestart: isRestart)
  }
}
