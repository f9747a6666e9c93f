import JitterStats

extension TransportStreamReport {
  /// What a person reads of a transport stream, a line for each thing, in the order of what breaks it first.
  var text: [String] {
    func time(_ seconds: Double) -> String { Figure.duration(seconds: seconds) }
    let index = deliveryIndex
    var lines = [
      "MPEG-TS  \(Figure.grouped(packets)) packets (\(Figure.grouped(nullPackets)) null) of \(pids.count) PIDs, "
        + "\(Figure.grouped(lost)) lost in \(Figure.grouped(continuityErrors)) continuity errors, "
        + "\(Figure.grouped(duplicates)) duplicates, \(Figure.grouped(syncByteErrors)) sync errors, "
        + "\(Figure.grouped(transportErrors)) transport errors"
    ]
    if index.intervals > 0 {
      lines.append(
        "MDI  DF last \(time(index.lastDelayFactorSeconds))  max \(time(index.maxDelayFactorSeconds)) "
          + "at \(time(index.maxDelayFactorAtSeconds))  MLR last \(Figure.grouped(index.lastLossRate))/s  "
          + "max \(Figure.grouped(index.maxLossRate))/s"
          + (index.maxLossRate > 0 ? " at \(time(index.maxLossRateAtSeconds))" : "")
          + "  in \(Figure.grouped(index.intervals)) intervals, media rate "
          + "\(Figure.scaled(index.mediaRateBitsPerSecond))bit/s of \(index.mediaRateFrom?.rawValue ?? Figure.none)"
      )
    }
    lines += clocks.map(\.text)
    lines += pids.filter { $0.continuityErrors > 0 }.map {
      "PID \($0.pid)  \(Figure.grouped($0.packets)) packets, \(Figure.grouped($0.lost)) lost in "
        + "\(Figure.grouped($0.continuityErrors)) continuity errors"
    }
    if syncLosses > 0 { lines.append("sync lost \(Figure.grouped(syncLosses)) times") }
    if malformedPackets > 0 {
      lines.append("\(Figure.grouped(malformedPackets)) packets with an adaptation field that cannot be")
    }
    if cutDatagrams > 0 { lines.append("\(Figure.grouped(cutDatagrams)) datagrams end within a packet") }
    if unlistedPackets > 0 {
      lines.append(
        "\(Figure.grouped(unlistedPackets)) packets of more than \(TransportStreamAccount.pidsLimit) PIDs, for which "
          + "there was no room")
    }
    if unlistedClocks > 0 {
      lines.append(
        "\(Figure.grouped(unlistedClocks)) references of more than \(TransportStreamAccount.clocksLimit) clocks, for "
          + "which there was no room")
    }
    return lines
  }
}

extension TransportStreamReport.Clock {
  fileprivate var text: String {
    func time(_ seconds: Double) -> String { Figure.duration(seconds: seconds) }
    var line =
      "PCR of PID \(pid)  \(Figure.grouped(count)), at most \(time(maxIntervalSeconds)) apart "
      + "(\(Figure.grouped(repetitionErrors)) above 40ms)  jitter p99 \(time(stepJitter.p99Seconds))  "
      + "max \(time(stepJitter.maxSeconds))  overall \(time(overallJitterSeconds))"
    if discontinuityErrors > 0 {
      line += "  \(Figure.grouped(discontinuityErrors)) steps not announced"
    }
    if announcedDiscontinuities > 0 { line += "  \(Figure.grouped(announcedDiscontinuities)) announced" }
    if let drift = driftPpm, abs(drift) < 1e6 {
      line += "  sender's clock \(Int(abs(drift).rounded())) ppm \(drift < 0 ? "slow" : "fast")"
    }
    return line
  }
}
