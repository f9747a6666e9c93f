/// What the peers of a stream report in the RTCP that passes, the latest of each (RFC 3550 section 6, RFC 3611). It is
/// their word: no figure of ours is made from it.
public struct PeerAccount: Hashable, Sendable, Codable {
  /// In the order of their first reports.
  public var senders: [PeerSender] = []
  /// One for each pair of a reporter and the source that it reports on, in the order of their first reports.
  public var reports: [PeerReport] = []
  /// RTCP datagrams that were read, and those whose lengths do not add up: damaged or encrypted.
  public var packets: UInt64 = 0
  public var unreadable: UInt64 = 0
  /// Datagrams that later ones displaced before they were read.
  public var unread: UInt64 = 0
  /// Packets and blocks of types that are not read here.
  public var skipped: UInt64 = 0
  /// Senders and pairs that had to make room for others.
  public var displaced: UInt64 = 0

  public init() {}

  public var isEmpty: Bool { self == PeerAccount() }

  /// How long a report counts as present: a peer that is silent for longer has left (RFC 3550 section 6.3.5 takes five
  /// intervals, which are five seconds or more).
  public static let presentNs: UInt64 = 60_000_000_000

  /// The reports that had come within ``presentNs`` before a moment, of reporters that have not said goodbye.
  public func present(atNs: UInt64) -> [PeerReport] {
    reports.filter { !$0.hasLeft && $0.timeNs &+ Self.presentNs >= atNs }
  }
}

/// What a sender says of itself.
public struct PeerSender: Hashable, Sendable, Codable {
  public var ssrc: UInt32
  /// Arrival of its latest report, nanoseconds since 1970.
  public var timeNs: UInt64
  /// Reports that were read.
  public var reports: UInt64
  /// RTP packets, and bytes of their payload, since it began.
  public var sentPackets: UInt32
  public var sentPayloadBytes: UInt32
  /// Its own clock when it sent the report, nanoseconds since 1970; nil: it has none.
  public var clockNs: UInt64?
  /// The same moment in units of the RTP clock.
  public var rtpTimestamp: UInt32
  /// It said goodbye.
  public var hasLeft: Bool

  /// Nanoseconds since 1970 of an NTP time (RFC 3550 section 4); nil for 0. Times before 1968 belong to the era that
  /// begins in 2036 (RFC 4330 section 3).
  static func unixNs(ntpTime: UInt64) -> UInt64? {
    guard ntpTime != 0 else { return nil }
    let seconds = (ntpTime >> 32) + (ntpTime >> 63 == 0 ? 1 << 32 : 0)
    let since1970: UInt64 = 2_208_988_800
    guard seconds >= since1970 else { return nil }
    return (seconds - since1970) * 1_000_000_000 + ((ntpTime & 0xffff_ffff) * 1_000_000_000) >> 32
  }
}

/// The latest that one reporter said of one source.
public struct PeerReport: Hashable, Sendable, Codable {
  public var reporter: UInt32
  public var subject: UInt32
  /// Arrival of the latest report, nanoseconds since 1970.
  public var timeNs: UInt64
  /// Reports that were read.
  public var reports: UInt64
  /// The reporter said goodbye.
  public var hasLeft: Bool
  /// Each of the last report that had it.
  public var reception: PeerReception?
  public var statistics: PeerStatistics?
  public var voice: PeerVoice?
  /// From where this was read to the reporter and back: between the passing of a time stamp towards the reporter and that
  /// of its answer, less what the reporter says it took (RFC 3550 section 6.4.1, RFC 3611 section 4.5). nil where one of
  /// both did not pass here. It is no round trip from end to end.
  public var roundTripFromHereSeconds: Double?
}
