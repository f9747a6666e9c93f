extension RTPSourceAnalysis.State {
  /// The figures in the units of reports.
  var report: RTPSourceReport {
    let seconds = Double(Int64(bitPattern: lastArrivalNs &- firstArrivalNs)) / 1e9
    let variation = pdv.distribution
    return RTPSourceReport(
      ssrc: account.ssrc,
      clockRate: account.clockRate,
      payloadTypes: (0..<128).filter { payloadTypes >> UInt128($0) & 1 == 1 },
      packets: packets,
      bytes: bytes,
      firstArrivalNs: firstArrivalNs,
      durationSeconds: seconds,
      rateBitsPerSecond: seconds > 0 ? Double(bytes) * 8 / seconds : 0,
      extendedHighestSequence: sequence.extendedHighest,
      loss: loss,
      reordering: reordering,
      bursts: bursts(seconds: seconds),
      interarrival: .init(interarrival, originNs: firstArrivalNs),
      jitter: jitter,
      ipdv: .init(ipdv, originNs: firstArrivalNs),
      ipdvRange: .init(
        minSeconds: Double(ipdvSmallestNs ?? 0) / 1e9, maxSeconds: Double(ipdvLargestNs ?? 0) / 1e9),
      pdv: .init(variation, originNs: firstArrivalNs),
      clock: .init(
        driftPpm: fit.slope.map { ($0 - 1) * 1e6 }, driftSeconds: fit.slope.map { ($0 - 1) * seconds }),
      wireshark: wiresharkReport)
  }

  private var loss: RTPSourceReport.Loss {
    .init(
      expected: sequence.expected, received: sequence.received, lost: sequence.lost,
      ratio: ratio(sequence.lost, sequence.expected), duplicates: sequence.duplicates,
      outOfRange: sequence.outOfRange, restarts: sequence.restarts)
  }

  private var reordering: RTPSourceReport.Reordering {
    let account = sequence.reordering
    return .init(
      reordered: account.reordered, ratio: ratio(account.reordered, sequence.received),
      largestExtent: account.largestExtent, meanExtent: ratio(account.extentSum, account.reordered),
      largestLateSeconds: Double(account.largestLateNs) / 1e9)
  }

  /// RFC 3611 section 4.7.2 gives durations; its appendix takes them from counts and the time of a packet.
  private func bursts(seconds: Double) -> RTPSourceReport.Bursts {
    let pattern = sequence.pattern
    let packetSeconds = sequence.expected > 1 ? seconds / Double(sequence.expected - 1) : 0
    return .init(
      bursts: pattern.bursts, packets: pattern.burstPackets, losses: pattern.burstLosses,
      density: ratio(pattern.burstLosses, pattern.burstPackets),
      gapDensity: ratio(pattern.gapLosses, pattern.gapPackets),
      meanSeconds: ratio(pattern.burstPackets, pattern.bursts) * packetSeconds,
      meanGapSeconds: ratio(pattern.gapPackets, pattern.bursts + 1) * packetSeconds,
      longestPackets: pattern.longestBurst, longestRun: pattern.longestRun)
  }

  private var jitter: RTPSourceReport.Jitter {
    .init(
      lastSeconds: account.jitter.seconds,
      meanSeconds: jitterCount > 0 ? jitterSumQ4Ns / Double(jitterCount) / 16e9 : 0,
      maxSeconds: Double(jitterPeak.valueNs) / 16e9,
      maxAtSeconds: jitterPeak.valueNs > 0
        ? Double(Int64(bitPattern: jitterPeak.atNs &- firstArrivalNs)) / 1e9 : 0)
  }

  private var wiresharkReport: RTPSourceReport.Wireshark {
    .init(
      lost: wireshark.lost,
      minDeltaSeconds: (wireshark.delta.smallestMs ?? 0) / 1e3,
      meanDeltaSeconds: wireshark.delta.meanMs / 1e3,
      maxDeltaSeconds: wireshark.delta.largestMs / 1e3,
      minJitterSeconds: (wireshark.jitter.smallestMs ?? 0) / 1e3,
      meanJitterSeconds: wireshark.jitter.meanMs / 1e3,
      maxJitterSeconds: wireshark.jitter.largestMs / 1e3,
      maxSkewSeconds: wireshark.largestSkewMs / 1e3,
      clockDriftSeconds: wireshark.clockDriftMs / 1e3,
      frequencyHz: (wireshark.fit.slope ?? 1) * Double(account.clockRate),
      frequencyDriftPercent: 100 * ((wireshark.fit.slope ?? 1) - 1),
      problems: wireshark.problems)
  }

  private func ratio(_ part: UInt64, _ whole: UInt64) -> Double { whole > 0 ? Double(part) / Double(whole) : 0 }
}
