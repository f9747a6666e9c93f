/// Everything that arrival times, sequence numbers and timestamps tell about one RTP source (SSRC).
///
/// Streaming and of constant memory: 60 to 80 kB, nearly all of it histograms, and ``TransportStreamAccount`` where the
/// payload is one. ``SourceAccount`` judges each number
/// and keeps the jitter that the kernel's datapath keeps as well; the rest is counted here and read from ``report``.
public struct RTPSourceAnalysis: Sendable {
  public let ssrc: UInt32
  /// Hz of the timestamps.
  public let clockRate: UInt32
  /// What arrived; nil before the first packet.
  private var state: State?
  /// The MPEG transport stream that the packets bear; nil: none, or nobody has shown their payload.
  public private(set) var transportStream: TransportStreamAccount?

  /// What is known from the first packet on.
  struct State: Sendable {
    var account: SourceAccount
    var sequence: SequenceAccount
    var transit: TransitClock
    var wireshark: WiresharkAccount
    var firstArrivalNs: UInt64
    var lastArrivalNs: UInt64
    var packets: UInt64 = 1
    var bytes: UInt64
    /// Bit i: whether payload type i was seen.
    var payloadTypes: UInt128
    var interarrival = DelayDistribution()
    var ipdv = DelayDistribution()
    var ipdvSmallestNs: Int64?
    var ipdvLargestNs: Int64?
    var pdv = DelayVariation()
    var jitterSumQ4Ns = 0.0
    var jitterCount: UInt64 = 0
    var jitterPeak = DelayDistribution.Peak(valueNs: 0, atNs: 0)
    /// Transit time of the packet with the highest number.
    var highestTransitNs: Int64 = 0
    var fit = ClockFit()
  }

  /// - Parameter clockRate: Hz of the RTP timestamps, from SDP (RFC 8866 section 6.6) or ``PayloadClock``; above 0.
  public init(ssrc: UInt32, clockRate: UInt32) {
    precondition(clockRate > 0, "A clock that stands still has no jitter: PayloadClock gives the rate.")
    self.ssrc = ssrc
    self.clockRate = clockRate
  }

  /// When the latest packet arrived, nanoseconds; nil before the first.
  public var lastArrivalNs: UInt64? { state?.lastArrivalNs }
  /// Packets that arrived.
  public var packets: UInt64 { state?.packets ?? 0 }
  /// Packets lost so far (``RTPSourceReport/Loss/lost``).
  public var lost: UInt64 { state?.sequence.lost ?? 0 }
  /// Interarrival jitter (RFC 3550 section 6.4.1).
  public var jitter: JitterFilter { state?.account.jitter ?? JitterFilter() }

  /// Accounts for one packet of this source.
  /// - Parameters:
  ///   - arrivalNs: nanoseconds of any clock that does not change between calls.
  ///   - payloadBytes: bytes of the datagram's payload, that is of the RTP packet with its header.
  /// - Returns: what its sequence number told.
  @discardableResult
  public mutating func receive(
    _ header: RTPHeader, arrivalNs: UInt64, payloadBytes: Int
  ) -> SourceAccount.Arrival {
    guard state != nil else {
      start(header, arrivalNs: arrivalNs, payloadBytes: payloadBytes)
      return .first
    }
    return state!.receive(header, arrivalNs: arrivalNs, payloadBytes: payloadBytes, clockRate: clockRate)
  }

  /// Accounts for the payload of the packet that ``receive(_:arrivalNs:payloadBytes:)`` took in before, where it is an
  /// MPEG transport stream (RFC 2250 section 2): of payload type 33, or of another one with two packets at least that
  /// have their sync byte. A duplicate is left out, as a receiver of RTP does; late packets are taken as they arrive,
  /// since the Media Delivery Index counts disorder as loss (RFC 4445 section 3.2).
  mutating func receive(
    media: RawSpan, payloadType: UInt8, _ arrival: SourceAccount.Arrival, arrivalNs: UInt64
  ) {
    if transportStream == nil {
      guard payloadType == PayloadClock.transportStream || TransportStreamAccount.packets(in: media) >= 2 else {
        return
      }
      transportStream = TransportStreamAccount()
    }
    if case .duplicate = arrival { return }
    transportStream!.receive(media, arrivalNs: arrivalNs)
  }

  private mutating func start(_ header: RTPHeader, arrivalNs: UInt64, payloadBytes: Int) {
    var state = State(
      account: SourceAccount(
        ssrc: ssrc, sequence: header.sequence, timestamp: header.timestamp, arrivalNs: arrivalNs,
        clockRate: clockRate),
      sequence: SequenceAccount(sequence: header.sequence, arrivalNs: arrivalNs),
      transit: TransitClock(clockRate: clockRate, arrivalNs: arrivalNs, timestamp: header.timestamp),
      wireshark: WiresharkAccount(header, arrivalNs: arrivalNs),
      firstArrivalNs: arrivalNs, lastArrivalNs: arrivalNs, bytes: UInt64(max(0, payloadBytes)),
      payloadTypes: 1 << UInt128(header.payloadType & 0x7f))
    state.pdv.record(transitNs: 0, atNs: arrivalNs)
    state.fit.record(arrivalSeconds: 0, sentSeconds: 0)
    self.state = state
  }

