/// What one RTCP datagram says about senders and receivers (RFC 3550 section 6, RFC 3611): sender reports, report blocks,
/// goodbyes, and the extended reports that carry figures.
///
/// The packets of a datagram must add up to its length, as RFC 3550 appendix A.2 has it; else nothing of it is taken in.
/// That keeps out what a network damaged, and SRTCP too, whose encrypted part would pass for figures. A first packet of
/// any type is taken (reduced size, RFC 5506). Packets and blocks of other types are stepped over and counted.
public struct RTCPCompound: Hashable, Sendable {
  /// What a sender says of itself (RFC 3550 section 6.4.1).
  public struct Sender: Hashable, Sendable {
    public var ssrc: UInt32
    /// Its wallclock in the form of NTP: seconds since 1900 in the upper half, fractions in the lower; 0: it has none.
    public var ntpTime: UInt64
    /// The same moment in units of the RTP clock.
    public var rtpTimestamp: UInt32
    /// RTP packets, and bytes of their payload, since it began.
    public var packets: UInt32
    public var payloadBytes: UInt32
  }

  /// What `reporter` says of `subject`, whose packets it receives.
  public struct Report<Figures: Hashable & Sendable>: Hashable, Sendable {
    public var reporter: UInt32
    public var subject: UInt32
    public var figures: Figures
  }

  /// How long ago the reporter got a time stamp of the subject.
  public struct Echo: Hashable, Sendable {
    /// The middle 32 bits of the NTP time that came; 0: none came yet.
    public var ntpMiddle: UInt32
    /// In 1/65,536 s.
    public var delayUnits: UInt32

    /// Nanoseconds, rounded down.
    public var delayNs: UInt64 { (UInt64(delayUnits) * 1_000_000_000) >> 16 }
  }

  /// A report block (RFC 3550 section 6.4.1).
  public struct Block: Hashable, Sendable {
    public var reception: PeerReception
    /// Of the subject's latest sender report: LSR and DLSR.
    public var echo: Echo
  }

  /// A receiver's own time stamp (RFC 3611 section 4.4).
  public struct ReceiverTime: Hashable, Sendable {
    public var ssrc: UInt32
    public var ntpTime: UInt64
  }

  public private(set) var senders: [Sender] = []
  public private(set) var blocks: [Report<Block>] = []
  /// Sources that said goodbye (RFC 3550 section 6.6).
  public private(set) var leaving: [UInt32] = []
  public private(set) var receiverTimes: [ReceiverTime] = []
  /// Answers to receivers' time stamps: LRR and DLRR (RFC 3611 section 4.5).
  public private(set) var receiverEchoes: [Report<Echo>] = []
  public private(set) var statistics: [Report<PeerStatistics>] = []
  public private(set) var voice: [Report<PeerVoice>] = []
  /// Packets and blocks of types that are not read.
  public private(set) var skipped: UInt64 = 0

  /// Packet types (RFC 3550 section 12.1, RFC 3611 section 2).
  private enum PacketType {
    static let senderReport: UInt8 = 200
    static let receiverReport: UInt8 = 201
    static let description: UInt8 = 202
    static let goodbye: UInt8 = 203
    static let extended: UInt8 = 207
  }

  /// Block types of extended reports (RFC 3611 section 4).
  private enum BlockType {
    static let receiverTime: UInt8 = 4
    static let receiverEcho: UInt8 = 5
    static let statistics: UInt8 = 6
    static let voice: UInt8 = 7
  }

  /// Reads a datagram. nil: its packets do not add up to its length, or one contradicts itself.
  /// - Parameter length: bytes of the whole datagram where `payload` is only its beginning: what is not there is left
  ///   out.
  public init?(_ payload: RawSpan, length: Int? = nil) {
    let length = length ?? payload.byteCount
    let held = NetworkBytes(payload)
    guard length >= held.end, held.end >= MediaPacket.rtcpHeaderBytes else { return nil }
    var offset = 0
    while offset < length {
      // The rest was not kept.
      if offset + 4 > held.end, length > held.end { return }
      guard offset + 4 <= held.end else { return nil }
      let first = held.byte(offset)
      let type = held.byte(offset + 1)
      let next = offset + 4 * (Int(held.word(offset + 2)) + 1)
      guard first >> 6 == 2, (192...223).contains(type), next <= length else { return nil }
      if next > held.end { return }
      var end = next
      if first & 0x20 != 0 {
        // Only the last packet may be padded (section 6.4.1).
        let padding = Int(held.byte(next - 1))
        guard next == length, padding > 0, padding % 4 == 0, padding <= next - offset - 4 else { return nil }
        end -= padding
      }
      guard take(type, count: Int(first & 31), held.upTo(end), from: offset + 4) else { return nil }
      offset = next
    }
  }

