/// The RTP sources of one flow (one pair of socket addresses): an ``RTPSourceAnalysis`` for each SSRC, in a bounded
/// number.
///
/// One SSRC more than ``capacity`` takes the place of the one that has been silent longest; its figures are lost,
/// and ``displaced`` counts it, so that a report can say that it is incomplete.
public struct RTPAnalysis: Sendable {
  /// SSRCs that are kept at most: a sender that invents one for each packet must not take all memory.
  public let capacity: Int
  /// Sources whose figures had to make room.
  public private(set) var displaced: UInt64 = 0
  /// RTCP packets, and payloads that are neither RTP nor RTCP (``MediaPacket``).
  public private(set) var rtcpPackets: UInt64 = 0
  public private(set) var otherPackets: UInt64 = 0
  /// In the order of their first packets.
  public private(set) var sources: [RTPSourceAnalysis] = []

  private let clockRate: @Sendable (UInt8) -> UInt32
  private var current = 0

  /// - Parameters:
  ///   - capacity: SSRCs that are kept, at least 1.
  ///   - clockRate: Hz of the timestamps of a payload type, above 0: what SDP said, or ``PayloadClock``. What the
  ///     first packet of an SSRC says holds for all of it (RFC 7160 section 4.1).
  public init(
    capacity: Int = 16,
    clockRate: @escaping @Sendable (UInt8) -> UInt32 = { PayloadClock.rate(payloadType: $0) }
  ) {
    precondition(capacity >= 1, "An analysis without room for a source has nothing to say.")
    self.capacity = capacity
    self.clockRate = clockRate
  }

  /// The figures of each source, in the order of their first packets.
  public var reports: [RTPSourceReport] { sources.compactMap(\.report) }

  /// Accounts for the payload of one datagram of the RTP port.
  /// - Parameter arrivalNs: nanoseconds of any clock that does not change between calls.
  @discardableResult
  public mutating func receive(payload: RawSpan, arrivalNs: UInt64) -> MediaPacket {
    let packet = MediaPacket(rtpPort: payload)
    switch packet {
    case .rtp(let header):
      let arrival = receive(header, arrivalNs: arrivalNs, payloadBytes: payload.byteCount)
      if let media = RTPHeader.media(of: payload) {
        sources[current].receive(
          media: payload.extracting(media), payloadType: header.payloadType, arrival, arrivalNs: arrivalNs)
      }
    case .rtcp: rtcpPackets += 1
    case .malformed, .other: otherPackets += 1
    }
    return packet
  }

  /// Accounts for one RTP packet by its header only: a transport stream within is not looked at.
  /// - Parameter payloadBytes: bytes of the RTP packet with its header.
  @discardableResult
  public mutating func receive(
    _ header: RTPHeader, arrivalNs: UInt64, payloadBytes: Int
  ) -> SourceAccount.Arrival {
    // Most packets belong to the source of the packet before.
    if sources.isEmpty || sources[current].ssrc != header.ssrc { current = place(for: header) }
    return sources[current].receive(header, arrivalNs: arrivalNs, payloadBytes: payloadBytes)
  }

  private mutating func place(for header: RTPHeader) -> Int {
    if let found = sources.firstIndex(where: { $0.ssrc == header.ssrc }) { return found }
    if sources.count >= capacity,
      let silent = sources.indices.min(by: { sources[$0].lastArrivalNs ?? 0 < sources[$1].lastArrivalNs ?? 0 })
    {
      sources.remove(at: silent)
      displaced += 1
    }
    sources.append(
      RTPSourceAnalysis(ssrc: header.ssrc, clockRate: max(1, clockRate(header.payloadType))))
    return sources.count - 1
  }

  /// Takes in what another analysis of the same flow saw later.
  public mutating func merge(_ later: RTPAnalysis) {
    displaced += later.displaced
    rtcpPackets += later.rtcpPackets
    otherPackets += later.otherPackets
    for source in later.sources {
      if let index = sources.firstIndex(where: { $0.ssrc == source.ssrc && $0.clockRate == source.clockRate }) {
        sources[index].merge(source)
      } else if sources.count < capacity {
        sources.append(source)
      } else {
        displaced += 1
      }
    }
    current = 0
  }
}
