/// Packets that went missing on the way from one relay of a stream to the next, from the accounts of both ends.
///
/// What is missing where a packet arrives may have been missing before, or may have been dropped by the hop before,
/// which counts its drops and may mean them. Only the rest was lost on the link. The two accounts are never read at the
/// same moment, so the balance wavers: only what exceeds its highest value by more than that is a loss.
struct LinkLoss: Sendable {
  /// What is known of one end.
  struct End: Sendable {
    var relay: RelaySnapshot
    /// nil: its counters say nothing about the interval.
    var rates: RelayRates?
  }

  /// How far apart in time the two accounts may have been read.
  private static let skewSeconds = 0.01

  private var highest: Double?

  /// Takes in the accounts of one interval.
  ///
  /// - Parameter sent: The hop before; nil: there is none, or nothing is known of it, and what is missing was lost
  ///   before it came here.
  /// - Returns: Packets lost in the interval; nil where the accounts do not tell.
  mutating func update(received: End, sent: End?) -> UInt64? {
    // What a link loses of a connection is sent again.
    guard received.relay.transport.isDatagrams else { return nil }
    guard let rates = received.rates, !rates.restarted, sent?.rates?.restarted != true else {
      highest = nil
      return nil
    }
    guard let sent else { return rates.rtpLost }
    guard let upstream = sent.rates else { return nil }
    let (balance, wavering) =
      received.relay.transport == .rtp && sent.relay.extensions.isEmpty
      ? Self.numbers(received, sent, upstream) : Self.counts(received, sent, upstream)
    guard let balance else { return nil }
    guard let before = highest else {
      // What was lost before the first interval is no news, what was lost in it is.
      highest = balance
      let news = received.relay.transport == .rtp ? Double(rates.rtpLost ?? 0) - Double(upstream.missing) : 0
      return news > wavering ? UInt64(news) : 0
    }
    guard balance > before + wavering else { return 0 }
    highest = balance
    return UInt64(balance - before)
  }

  /// By RTP sequence numbers: missing here, less what was missing or dropped there.
  private static func numbers(_ received: End, _ sent: End, _ upstream: RelayRates) -> (Double?, Double) {
    let here = Double(received.relay.rtpLost) - Double(received.relay.counters["drop_queue"] ?? 0)
    let there = Double(sent.relay.rtpLost) + Double(sent.relay.relayedDrops)
    return (here - there, Double(upstream.missing) / upstream.intervalSeconds * skewSeconds)
  }

  /// By counts of datagrams, where extensions change what sequence numbers tell, and without them.
  private static func counts(_ received: End, _ sent: End, _ upstream: RelayRates) -> (Double?, Double) {
    // Which of several sinks got less is not counted.
    guard sent.relay.sinks.count == 1 else { return (nil, 0) }
    let here = (received.relay.counters["packets_in"] ?? 0) + (received.relay.counters["drop_queue"] ?? 0)
    let balance = Double(sent.relay.counters["packets_out"] ?? 0) - Double(here)
    return (balance, upstream.packetsOutPerSecond * skewSeconds + 1)
  }
}

extension RelaySnapshot {
  /// Packets that arrived, counted in the sequence, and were dropped all the same.
  fileprivate var relayedDrops: UInt64 { RelayRates.relayedDrops(counters) }
}

extension RelayRates {
  /// Causes of drops that come before a packet's sequence number is looked at.
  private static let early: Set = [
    "drop_source", "drop_malformed", "drop_fragment", "drop_not_rtp", "drop_queue",
  ]
  private static let late = Counter.drops.map(\.name).filter { !early.contains($0) }

  fileprivate static func relayedDrops(_ counters: [String: UInt64]) -> UInt64 {
    late.reduce(0) { $0 + (counters[$1] ?? 0) }
  }

  /// What the next hop will miss of this interval if its link loses nothing.
  fileprivate var missing: UInt64 { (rtpLost ?? 0) + Self.relayedDrops(counters) }

  /// Packets that extensions dropped, as they are meant to.
  public var droppedByExtensions: UInt64 { counters["drop_extension"] ?? 0 }
}
