import CStreamRouter

/// The page about one relay: where it listens and sends, its engine and why, each counter with what it counts,
/// and how long packets stay.
struct DetailView {
  let id: MonitorRow.ID
  /// nil where the relay is no longer deployed.
  let row: MonitorRow?
  let path: StreamPath
  let node: MonitorBoard.Node?
  /// When the readings on show were taken, nanoseconds since 1970.
  let timeNs: UInt64
  let columns: Int
  let style: MonitorStyle

  /// Cells of the names on the left.
  private static let nameWidth = 18

  func lines() -> [StyledLine] {
    var title = StyledLine("stream \(id.stream), hop \(id.hop) on node \(id.node)", .title)
    guard let row else {
      title.append("  no longer deployed", .warning)
      return [title]
    }
    title.append("  \(row.condition.rawValue)", TableView.part(row.condition))
    let drawn = PathView(path: path, selected: id, columns: columns, style: style).lines()
    let series = SeriesView(row: row, columns: columns, style: style).lines()
    return [title] + staleness(row) + [StyledLine()] + drawn + [StyledLine()] + series + [StyledLine()]
      + addresses(row) + figures(row) + peers(row) + extensions(row) + counters(row)
      + residence(row)
  }

  private func staleness(_ row: MonitorRow) -> [StyledLine] {
    guard let stale = row.staleSeconds else { return [] }
    let problem = node?.reading.problem.map { ": \($0)" } ?? ""
    return [StyledLine("all below is \(Figure.age(seconds: stale)) old\(problem)", .warning)]
  }

  private func addresses(_ row: MonitorRow) -> [StyledLine] {
    let relay = row.relay
    var lines = [
      field("ingress", "\(relay.ingress) \(relay.transport.rawValue)"),
      field("engine", relay.engine.rawValue),
    ]
    if let limits = relay.limits {
      lines.append(field("expected", limits.limits.map(\.description).joined(separator: ", ")))
      for (index, breach) in row.breaches.enumerated() {
        var line = field(index == 0 ? "broken" : "", "")
        line.append(breach.description, .warning)
        lines.append(line)
      }
    }
    if let reason = relay.engineReason { lines.append(field("", reason)) }
    if let worker = relay.worker, worker.restarts > 0 {
      var line = field("worker", "")
      line.append("started again \(Figure.grouped(worker.restarts)) times", .warning)
      line.append(worker.latest.map { "; the last time: \($0)" } ?? "")
      lines.append(line)
    }
    for (index, sink) in relay.sinks.enumerated() {
      let text = "\(sink.kind.rawValue) \(sink.name) at \(sink.destination), from \(sink.source)"
      lines.append(field(index == 0 ? "sinks" : "", text))
    }
    return lines
  }

  private func figures(_ row: MonitorRow) -> [StyledLine] {
    let relay = row.relay
    var lines = [field("last seen", lastSeen(relay))]
    if let ssrc = relay.ssrc { lines.append(field("ssrc", "0x" + String(ssrc, radix: 16))) }
    if relay.transport.isDatagrams {
      let jitter = Figure.duration(seconds: relay.jitterSeconds)
      lines.append(
        field("jitter", "\(jitter), at most \(Figure.duration(seconds: relay.jitterMaxSeconds)) since deployed")
      )
    }
    lines += variation(row)
    if let rates = row.rates {
      lines.append(field("in", Self.flow(rates.packetsPerSecond, rates.bitsPerSecond)))
      lines.append(field("out", Self.flow(rates.packetsOutPerSecond, rates.bitsOutPerSecond)))
      if relay.tcp != nil {
        let replies = Double(rates.counters["reply_packets"] ?? 0) / rates.intervalSeconds
        lines.append(field("replies", Self.flow(replies, rates.replyBitsPerSecond)))
      }
      if rates.restarted { lines.append(field("", "the counters began again in this interval")) }
    }
    if relay.transport == .rtp { lines.append(field("lost", loss(row))) }
    return lines
  }

