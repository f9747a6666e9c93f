import JitterStats

/// What peers report, as lines for people: a name on the left and what it says. The monitor, `analyze` and `receive` show
/// the same.
struct PeerLines {
  struct Line {
    /// Empty where the line goes on with the one before.
    var name: String
    var text: String
  }

  static let title = "Reported by peers (RTCP)"

  let account: PeerAccount
  /// What ages are measured from, nanoseconds since 1970.
  let timeNs: UInt64

  var lines: [Line] {
    account.senders.map(sender) + account.reports.flatMap(report)
      + [rest].filter { !$0.isEmpty }.map {
        Line(name: "", text: $0)
      }
  }

  static func ssrc(_ ssrc: UInt32) -> String { "0x" + String(ssrc, radix: 16) }

  private func age(_ atNs: UInt64, _ hasLeft: Bool) -> String {
    let age = Figure.age(seconds: timeNs > atNs ? Double(timeNs - atNs) / 1e9 : 0) + " ago"
    return hasLeft ? "said goodbye, \(age)" : age
  }

  private func sender(_ sender: PeerSender) -> Line {
    var parts = [
      "sent \(Figure.grouped(UInt64(sender.sentPackets))) packets, "
        + "\(Figure.grouped(UInt64(sender.sentPayloadBytes))) bytes"
    ]
    if let clockNs = sender.clockNs { parts.append("its clock \(Figure.clock(timeNs: clockNs))") }
    parts.append(age(sender.timeNs, sender.hasLeft))
    return Line(name: Self.ssrc(sender.ssrc), text: parts.joined(separator: "; "))
  }

  private func report(_ report: PeerReport) -> [Line] {
    func time(_ seconds: Double) -> String { Figure.duration(seconds: seconds) }
    var parts: [String] = []
    if let reception = report.reception {
      parts.append("lost \(Figure.percent(reception.lossRatio))%, \(reception.lostPackets) in all")
      parts.append("jitter " + (reception.jitterSeconds.map(time) ?? "\(reception.jitterUnits) clock units"))
    }
    if let roundTrip = report.roundTripFromHereSeconds { parts.append("from here and back \(time(roundTrip))") }
    parts.append(age(report.timeNs, report.hasLeft))
    var lines = [
      Line(
        name: Self.ssrc(report.reporter),
        text: "on \(Self.ssrc(report.subject)): " + parts.joined(separator: "; "))
    ]
    if let text = report.statistics.map(Self.text) { lines.append(Line(name: "", text: text)) }
    if let text = report.voice.map(Self.text) { lines.append(Line(name: "", text: text)) }
    return lines
  }

  private static func text(_ statistics: PeerStatistics) -> String {
    var parts: [String] = []
    if let lost = statistics.lostPackets { parts.append("lost \(Figure.grouped(UInt64(lost)))") }
    if let duplicates = statistics.duplicatePackets {
      parts.append("duplicates \(Figure.grouped(UInt64(duplicates)))")
    }
    if let jitter = statistics.jitter {
      parts.append("jitter \(jitter.minUnits) to \(jitter.maxUnits), mean \(jitter.meanUnits) clock units")
    }
    if let hops = statistics.hops { parts.append("TTL \(hops.min) to \(hops.max)") }
    return "numbers \(statistics.beginSequence) to \(statistics.endSequence): "
      + (parts.isEmpty ? "nothing" : parts.joined(separator: "; "))
  }

  private static func text(_ voice: PeerVoice) -> String {
    func time(_ seconds: Double) -> String { Figure.duration(seconds: seconds) }
    func tenths(_ value: Double) -> String {
      let tenths = Int((value * 10).rounded())
      return "\(tenths / 10).\(tenths % 10)"
    }
    var parts = [
      "lost \(Figure.percent(voice.lossRatio))%, discarded \(Figure.percent(voice.discardRatio))%",
      "bursts \(time(voice.burstSeconds)) at \(Figure.percent(voice.burstDensity))%",
      "gaps \(time(voice.gapSeconds)) at \(Figure.percent(voice.gapDensity))%",
    ]
    if let seconds = voice.roundTripSeconds { parts.append("end to end and back \(time(seconds))") }
    if let seconds = voice.endSystemSeconds { parts.append("its end \(time(seconds))") }
    if let factor = voice.rFactor { parts.append("R \(factor)") }
    if let score = voice.listeningQuality { parts.append("MOS-LQ \(tenths(score))") }
    if let score = voice.conversationalQuality { parts.append("MOS-CQ \(tenths(score))") }
    return "voice: " + parts.joined(separator: "; ")
  }

  /// What is missing above.
  private var rest: String {
    [
      (account.unreadable, "unreadable: damaged or encrypted"), (account.unread, "not read in time"),
      (account.displaced, "more peers, for which there was no room"),
    ].filter { $0.0 > 0 }.map { "\(Figure.grouped($0.0)) \($0.1)" }.joined(separator: "; ")
  }
}

extension PeerAccount {
  /// For a report in plain text, indented by so many blanks; empty where there is nothing.
  func textLines(timeNs: UInt64, indent: Int = 2) -> [String] {
    let lines = PeerLines(account: self, timeNs: timeNs).lines
    guard !lines.isEmpty else { return [] }
    let margin = String(repeating: " ", count: indent)
    return [margin + PeerLines.title]
      + AlignedColumns.lines(lines.map { [$0.name, $0.text] }, rightFrom: 2).map { margin + "  " + $0 }
  }
}