  /// One packet behind its header. false: it contradicts itself.
  private mutating func take(_ type: UInt8, count: Int, _ bytes: NetworkBytes, from start: Int) -> Bool {
    switch type {
    case PacketType.senderReport:
      guard start + 24 <= bytes.end else { return false }
      let ssrc = bytes.long(start)
      senders.append(
        Sender(
          ssrc: ssrc, ntpTime: bytes.huge(start + 4), rtpTimestamp: bytes.long(start + 12),
          packets: bytes.long(start + 16), payloadBytes: bytes.long(start + 20)))
      return takeBlocks(count, of: ssrc, bytes, from: start + 24)
    case PacketType.receiverReport:
      guard start + 4 <= bytes.end else { return false }
      return takeBlocks(count, of: bytes.long(start), bytes, from: start + 4)
    case PacketType.goodbye:
      guard start + 4 * count <= bytes.end else { return false }
      for place in 0..<count { leaving.append(bytes.long(start + 4 * place)) }
    case PacketType.extended:
      guard start + 4 <= bytes.end else { return false }
      return takeExtended(of: bytes.long(start), bytes, from: start + 4)
    // Names, of which no figure is made.
    case PacketType.description: break
    default: skipped += 1
    }
    return true
  }

  private mutating func takeBlocks(
    _ count: Int, of reporter: UInt32, _ bytes: NetworkBytes, from start: Int
  ) -> Bool {
    // What follows the blocks is a profile's own (section 6.4.3).
    guard start + 24 * count <= bytes.end else { return false }
    for place in 0..<count {
      let block = start + 24 * place
      let reception = PeerReception(
        lossRatio: Double(bytes.byte(block + 4)) / 256,
        // 24 bits with a sign: duplicates make it negative.
        lostPackets: Int32(bitPattern: bytes.long(block + 4) << 8) >> 8,
        extendedHighestSequence: bytes.long(block + 8), jitterUnits: bytes.long(block + 12))
      let echo = Echo(ntpMiddle: bytes.long(block + 16), delayUnits: bytes.long(block + 20))
      blocks.append(
        Report(
          reporter: reporter, subject: bytes.long(block), figures: Block(reception: reception, echo: echo)))
    }
    return true
  }

  private mutating func takeExtended(of reporter: UInt32, _ bytes: NetworkBytes, from start: Int) -> Bool {
    var offset = start
    while offset < bytes.end {
      guard offset + 4 <= bytes.end else { return false }
      let next = offset + 4 * (Int(bytes.word(offset + 2)) + 1)
      guard next <= bytes.end else { return false }
      let body = offset + 4
      switch (bytes.byte(offset), next - body) {
      case (BlockType.receiverTime, 8):
        receiverTimes.append(ReceiverTime(ssrc: reporter, ntpTime: bytes.huge(body)))
      case (BlockType.receiverEcho, let count) where count % 12 == 0:
        for part in stride(from: body, to: next, by: 12) {
          receiverEchoes.append(
            Report(
              reporter: reporter, subject: bytes.long(part),
              figures: Echo(ntpMiddle: bytes.long(part + 4), delayUnits: bytes.long(part + 8))))
        }
      case (BlockType.statistics, PeerStatistics.bytes):
        statistics.append(
          Report(
            reporter: reporter, subject: bytes.long(body),
            figures: PeerStatistics(bytes, at: body, flags: bytes.byte(offset + 1))))
      case (BlockType.voice, PeerVoice.bytes):
        voice.append(
          Report(reporter: reporter, subject: bytes.long(body), figures: PeerVoice(bytes, at: body)))
      default: skipped += 1
      }
      offset = next
    }
    return true
  }
}

/// The beginning of a datagram, read in network order. Reading behind its bytes traps: whoever reads has compared.
struct NetworkBytes {
  private let bytes: [UInt8]
  private(set) var end: Int

  /// A copy: RTCP is rare.
  init(_ payload: RawSpan) {
    bytes = payload.withUnsafeBytes { Array($0) }
    end = bytes.count
  }

  /// The same bytes, of which those from `end` on are not for the reader.
  func upTo(_ end: Int) -> NetworkBytes {
    var part = self
    part.end = end
    return part
  }

  func byte(_ offset: Int) -> UInt8 { bytes[offset] }
  func word(_ offset: Int) -> UInt16 { UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1]) }
  func long(_ offset: Int) -> UInt32 { UInt32(word(offset)) << 16 | UInt32(word(offset + 2)) }
  func huge(_ offset: Int) -> UInt64 { UInt64(long(offset)) << 32 | UInt64(long(offset + 4)) }
}
