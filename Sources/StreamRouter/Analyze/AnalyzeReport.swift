import JitterStats
import Topology

/// What `analyze` found in a capture.
public struct AnalyzeReport: Hashable, Sendable, Codable {
  public var file: String
  /// Whole UDP datagrams that the filter chose, and bytes of their payload.
  public var packets: UInt64
  public var bytes: UInt64
  /// Packets that are no whole UDP datagram.
  public var left: UInt64
  /// Arrival of the first datagram in the file, nanoseconds since 1970, and the time to the latest.
  public var firstNs: UInt64
  public var seconds: Double
  /// By flow, in the order of first packets; then by SSRC.
  public var streams: [Stream]
  /// MPEG transport streams without RTP, in the order of their first packets.
  public var transportStreams: [TransportStream]
  /// Streams whose figures had to make room, or for which there was none.
  public var displacedStreams: UInt64
  /// Datagrams that are of no stream.
  public var rest: [Rest]
  /// Flows without a stream, those with the most packets first; at most ``otherFlowsLimit``.
  public var otherFlows: [OtherFlow]

  /// Why the file was not read to its end, and what to do; nil: it was.
  public var damage: String?

  static let otherFlowsLimit = 8

  /// One RTP source on its way between two socket addresses.
  public struct Stream: Hashable, Sendable, Codable {
    public var source: Endpoint
    public var destination: Endpoint
    /// As registered, `H264`; nil: not known.
    public var format: String?
    /// Where the clock rate of the figures is known from.
    public var clockRateFrom: PayloadRates.Origin
    public var figures: RTPSourceReport
  }

  /// An MPEG transport stream in the payload of UDP.
  public struct TransportStream: Hashable, Sendable, Codable {
    public var source: Endpoint
    public var destination: Endpoint
    /// Payload of all datagrams.
    public var bytes: UInt64
    public var figures: TransportStreamReport
  }

  /// Whether there is anything to account for.
  public var isEmpty: Bool { streams.isEmpty && transportStreams.isEmpty }

  /// Datagrams of one kind.
  public struct Rest: Hashable, Sendable, Codable {
    public var kind: DatagramKind
    public var packets: UInt64
  }

  public struct OtherFlow: Hashable, Sendable, Codable {
    public var source: Endpoint
    public var destination: Endpoint
    public var packets: UInt64
  }

  /// What was found in place of RTP.
  public var foundInstead: String {
    guard packets > 0 else {
      return "no UDP datagram" + (left > 0 ? ", but \(Figure.grouped(left)) packets of other kinds" : "")
    }
    let kinds = rest.map { "\(Figure.grouped($0.packets)) \($0.kind.rawValue)" }.joined(separator: ", ")
    let flows = otherFlows.prefix(3).map { "\($0.source) to \($0.destination) (\(Figure.grouped($0.packets)))" }
    return
      "\(Figure.grouped(packets)) UDP datagrams (\(kinds)), most of them from \(flows.joined(separator: ", "))"
  }
}

extension AnalyzeReport {
  /// A table of the streams, then what is known of each.
  public var text: String {
    var lines = [
      "\(file): \(Figure.grouped(packets)) UDP datagrams in \(Figure.duration(seconds: seconds)), "
        + "\(streams.count) RTP \(streams.count == 1 ? "stream" : "streams")"
        + (transportStreams.isEmpty ? "" : ", \(transportStreams.count) MPEG-TS without RTP")
    ]
    if !streams.isEmpty { lines += [""] + table }
    for (place, stream) in streams.enumerated() { lines += ["", "#\(place + 1)  " + Self.details(stream)] }
    for (place, stream) in transportStreams.enumerated() {
      let figures = stream.figures
      lines += [
        "",
        "#\(streams.count + place + 1)  \(stream.source) -> \(stream.destination)",
        "  \(Figure.grouped(figures.datagrams)) datagrams, \(Figure.grouped(stream.bytes)) bytes in "
          + Figure.duration(seconds: figures.durationSeconds)
          + ", \(Figure.scaled(figures.rateBitsPerSecond))bit/s of MPEG-TS without RTP",
      ]
      lines += figures.text.map { "    " + $0 }
    }
    var ends: [String] = []
    if !rest.isEmpty {
      ends.append(
        "of no stream: "
          + rest.map { "\(Figure.grouped($0.packets)) \($0.kind.rawValue)" }.joined(separator: ", "))
    }
    if left > 0 { ends.append("left out \(Figure.grouped(left)) packets that are no whole UDP datagram") }
    if displacedStreams > 0 {
      ends.append("\(Figure.grouped(displacedStreams)) more streams, for whose figures there was no room")
    }
    if !ends.isEmpty { lines += [""] + ends }
    return lines.joined(separator: "\n")
  }