  /// What the smoothed jitter hides: the largest of many differences, and when it was.
  private func variation(_ row: MonitorRow) -> [StyledLine] {
    [("ipdv", row.relay.ipdv, row.rates?.ipdv), ("pdv", row.relay.pdv, row.rates?.pdv)].compactMap {
      name, histogram, interval in
      guard let all = ResidenceSummary(histogram.durations) else { return nil }
      return field(
        name,
        Self.summary(interval ?? all)
          + "; since deployed max \(Figure.duration(seconds: all.maxSeconds)) at \(Figure.clock(timeNs: histogram.maxAtNs))"
      )
    }
  }

  private func lastSeen(_ relay: RelaySnapshot) -> String {
    if relay.lastSeenNs == 0 { return "no packet yet" }
    let age = timeNs > relay.lastSeenNs ? Double(timeNs - relay.lastSeenNs) / 1e9 : 0
    return "\(Figure.age(seconds: age)) ago"
  }

  private func loss(_ row: MonitorRow) -> String {
    let lost = row.relay.rtpLost
    let share = RelayRates.lossRatio(lost: lost, counters: row.relay.counters).map {
      ", \(Figure.percent($0))%"
    }
    let interval = row.rates?.rtpLost.map { "; \(Figure.grouped($0)) in the interval" } ?? ""
    let link = row.linkLost.map { ", \(Figure.grouped($0)) of them on the way here" } ?? ""
    return "\(Figure.grouped(lost)) since deployed\(share ?? "")\(interval)\(row.relay.hop > 0 ? link : "")"
  }

  private static func flow(_ packets: Double, _ bits: Double) -> String {
    "\(Figure.scaled(packets)) packets/s, \(Figure.scaled(bits)) bit/s"
  }

  private func counters(_ row: MonitorRow) -> [StyledLine] {
    let isTCP = row.relay.transport == .tcp
    let groups: [(Counter.Kind, String)] = [
      (.flow, "Packets"), isTCP ? (.tcp, "TCP") : (.rtp, "RTP"), (.drop, "Dropped at this hop"),
    ]
    return groups.flatMap { kind, title in
      [StyledLine(), StyledLine(title, .title)] + (kind == .tcp ? connections(row) : [])
        + Counter.relay.filter { $0.kind == kind }.map { counter($0, row) }
    }
  }

  /// Of protocol tcp: how many are open, and how far both ends are.
  private func connections(_ row: MonitorRow) -> [StyledLine] {
    guard let tcp = row.relay.tcp else { return [] }
    let roundTrips = [
      ("sink", tcp.sinkRoundTrip, row.rates?.sinkRoundTrip),
      ("source", tcp.sourceRoundTrip, row.rates?.sourceRoundTrip),
    ].map { side, histogram, interval in
      guard let all = ResidenceSummary(histogram.durations) else {
        return field("  rtt to \(side)", Figure.none)
      }
      return field(
        "  rtt to \(side)",
        Self.summary(interval ?? all)
          + "; since deployed max \(Figure.duration(seconds: all.maxSeconds)) at \(Figure.clock(timeNs: histogram.maxAtNs))"
      )
    }
    return [field("  open", Figure.grouped(tcp.open))] + roundTrips
  }

  private func counter(_ counter: Counter, _ row: MonitorRow) -> StyledLine {
    let value = row.relay.counters[counter.name] ?? 0
    let change = row.rates?.counters[counter.name] ?? 0
    var line = StyledLine("  " + TextWidth.fit(counter.name, to: Self.nameWidth - 2, mark: style.cutMark))
    let isBad = counter.kind == .drop && value > 0
    line.append(
      TextWidth.fit(Figure.grouped(value), to: 16, mark: style.cutMark, alignRight: true), isBad ? .bad : .plain
    )
    line.append(
      TextWidth.fit(
        change > 0 ? "+\(Figure.scaled(Double(change)))" : "", to: 8, mark: style.cutMark, alignRight: true))
    line.append("  \(counter.text)", .faint)
    return line
  }

  /// Apart from what is measured here: it is the peers' word.
  private func peers(_ row: MonitorRow) -> [StyledLine] {
    guard let account = row.relay.peers else { return [] }
    return [StyledLine(), StyledLine(PeerLines.title, .title)]
      + PeerLines(account: account, timeNs: timeNs).lines.map { field("  " + $0.name, $0.text) }
  }