  /// Takes in what another analysis of the same source saw later: the next part of a recording, or the time after a
  /// hand-over. What reordering and delay variation there was between the last packet here and the first there is
  /// not known.
  public mutating func merge(_ later: RTPSourceAnalysis) {
    precondition(later.ssrc == ssrc && later.clockRate == clockRate, "Only parts of one source can be joined.")
    guard let laterState = later.state else { return }
    if let stream = later.transportStream {
      if transportStream == nil { transportStream = stream } else { transportStream!.merge(stream) }
    }
    if state == nil {
      state = laterState
    } else {
      state!.merge(laterState)
    }
  }

  /// All figures up to now; nil before the first packet.
  public var report: RTPSourceReport? {
    var report = state?.report
    report?.transportStream = transportStream?.report
    return report
  }
}

extension RTPSourceAnalysis.State {
  mutating func receive(
    _ header: RTPHeader, arrivalNs: UInt64, payloadBytes: Int, clockRate: UInt32
  ) -> SourceAccount.Arrival {
    packets += 1
    bytes += UInt64(max(0, payloadBytes))
    payloadTypes |= 1 << UInt128(header.payloadType & 0x7f)
    interarrival.record(arrivalNs > lastArrivalNs ? arrivalNs - lastArrivalNs : 0, atNs: arrivalNs)
    lastArrivalNs = arrivalNs
    wireshark.receive(header, arrivalNs: arrivalNs, clockRate: clockRate)

    let arrival = account.receive(
      sequence: header.sequence, timestamp: header.timestamp, arrivalNs: arrivalNs)
    sequence.receive(arrival, sequence: header.sequence, arrivalNs: arrivalNs)
    switch arrival {
    case .first, .duplicate, .suspect: break
    case .inOrder:
      let former = highestTransitNs
      time(header, arrivalNs: arrivalNs)
      highestTransitNs = transit.latestTransitNs
      recordVariation(highestTransitNs.saturatingSubtract(former), atNs: arrivalNs)
    case .gap:
      time(header, arrivalNs: arrivalNs)
      highestTransitNs = transit.latestTransitNs
    case .late:
      time(header, arrivalNs: arrivalNs)
    case .restart:
      time(header, arrivalNs: arrivalNs, isRestart: true)
      highestTransitNs = transit.latestTransitNs
    }
    return arrival
  }

  /// What the timestamp of a packet tells that was neither double nor out of range.
  private mutating func time(_ header: RTPHeader, arrivalNs: UInt64, isRestart: Bool = false) {
    let transitNs = transit.transitNs(arrivalNs: arrivalNs, timestamp: header.timestamp, isRestart: isRestart)
    pdv.record(transitNs: transitNs, atNs: arrivalNs)
    let arrivalSeconds = Double(Int64(bitPattern: arrivalNs &- firstArrivalNs)) / 1e9
    fit.record(arrivalSeconds: arrivalSeconds, sentSeconds: arrivalSeconds - Double(transitNs) / 1e9)
    guard !isRestart else { return }
    jitterSumQ4Ns += Double(account.jitter.q4Ns)
    jitterCount += 1
    if account.jitter.q4Ns > jitterPeak.valueNs {
      jitterPeak = .init(valueNs: account.jitter.q4Ns, atNs: arrivalNs)
    }
  }

  private mutating func recordVariation(_ change: Int64, atNs: UInt64) {
    ipdv.record(change.magnitude, atNs: atNs)
    ipdvSmallestNs = min(ipdvSmallestNs ?? .max, change)
    ipdvLargestNs = max(ipdvLargestNs ?? .min, change)
  }

  mutating func merge(_ later: RTPSourceAnalysis.State) {
    let offsetNs = transit.offsetNs(of: later.transit)
    let apartNs = later.firstArrivalNs > lastArrivalNs ? later.firstArrivalNs - lastArrivalNs : 0
    interarrival.record(apartNs, atNs: later.firstArrivalNs)
    interarrival.merge(later.interarrival)
    ipdv.merge(later.ipdv)
    if let smallest = later.ipdvSmallestNs { ipdvSmallestNs = min(ipdvSmallestNs ?? .max, smallest) }
    if let largest = later.ipdvLargestNs { ipdvLargestNs = max(ipdvLargestNs ?? .min, largest) }
    // Parts whose timestamps do not fit each other are laid on each other where the first ended.
    let moveNs = offsetNs ?? transit.latestTransitNs
    pdv.merge(later.pdv, offsetNs: moveNs)
    let apartSeconds = Double(Int64(bitPattern: later.firstArrivalNs &- firstArrivalNs)) / 1e9
    fit.merge(later.fit, arrivalOffset: apartSeconds, sentOffset: apartSeconds - Double(moveNs) / 1e9)
    sequence.merge(later.sequence)
    wireshark.merge(later.wireshark)
    jitterSumQ4Ns += later.jitterSumQ4Ns
    jitterCount += later.jitterCount
    if later.jitterPeak.valueNs > jitterPeak.valueNs { jitterPeak = later.jitterPeak }
    packets += later.packets
    bytes += later.bytes
    payloadTypes |= later.payloadTypes
    // What comes next follows the later part.
    account = later.account
    transit.follow(later.transit, offsetNs: moveNs)
    highestTransitNs = later.highestTransitNs.saturatingAdd(moveNs)
    lastArrivalNs = later.lastArrivalNs
  }
}
