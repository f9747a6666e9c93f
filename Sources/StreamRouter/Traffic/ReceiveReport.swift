import JitterStats
import Topology

/// What `receive` received: the account of each RTP source, and of each run of `send`.
public struct ReceiveReport: Hashable, Sendable, Codable {
  public var endpoint: Endpoint
  public var transport: StreamProtocol
  /// Datagrams and bytes of their UDP payload.
  public var packets: UInt64
  public var bytes: UInt64
  /// First and last arrival, nanoseconds since 1970; 0 where nothing came.
  public var firstNs: UInt64
  public var lastNs: UInt64
  /// Packets that came and found the socket's queue full: lost here, not on the way.
  public var queueDrops: UInt64
  /// Who sent, in the order of their first packets; at most ``TestReceiver/sendersLimit``.
  public var senders: [Endpoint]
  /// RTCP packets that came on the RTP port, and payloads that are neither; 0 for protocol udp.
  public var rtcpPackets: UInt64
  public var otherPackets: UInt64
  /// Each SSRC; empty for protocol udp.
  public var sources: [RTPSourceReport]
  /// SSRCs whose figures had to make room for others.
  public var displacedSources: UInt64
  /// Each MPEG transport stream without RTP, by who sent it; empty for protocol rtp, whose sources have theirs.
  public var transportStreams: [TransportStream]
  /// Each run of `send`; empty where something else sent.
  public var runs: [ProbeReport]
  /// Runs whose figures had to make room for others.
  public var displacedRuns: UInt64

  /// An MPEG transport stream in the payload of UDP.
  public struct TransportStream: Hashable, Sendable, Codable {
    public var source: Endpoint
    public var figures: TransportStreamReport
  }

  /// From the first packet to the last.
  public var seconds: Double { Double(lastNs - firstNs) / 1e9 }

  private var deliveryIndices: [TransportStreamReport.DeliveryIndex] {
    sources.compactMap(\.transportStream?.deliveryIndex) + transportStreams.map(\.figures.deliveryIndex)
  }

  /// Whether a limit is broken. Where the packets are of `send`, what its numbers say counts, else what RTP's do.
  public func exceeds(_ threshold: Threshold) -> Bool {
    func sum(_ probes: (ProbeReport) -> UInt64, _ rtp: (RTPSourceReport) -> UInt64) -> Double {
      runs.isEmpty ? sources.reduce(0) { $0 + Double(rtp($1)) } : runs.reduce(0) { $0 + Double(probes($1)) }
    }
    switch threshold.figure {
    case .loss:
      let lost = sum(\.missing, \.loss.lost)
      return threshold.isExceeded(by: lost, of: lost + sum(\.received, \.loss.received))
    case .duplicates: return threshold.isExceeded(by: sum(\.duplicates, \.loss.duplicates))
    case .reordered: return threshold.isExceeded(by: sum(\.reordered, \.reordering.reordered))
    case .queue: return threshold.isExceeded(by: Double(queueDrops))
    case .jitter: return threshold.isExceeded(by: sources.map(\.jitter.maxSeconds).max() ?? 0)
    case .delayFactor:
      return threshold.isExceeded(by: deliveryIndices.map(\.maxDelayFactorSeconds).max() ?? 0)
    case .mediaLossRate:
      return threshold.isExceeded(by: Double(deliveryIndices.map(\.maxLossRate).max() ?? 0))
    case .delay: return threshold.isExceeded(by: runs.compactMap(\.delay?.maxSeconds).max() ?? 0)
    }
  }

  public var text: String {
    guard packets > 0 else { return "nothing arrived at \(endpoint)" + queueText }
    var line =
      "received \(Figure.grouped(packets)) \(transport.rawValue) packets at \(endpoint), "
      + "\(Figure.grouped(bytes)) bytes in \(Figure.duration(seconds: seconds))"
    line += TrafficRate.text(packets: packets, bytes: bytes, seconds: seconds) + queueText
    line += "\n  from \(senders.map(\.description).joined(separator: ", "))"
    var lines = [line] + runs.map(\.text) + sources.map(Self.text)
    for stream in transportStreams {
      lines.append("  from \(stream.source)")
      lines += stream.figures.text.map { "    " + $0 }
    }
    if rtcpPackets > 0 { lines.append("  \(Figure.grouped(rtcpPackets)) RTCP packets") }
    if otherPackets > 0 { lines.append("  \(Figure.grouped(otherPackets)) packets that are no RTP") }
    if displacedSources > 0 {
      lines.append("  \(Figure.grouped(displacedSources)) more SSRCs, whose figures had to make room")
    }
    if displacedRuns > 0 {
      lines.append("  \(Figure.grouped(displacedRuns)) more runs of send, whose figures had to make room")
    }
    return lines.joined(separator: "\n")
  }

  private var queueText: String {
    queueDrops == 0
      ? ""
      : "\n  \(Figure.grouped(queueDrops)) packets found this socket's queue full: receive was too slow for them"
  }

  /// The lines of one SSRC.
  static func text(_ source: RTPSourceReport) -> String {
    func time(_ seconds: Double) -> String { Figure.duration(seconds: seconds) }
    let loss = source.loss
    let types = source.payloadTypes.map(String.init).joined(separator: ", ")
    let stream = source.transportStream?.text.map { "\n    " + $0 }.joined() ?? ""
    return """
        SSRC 0x\(String(source.ssrc, radix: 16)), payload type \(types), \(source.clockRate) Hz: \
      \(Figure.grouped(source.packets)) packets, \(Figure.grouped(loss.lost)) lost (\(Figure.percent(loss.ratio)) %), \
      \(Figure.grouped(loss.duplicates)) duplicates, \(Figure.grouped(source.reordering.reordered)) reordered, \
      \(Figure.grouped(loss.restarts)) restarts
          jitter  last \(time(source.jitter.lastSeconds))  mean \(time(source.jitter.meanSeconds))  \
      max \(time(source.jitter.maxSeconds))
          delay variation  p50 \(time(source.pdv.p50Seconds))  p99 \(time(source.pdv.p99Seconds))  \
      p99.9 \(time(source.pdv.p999Seconds))  max \(time(source.pdv.maxSeconds))
          interarrival  mean \(time(source.interarrival.meanSeconds))  p99 \(time(source.interarrival.p99Seconds))  \
      max \(time(source.interarrival.maxSeconds))
      """ + stream
  }
}
