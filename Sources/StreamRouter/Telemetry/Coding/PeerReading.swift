import JitterStats

/// What peers report changes every few seconds: their figures are recorded as figures. Who reports on whom, and which kinds
/// of report there are, belongs to the shape.
extension PeerAccount {
  mutating func visit(
    number: (inout UInt64) throws -> Void, decimal: (inout Double) throws -> Void
  ) rethrows {
    for index in senders.indices { try senders[index].visit(number) }
    for index in reports.indices { try reports[index].visit(number, decimal) }
    try number(&packets)
    try number(&unreadable)
    try number(&unread)
    try number(&skipped)
    try number(&displaced)
  }

  var isPlausible: Bool {
    let counts =
      [packets, unreadable, unread, skipped, displaced] + senders.map(\.reports) + reports.map(\.reports)
    let times = senders.map(\.timeNs) + reports.map(\.timeNs)
    return counts.allSatisfy { $0 <= Plausible.mostCounted } && times.allSatisfy { $0 <= Plausible.lastNs }
      && reports.allSatisfy(\.isPlausible)
  }
}

extension PeerSender {
  fileprivate mutating func visit(_ number: (inout UInt64) throws -> Void) rethrows {
    try number(&timeNs)
    try number(&reports)
    try visitInteger(&sentPackets, number)
    try visitInteger(&sentPayloadBytes, number)
    if clockNs != nil { try number(&clockNs!) }
    try visitInteger(&rtpTimestamp, number)
  }
}

extension PeerReport {
  fileprivate mutating func visit(
    _ number: (inout UInt64) throws -> Void, _ decimal: (inout Double) throws -> Void
  ) rethrows {
    try number(&timeNs)
    try number(&reports)
    try reception?.visit(number, decimal)
    try statistics?.visit(number)
    try voice?.visit(number, decimal)
    try visitOptional(&roundTripFromHereSeconds, decimal)
  }

  fileprivate var isPlausible: Bool {
    let receptions = [reception?.lossRatio, reception?.jitterSeconds]
    let voices = [
      voice?.lossRatio, voice?.discardRatio, voice?.burstDensity, voice?.gapDensity, voice?.burstSeconds,
      voice?.gapSeconds, voice?.roundTripSeconds, voice?.endSystemSeconds, voice?.listeningQuality,
      voice?.conversationalQuality, voice?.bufferSeconds, voice?.bufferMaxSeconds,
    ]
    return (receptions + voices + [roundTripFromHereSeconds]).allSatisfy(Plausible.holds)
  }
}

extension PeerReception {
  fileprivate mutating func visit(
    _ number: (inout UInt64) throws -> Void, _ decimal: (inout Double) throws -> Void
  ) rethrows {
    try decimal(&lossRatio)
    try visitInteger(&lostPackets, number)
    try visitInteger(&extendedHighestSequence, number)
    try visitInteger(&jitterUnits, number)
    try visitOptional(&jitterSeconds, decimal)
  }
}

extension PeerStatistics {
  fileprivate mutating func visit(_ number: (inout UInt64) throws -> Void) rethrows {
    try visitInteger(&beginSequence, number)
    try visitInteger(&endSequence, number)
    if lostPackets != nil { try visitInteger(&lostPackets!, number) }
    if duplicatePackets != nil { try visitInteger(&duplicatePackets!, number) }
    if jitter != nil {
      try visitInteger(&jitter!.minUnits, number)
      try visitInteger(&jitter!.maxUnits, number)
      try visitInteger(&jitter!.meanUnits, number)
      try visitInteger(&jitter!.deviationUnits, number)
    }
    if hops != nil {
      try visitInteger(&hops!.min, number)
      try visitInteger(&hops!.max, number)
      try visitInteger(&hops!.mean, number)
      try visitInteger(&hops!.deviation, number)
    }
  }
}

extension PeerVoice {
  fileprivate mutating func visit(
    _ number: (inout UInt64) throws -> Void, _ decimal: (inout Double) throws -> Void
  ) rethrows {
    try decimal(&lossRatio)
    try decimal(&discardRatio)
    try decimal(&burstDensity)
    try decimal(&gapDensity)
    try decimal(&burstSeconds)
    try decimal(&gapSeconds)
    try visitOptional(&roundTripSeconds, decimal)
    try visitOptional(&endSystemSeconds, decimal)
    if rFactor != nil { try visitInteger(&rFactor!, number) }
    try visitOptional(&listeningQuality, decimal)
    try visitOptional(&conversationalQuality, decimal)
    try decimal(&bufferSeconds)
    try decimal(&bufferMaxSeconds)
  }
}

/// A figure of fewer bits, or one that may be below 0.
private func visitInteger<Figure: FixedWidthInteger>(
  _ figure: inout Figure, _ number: (inout UInt64) throws -> Void
) rethrows {
  var wide = UInt64(truncatingIfNeeded: figure)
  try number(&wide)
  figure = Figure(truncatingIfNeeded: wide)
}

/// A figure that comes and goes with each report: nil is recorded as no number, so that the shape stays the same.
private func visitOptional(
  _ figure: inout Double?, _ decimal: (inout Double) throws -> Void
) rethrows {
  var value = figure ?? .nan
  try decimal(&value)
  figure = value.isNaN ? nil : value
}