  private var table: [String] {
    func time(_ seconds: Double) -> String { Figure.duration(seconds: seconds) }
    var rows = [
      [
        "#", "source", "destination", "SSRC", "format", "packets", "lost", "%", "reord", "dup", "bit/s",
        "jitter",
        "max", "PDV p99",
      ]
    ]
    for (place, stream) in streams.enumerated() {
      let figures = stream.figures
      let types = figures.payloadTypes.map(String.init).joined(separator: ",")
      rows.append([
        "\(place + 1)", "\(stream.source)", "\(stream.destination)", "0x" + String(figures.ssrc, radix: 16),
        (stream.format.map { $0 + " " } ?? "") + types, Figure.grouped(figures.packets),
        Figure.grouped(figures.loss.lost), Figure.percent(figures.loss.ratio),
        Figure.grouped(figures.reordering.reordered), Figure.grouped(figures.loss.duplicates),
        Figure.scaled(figures.rateBitsPerSecond), time(figures.jitter.meanSeconds),
        time(figures.jitter.maxSeconds),
        time(figures.pdv.p99Seconds),
      ])
    }
    return AlignedColumns.lines(rows, rightFrom: 5)
  }

  private static func details(_ stream: Stream) -> String {
    let figures = stream.figures
    func milliseconds(_ seconds: Double) -> String {
      let micros = (seconds * 1e6).rounded()
      let rest = String(Int(micros.magnitude) % 1000)
      return (micros < 0 ? "-" : "") + "\(Int(micros.magnitude) / 1000)."
        + String(repeating: "0", count: 3 - rest.count) + rest
    }
    func duration(_ seconds: Double) -> String { Figure.duration(seconds: seconds) }
    let wireshark = figures.wireshark
    let bursts = figures.bursts
    var lines = ["\(stream.source) -> \(stream.destination)", ReceiveReport.text(figures)]
    if stream.clockRateFrom == .assumed {
      lines.append(
        "    \(figures.clockRate) Hz is assumed: give --sdp, or --clock-rate \(figures.payloadTypes.first ?? 0)=HZ"
      )
    }
    lines.append(
      "    change of delay (IPDV)  p50 \(duration(figures.ipdv.p50Seconds))  p99 \(duration(figures.ipdv.p99Seconds))  "
        + "max \(duration(figures.ipdv.maxSeconds)) at \(duration(figures.ipdv.maxAtSeconds))")
    if bursts.bursts > 0 || figures.loss.lost > 0 {
      lines.append(
        "    losses  most in a row \(Figure.grouped(bursts.longestRun))  bursts \(Figure.grouped(bursts.bursts))  "
          + "in bursts \(Figure.percent(bursts.density)) %  between \(Figure.percent(bursts.gapDensity)) %")
    }
    if let drift = figures.clock.driftPpm, abs(drift) < 1e6 {
      lines.append("    sender's clock  \(Int(abs(drift).rounded())) ppm \(drift < 0 ? "slow" : "fast")")
    }
    lines.append(
      "    as Wireshark counts, ms  lost \(wireshark.lost)  delta \(milliseconds(wireshark.minDeltaSeconds)) "
        + "\(milliseconds(wireshark.meanDeltaSeconds)) \(milliseconds(wireshark.maxDeltaSeconds))  jitter "
        + "\(milliseconds(wireshark.minJitterSeconds)) \(milliseconds(wireshark.meanJitterSeconds)) "
        + "\(milliseconds(wireshark.maxJitterSeconds))  (least, mean, most)")
    return lines.joined(separator: "\n")
  }
}
