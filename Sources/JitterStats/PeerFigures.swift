// What peers report in RTCP, each kind of block as a value. Peers say it; nothing here is measured.

/// What a report block says of how a source arrives (RFC 3550 section 6.4.1).
public struct PeerReception: Hashable, Sendable, Codable {
  /// Lost packets by expected ones since the report before, 0 to 1, in steps of 1/256.
  public var lossRatio: Double
  /// Since reception began; below 0 where duplicates outnumber losses.
  public var lostPackets: Int32
  /// The highest sequence number, and in the upper half how often the numbers began anew.
  public var extendedHighestSequence: UInt32
  /// Interarrival jitter in units of the RTP clock.
  public var jitterUnits: UInt32
  /// The same in seconds, where the subject's clock rate is known.
  public var jitterSeconds: Double?

  public init(
    lossRatio: Double, lostPackets: Int32, extendedHighestSequence: UInt32, jitterUnits: UInt32,
    jitterSeconds: Double? = nil
  ) {
    self.lossRatio = lossRatio
    self.lostPackets = lostPackets
    self.extendedHighestSequence = extendedHighestSequence
    self.jitterUnits = jitterUnits
    self.jitterSeconds = jitterSeconds
  }
}

/// A statistics summary (RFC 3611 section 4.6) over the sequence numbers from `beginSequence` to before `endSequence`.
/// What the block does not fill is nil.
public struct PeerStatistics: Hashable, Sendable, Codable {
  /// In units of the RTP clock.
  public struct Jitter: Hashable, Sendable, Codable {
    public var minUnits: UInt32
    public var maxUnits: UInt32
    public var meanUnits: UInt32
    public var deviationUnits: UInt32
  }

  /// TTL, or hop limit.
  public struct Hops: Hashable, Sendable, Codable {
    public var min: UInt8
    public var max: UInt8
    public var mean: UInt8
    public var deviation: UInt8
  }

  public var beginSequence: UInt16
  public var endSequence: UInt16
  public var lostPackets: UInt32?
  public var duplicatePackets: UInt32?
  public var jitter: Jitter?
  public var hops: Hops?

  /// Bytes behind the block's header.
  static let bytes = 36

  init(_ bytes: NetworkBytes, at start: Int, flags: UInt8) {
    beginSequence = bytes.word(start + 4)
    endSequence = bytes.word(start + 6)
    if flags & 0x80 != 0 { lostPackets = bytes.long(start + 8) }
    if flags & 0x40 != 0 { duplicatePackets = bytes.long(start + 12) }
    if flags & 0x20 != 0 {
      jitter = Jitter(
        minUnits: bytes.long(start + 16), maxUnits: bytes.long(start + 20), meanUnits: bytes.long(start + 24),
        deviationUnits: bytes.long(start + 28))
    }
    if flags & 0x18 != 0 {
      hops = Hops(
        min: bytes.byte(start + 32), max: bytes.byte(start + 33), mean: bytes.byte(start + 34),
        deviation: bytes.byte(start + 35))
    }
  }
}

/// VoIP metrics (RFC 3611 section 4.7). What the reporter says is unavailable is nil.
public struct PeerVoice: Hashable, Sendable, Codable {
  /// Packets lost on the way, and discarded by the jitter buffer, by those expected, since reception began; 0 to 1.
  public var lossRatio: Double
  public var discardRatio: Double
  /// Share of packets lost or discarded within bursts, and between them; 0 to 1.
  public var burstDensity: Double
  public var gapDensity: Double
  /// Mean length of a burst, and of the time between two.
  public var burstSeconds: Double
  public var gapSeconds: Double
  /// Between the RTP interfaces of both ends, as the reporter knows it.
  public var roundTripSeconds: Double?
  /// What the reporter's own end adds: coding, jitter buffer, playing.
  public var endSystemSeconds: Double?
  /// 0 to 100.
  public var rFactor: UInt8?
  /// Mean opinion scores, 1 to 5: listening, and conversation.
  public var listeningQuality: Double?
  public var conversationalQuality: Double?
  /// Of the jitter buffer.
  public var bufferSeconds: Double
  public var bufferMaxSeconds: Double

  /// Bytes behind the block's header.
  static let bytes = 32

  init(_ bytes: NetworkBytes, at start: Int) {
    func ratio(_ offset: Int) -> Double { Double(bytes.byte(start + offset)) / 256 }
    func seconds(_ offset: Int) -> Double { Double(bytes.word(start + offset)) / 1000 }
    func score(_ offset: Int) -> Double? {
      let tenths = bytes.byte(start + offset)
      return (10...50).contains(tenths) ? Double(tenths) / 10 : nil
    }
    lossRatio = ratio(4)
    discardRatio = ratio(5)
    burstDensity = ratio(6)
    gapDensity = ratio(7)
    burstSeconds = seconds(8)
    gapSeconds = seconds(10)
    // 0 stands for what has not been measured.
    roundTripSeconds = bytes.word(start + 12) > 0 ? seconds(12) : nil
    endSystemSeconds = bytes.word(start + 14) > 0 ? seconds(14) : nil
    let factor = bytes.byte(start + 20)
    rFactor = factor <= 100 ? factor : nil
    listeningQuality = score(22)
    conversationalQuality = score(23)
    bufferSeconds = seconds(26)
    bufferMaxSeconds = seconds(28)
  }
}