  /// What each extension of the chain decided, what it took, and its own counters.
  private func extensions(_ row: MonitorRow) -> [StyledLine] {
    row.relay.extensions.flatMap { found in
      let time = found.meanNs > 0 ? ", mean \(Figure.duration(seconds: found.meanNs / 1e9)) a run" : ""
      var lines = [
        StyledLine(),
        StyledLine("Extension \(found.name) \(found.version) [\(found.content.prefix(12))]", .title),
        field("  runs", Figure.grouped(found.runs) + time),
        field("  forwarded", Figure.grouped(found.forwarded)),
        field("  dropped", Figure.grouped(found.dropped)),
      ]
      if found.faults > 0 {
        var line = field("  faults", Figure.grouped(found.faults))
        line.append("  packets in which its own code trapped", .bad)
        lines.append(line)
      }
      for (name, value) in found.counters.sorted(by: { $0.key < $1.key }) {
        lines.append(field("  \(name)", Figure.grouped(value)))
      }
      if let histogram = found.histogram {
        let count = histogram.counts.reduce(0, +)
        let mean = count > 0 ? ", mean \(Figure.scaled(Double(histogram.sum) / Double(count)))" : ""
        let bars = Sparkline.text(
          histogram.counts.map { $0 > 0 ? Double($0) : nil }, cells: histogram.counts.count,
          unicode: style.unicode)
        lines.append(field("  \(histogram.name)", "\(Figure.grouped(count)) values\(mean)  \(bars)"))
      }
      return lines
    }
  }

  private func residence(_ row: MonitorRow) -> [StyledLine] {
    let histogram = row.relay.residence
    var lines = [StyledLine(), StyledLine("Residence: arrival to transmit, since deployed", .title)]
    guard let all = ResidenceSummary(histogram) else { return lines + [StyledLine("  no packet yet")] }
    lines.append(field("  interval", row.rates?.residence.map(Self.summary) ?? Figure.none))
    lines.append(field("  since deployed", Self.summary(all)))
    return lines + bars(histogram)
  }

  private static func summary(_ summary: ResidenceSummary) -> String {
    "p50 \(Figure.duration(seconds: summary.p50Seconds)), p99 \(Figure.duration(seconds: summary.p99Seconds)), "
      + "max \(Figure.duration(seconds: summary.maxSeconds))"
  }

  /// One bar for each power of two nanoseconds from the first that was hit to the last.
  private func bars(_ histogram: ResidenceHistogram) -> [StyledLine] {
    let steps = Int(SR_RESIDENCE_STEPS.rawValue)
    let groups = stride(from: 0, to: histogram.counts.count, by: steps).map { start in
      (
        bound: ResidenceHistogram.upperBoundNs(bucket: min(start + steps, histogram.counts.count) - 1),
        count: histogram.counts[start..<min(start + steps, histogram.counts.count)].reduce(0, +)
      )
    }
    guard let first = groups.firstIndex(where: { $0.count > 0 }),
      let last = groups.lastIndex(where: { $0.count > 0 })
    else { return [] }
    let most = Double(groups.map(\.count).max() ?? 1)
    let room = max(8, min(60, columns - Self.nameWidth - 16))
    return groups[first...last].map { group in
      let bound = "< " + Figure.duration(seconds: Double(group.bound) / 1e9)
      var line = StyledLine("  " + TextWidth.fit(bound, to: 10, mark: style.cutMark))
      line.append(
        TextWidth.fit(Figure.grouped(group.count), to: 18, mark: style.cutMark, alignRight: true) + "  ")
      line.append(Sparkline.bar(share: Double(group.count) / most, cells: room, unicode: style.unicode), .graph)
      return line
    }
  }

  private func field(_ name: String, _ text: String) -> StyledLine {
    var line = StyledLine(TextWidth.fit(name, to: Self.nameWidth, mark: style.cutMark), .faint)
    line.append(text)
    return line
  }
}
