/// Bursts and gaps of a stream (RFC 3611 section 4.7.2): whether packets are lost one by one or together.
///
/// A burst is the longest run that starts and ends with a lost packet and holds no ``minimumGap`` received packets
/// in a row; all else is gap. A single lost packet among received ones belongs to its gap, as in the RFC's
/// algorithm (appendix A.2). Packets come in the order of their sequence numbers, and each is decided once: whoever
/// feeds this waits until a number cannot arrive any more.
public struct LossPattern: Hashable, Sendable {
  /// Received packets in a row that end a burst: Gmin of RFC 3611, at the value that it recommends.
  public static let minimumGap: UInt64 = 16

  /// Bursts that have ended.
  public private(set) var bursts: UInt64 = 0
  /// Packets of ended bursts, lost and received.
  public private(set) var burstPackets: UInt64 = 0
  /// Lost packets of ended bursts.
  public private(set) var burstLosses: UInt64 = 0
  /// The longest burst, in packets.
  public private(set) var longestBurst: UInt64 = 0
  /// Packets of gaps, lost and received.
  public private(set) var gapPackets: UInt64 = 0
  /// Lost packets of gaps: each stands alone.
  public private(set) var gapLosses: UInt64 = 0
  /// Most packets that were lost in a row.
  public private(set) var longestRun: UInt64 = 0

  /// Packets since the latest lost one, all received.
  private var receivedInRow: UInt64 = 0
  /// Packets lost in a row up to the latest one.
  private var lostInRow: UInt64 = 0
  /// The run from the first lost packet to the latest one that may become a burst.
  private var openPackets: UInt64 = 0
  private var openLosses: UInt64 = 0

  public init() {}

  /// Takes in one packet that was received.
  public mutating func received() {
    lostInRow = 0
    receivedInRow += 1
    if openLosses > 0, receivedInRow >= Self.minimumGap { close() }
    // Without an open run every received packet is one of a gap.
    if openLosses == 0 {
      gapPackets += receivedInRow
      receivedInRow = 0
    }
  }

  /// Takes in one packet that was lost for good.
  public mutating func lost() {
    lostInRow += 1
    longestRun = max(longestRun, lostInRow)
    openPackets += (openLosses > 0 ? receivedInRow : 0) + 1
    openLosses += 1
    receivedInRow = 0
  }

  /// Ends the open run: two and more losses are a burst.
  private mutating func close() {
    if openLosses > 1 {
      bursts += 1
      burstPackets += openPackets
      burstLosses += openLosses
      longestBurst = max(longestBurst, openPackets)
    } else {
      gapPackets += openPackets
      gapLosses += openLosses
    }
    openPackets = 0
    openLosses = 0
  }

  /// Ends the stream: it is followed by received packets, RFC 3611 says.
  public mutating func finish() {
    if openLosses > 0 { close() }
    gapPackets += receivedInRow
    receivedInRow = 0
    lostInRow = 0
  }

  /// Takes in the pattern of another part of the stream. A burst across the border of both counts as two.
  public mutating func merge(_ other: LossPattern) {
    finish()
    var other = other
    other.finish()
    bursts += other.bursts
    burstPackets += other.burstPackets
    burstLosses += other.burstLosses
    longestBurst = max(longestBurst, other.longestBurst)
    gapPackets += other.gapPackets
    gapLosses += other.gapLosses
    longestRun = max(longestRun, other.longestRun)
  }
}
