import JitterStats

/// The JSON form of what peers report; what a peer does not say is null.
struct PeerDocument: Encodable {
  struct Sender: Encodable {
    var ssrc: UInt32
    /// Arrival of its latest report.
    var time: String
    var reports: UInt64
    var sentPackets: UInt32
    var sentPayloadBytes: UInt32
    /// Its own.
    @OrNull var clock: String?
    var rtpTimestamp: UInt32
    var hasLeft: Bool
  }

  struct Report: Encodable {
    var reporter: UInt32
    var subject: UInt32
    var time: String
    var reports: UInt64
    var hasLeft: Bool
    @OrNull var lossRatio: Double?
    @OrNull var lostPackets: Int32?
    @OrNull var extendedHighestSequence: UInt32?
    @OrNull var jitterSeconds: Double?
    @OrNull var jitterUnits: UInt32?
    @OrNull var roundTripFromHereSeconds: Double?
    @OrNull var statistics: Statistics?
    @OrNull var voice: Voice?
  }

  struct Statistics: Encodable {
    var beginSequence: UInt16
    var endSequence: UInt16
    @OrNull var lostPackets: UInt32?
    @OrNull var duplicatePackets: UInt32?
    @OrNull var jitter: PeerStatistics.Jitter?
    @OrNull var hops: PeerStatistics.Hops?

    init(_ found: PeerStatistics) {
      beginSequence = found.beginSequence
      endSequence = found.endSequence
      _lostPackets = OrNull(found.lostPackets)
      _duplicatePackets = OrNull(found.duplicatePackets)
      _jitter = OrNull(found.jitter)
      _hops = OrNull(found.hops)
    }
  }

  struct Voice: Encodable {
    var lossRatio: Double
    var discardRatio: Double
    var burstDensity: Double
    var gapDensity: Double
    var burstSeconds: Double
    var gapSeconds: Double
    @OrNull var roundTripSeconds: Double?
    @OrNull var endSystemSeconds: Double?
    @OrNull var rFactor: UInt8?
    @OrNull var listeningQuality: Double?
    @OrNull var conversationalQuality: Double?
    var bufferSeconds: Double
    var bufferMaxSeconds: Double

    init(_ found: PeerVoice) {
      lossRatio = found.lossRatio
      discardRatio = found.discardRatio
      burstDensity = found.burstDensity
      gapDensity = found.gapDensity
      burstSeconds = found.burstSeconds
      gapSeconds = found.gapSeconds
      _roundTripSeconds = OrNull(found.roundTripSeconds)
      _endSystemSeconds = OrNull(found.endSystemSeconds)
      _rFactor = OrNull(found.rFactor)
      _listeningQuality = OrNull(found.listeningQuality)
      _conversationalQuality = OrNull(found.conversationalQuality)
      bufferSeconds = found.bufferSeconds
      bufferMaxSeconds = found.bufferMaxSeconds
    }
  }

  var senders: [Sender]
  var reports: [Report]
  var packets: UInt64
  var unreadable: UInt64
  var unread: UInt64
  var skipped: UInt64
  var displaced: UInt64

  init(_ account: PeerAccount) {
    senders = account.senders.map { found in
      Sender(
        ssrc: found.ssrc, time: MonitorDocument.text(timeNs: found.timeNs),
        reports: found.reports, sentPackets: found.sentPackets, sentPayloadBytes: found.sentPayloadBytes,
        clock: OrNull(found.clockNs.map { MonitorDocument.text(timeNs: $0) }),
        rtpTimestamp: found.rtpTimestamp, hasLeft: found.hasLeft)
    }
    reports = account.reports.map { found in
      Report(
        reporter: found.reporter, subject: found.subject, time: MonitorDocument.text(timeNs: found.timeNs),
        reports: found.reports, hasLeft: found.hasLeft,
        lossRatio: OrNull(found.reception?.lossRatio), lostPackets: OrNull(found.reception?.lostPackets),
        extendedHighestSequence: OrNull(found.reception?.extendedHighestSequence),
        jitterSeconds: OrNull(found.reception?.jitterSeconds),
        jitterUnits: OrNull(found.reception?.jitterUnits),
        roundTripFromHereSeconds: OrNull(found.roundTripFromHereSeconds),
        statistics: OrNull(found.statistics.map(Statistics.init)), voice: OrNull(found.voice.map(Voice.init)))
    }
    packets = account.packets
    unreadable = account.unreadable
    unread = account.unread
    skipped = account.skipped
    displaced = account.displaced
  }
}
