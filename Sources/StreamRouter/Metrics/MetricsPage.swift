import Foundation
import JitterStats

/// What `/metrics` says: one snapshot and the node's health as text. Pure, so that tests need no daemon.
struct MetricsPage {
  let snapshot: NodeSnapshot
  let health: NodeHealth.State
  /// Of the daemon's program.
  let version: String
  /// Of a node that joined; nil: it has no certificate.
  var certificateEnd: Date?

  private typealias Labels = MetricsText.Labels

  /// One relay or one extension of a relay, with the labels that its samples carry.
  private struct Labelled<Value> {
    var value: Value
    var labels: Labels
  }

  /// The whole page.
  func text() -> String {
    var text = MetricsText(expecting: 20_000 + 8_000 * snapshot.relays.count)
    let node = Labels([("topology", snapshot.topology), ("node", snapshot.node)])
    writeNode(&text, node)
    writeLoad(&text, node)
    writeLinks(&text, snapshot.links.map { Labelled(value: $0, labels: node.with("peer", $0.peer)) })
    for (counter, family) in MetricFamily.datapathCounters {
      text.family(family)
      // Engine process has no such view: there the family has no sample.
      if let value = snapshot.datapath[counter.name] { text.sample(family, node, value) }
    }
    let relays = snapshot.relays.map {
      Labelled(value: $0, labels: node.with("stream", $0.stream).with("hop", String($0.hop)))
    }
    writeRelays(&text, relays)
    writeExtensions(&text, relays)
    return text.text
  }

  // MARK: The node

  private func writeNode(_ text: inout MetricsText, _ node: Labels) {
    text.family(.build)
    text.sample(.build, node.with("version", version), 1 as UInt64)
    text.family(.up)
    text.sample(.up, node, health.isReady ? 1 : 0 as UInt64)
    text.family(.started)
    text.sample(.started, node, Double(snapshot.startedNs) / 1e9)
    text.family(.reloads)
    text.sample(.reloads, node.with("result", "followed"), health.followed)
    text.sample(.reloads, node.with("result", "refused"), health.refused)
    text.family(.certificateEnd)
    if let certificateEnd { text.sample(.certificateEnd, node, certificateEnd.timeIntervalSince1970) }
    text.family(.relays)
    text.sample(.relays, node, UInt64(snapshot.relays.count))
  }

  private func writeLoad(_ text: inout MetricsText, _ node: Labels) {
    let load = snapshot.load
    text.family(.runnable)
    text.sample(.runnable, node, UInt64(max(0, load.runnableThreads)))
    text.family(.processors)
    text.sample(.processors, node, UInt64(max(0, load.processors)))
    // What this kernel does not say has no sample: absent is not zero.
    for (family, value) in [
      (MetricFamily.processorTime, load.totalSeconds), (.softirqTime, load.softirqSeconds),
      (.ksoftirqdTime, load.ksoftirqdSeconds), (.stealTime, load.stealSeconds),
      (.pressureTime, load.pressure?.waitingSeconds), (.pressure, load.pressure?.tenSecondShare),
    ] {
      text.family(family)
      if let value { text.sample(family, node, value) }
    }
    text.family(.netRx)
    for processor in load.byProcessor ?? [] {
      text.sample(.netRx, node.with("processor", String(processor.number)), processor.netRxSoftirqs)
    }
    text.family(.interruptTime)
    for processor in load.byProcessor ?? [] {
      text.sample(.interruptTime, node.with("processor", String(processor.number)), processor.interruptSeconds)
    }
  }

  private static func write(
    _ durations: ResidenceHistogram, _ family: MetricFamily, _ labels: Labels, _ text: inout MetricsText
  ) {
    for (bound, count) in zip(ResidenceBuckets.labels, ResidenceBuckets.cumulative(durations)) {
      text.sample(family, suffix: "_bucket", labels.with("le", bound), count)
    }
    text.sample(family, suffix: "_sum", labels, Double(durations.sumNs) / 1e9)
    text.sample(family, suffix: "_count", labels, durations.total)
  }

  // MARK: Links

  private func writeLinks(_ text: inout MetricsText, _ links: [Labelled<LinkSnapshot>]) {
    for (family, counter) in [
      (.linkSent, { $0.sent }), (.linkAnswered, { $0.answered }),
    ] as [(MetricFamily, (LinkSnapshot) -> UInt64)] {
      text.family(family)
      for link in links { text.sample(family, link.labels, counter(link.value)) }
    }
    text.family(.linkLost)
    for link in links {
      text.sample(.linkLost, link.labels.with("direction", "forward"), link.value.lostForward)
      text.sample(.linkLost, link.labels.with("direction", "backward"), link.value.lostBackward)
      text.sample(.linkLost, link.labels.with("direction", "either"), link.value.lostEither)
    }
    text.family(.linkReflected)
    for link in links { text.sample(.linkReflected, link.labels, link.value.reflected) }
    text.family(.linkRoundTrip)
    for link in links { Self.write(link.value.roundTrip, .linkRoundTrip, link.labels, &text) }
    text.family(.linkIPDV)
    for link in links {
      let labels = link.labels
      Self.write(link.value.ipdvForward.durations, .linkIPDV, labels.with("direction", "forward"), &text)
      Self.write(link.value.ipdvBackward.durations, .linkIPDV, labels.with("direction", "backward"), &text)
    }
    text.family(.linkClockOffset)
    for link in links {
      if let offset = link.value.clockOffsetNs {
        text.sample(.linkClockOffset, link.labels, Double(offset) / 1e9)
      }
    }
    text.family(.linkClockError)
    for link in links {
      if let error = link.value.clockErrorNs { text.sample(.linkClockError, link.labels, Double(error) / 1e9) }
    }
    text.family(.linkLastAnswer)
    for link in links where link.value.lastAnswerNs > 0 {
      text.sample(.linkLastAnswer, link.labels, Double(link.value.lastAnswerNs) / 1e9)
    }
  }

  // MARK: Relays

  private func writeRelays(_ text: inout MetricsText, _ relays: [Labelled<RelaySnapshot>]) {
    text.family(.relayInfo)
    for relay in relays {
      let labels = relay.labels.with("engine", relay.value.engine.rawValue)
        .with("protocol", relay.value.transport.rawValue)
      text.sample(.relayInfo, labels, 1 as UInt64)
    }
    for (counter, family) in MetricFamily.relayCounters {
      text.family(family)
      // A stream without sequence numbers has no loss that could be told, and one without connections none of theirs.
      for relay in relays where counter.counts(for: relay.value.transport) {
        if let value = relay.value.counters[counter.name] { text.sample(family, relay.labels, value) }
      }
    }
    text.family(.drops)
    for relay in relays {
      for counter in Counter.drops {
        guard let value = relay.value.counters[counter.name] else { continue }
        text.sample(.drops, relay.labels.with("reason", counter.dropReason), value)
      }
    }
    let datagrams = relays.filter { $0.value.transport.isDatagrams }
    text.family(.jitter)
    for relay in datagrams { text.sample(.jitter, relay.labels, relay.value.jitterSeconds) }
    text.family(.jitterMax)
    for relay in datagrams { text.sample(.jitterMax, relay.labels, relay.value.jitterMaxSeconds) }
    text.family(.lastPacket)
    for relay in relays where relay.value.lastSeenNs > 0 {
      text.sample(.lastPacket, relay.labels, Double(relay.value.lastSeenNs) / 1e9)
    }
    for (family, histogram) in [
      (.ipdv, { $0.ipdv.durations }), (.pdv, { $0.pdv.durations }), (.residence, { $0.residence }),
    ] as [(MetricFamily, (RelaySnapshot) -> ResidenceHistogram)] {
      text.family(family)
      for relay in family.name == MetricFamily.residence.name ? relays : datagrams {
        Self.write(histogram(relay.value), family, relay.labels, &text)
      }
    }
    writeConnections(&text, relays)
    writePeers(&text, relays)
    text.family(.workerRestarts)
    for relay in relays {
      if let worker = relay.value.worker { text.sample(.workerRestarts, relay.labels, worker.restarts) }
    }
  }

  private func writeConnections(_ text: inout MetricsText, _ relays: [Labelled<RelaySnapshot>]) {
    text.family(.openConnections)
    for relay in relays {
      if let tcp = relay.value.tcp { text.sample(.openConnections, relay.labels, tcp.open) }
    }
    text.family(.roundTrip)
    for relay in relays {
      guard let tcp = relay.value.tcp else { continue }
      Self.write(tcp.sinkRoundTrip.durations, .roundTrip, relay.labels.with("side", "sink"), &text)
      Self.write(tcp.sourceRoundTrip.durations, .roundTrip, relay.labels.with("side", "source"), &text)
    }
  }

  /// The worst that peers report: which one it is, is in the monitor, as there is no end of SSRCs.
  private func writePeers(_ text: inout MetricsText, _ relays: [Labelled<RelaySnapshot>]) {
    for (family, figure) in [
      (.peerLoss, { $0.reception?.lossRatio }), (.peerJitter, { $0.reception?.jitterSeconds }),
      (.peerRoundTrip, { $0.roundTripFromHereSeconds }),
    ] as [(MetricFamily, (PeerReport) -> Double?)] {
      text.family(family)
      for relay in relays {
        let present = relay.value.peers?.present(atNs: snapshot.timeNs) ?? []
        if let worst = present.compactMap(figure).max() { text.sample(family, relay.labels, worst) }
      }
    }
  }

  // MARK: Extensions

  private func writeExtensions(_ text: inout MetricsText, _ relays: [Labelled<RelaySnapshot>]) {
    let found = relays.flatMap { relay in
      Self.named(relay.value.extensions).map {
        Labelled(value: $0.found, labels: relay.labels.with("extension", $0.name))
      }
    }
    text.family(.runs)
    for one in found { text.sample(.runs, one.labels, one.value.runs) }
    text.family(.verdicts)
    for one in found {
      text.sample(.verdicts, one.labels.with("verdict", "forward"), one.value.forwarded)
      text.sample(.verdicts, one.labels.with("verdict", "drop"), one.value.dropped)
      text.sample(.verdicts, one.labels.with("verdict", "fault"), one.value.faults)
    }
    text.family(.runTime)
    for one in found {
      text.sample(.runTime, suffix: "_sum", one.labels, Double(one.value.timedSumNs) / 1e9)
      text.sample(.runTime, suffix: "_count", one.labels, one.value.timedRuns)
    }
    text.family(.runTimeMax)
    for one in found where one.value.timedRuns > 0 {
      text.sample(.runTimeMax, one.labels, Double(one.value.maxNs) / 1e9)
    }
    text.family(.authorCounters)
    for one in found {
      for (name, value) in one.value.counters.sorted(by: { $0.key < $1.key }) {
        text.sample(.authorCounters, one.labels.with("counter", name), value)
      }
    }
  }

  /// The same extension twice in a chain is told apart by its place, `police` and `police#2`: two samples with equal
  /// labels would make Prometheus refuse the whole page.
  private static func named(_ chain: [ExtensionSnapshot]) -> [(name: String, found: ExtensionSnapshot)] {
    var seen: [String: Int] = [:]
    return chain.map { found in
      let count = seen[found.name, default: 0] + 1
      seen[found.name] = count
      return (count == 1 ? found.name : "\(found.name)#\(count)", found)
    }
  }
}
