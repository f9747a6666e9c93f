/// One metric family of `/metrics`: its name, what it means, and which labels its samples carry.
///
/// All families stand here and nowhere else. Those of the datapath are made from ``Counter``, so a new counter is a new
/// metric with no further declaration. Names follow the Prometheus naming guide: base units, `_total` on counters. Each
/// sample carries `topology` and `node`; further labels are names from the topology and the file of an extension, never
/// an SSRC, an address or a port, of which there is no end.
struct MetricFamily: Hashable, Sendable {
  enum Kind: String, Sendable { case counter, gauge, histogram, summary }

  let name: String
  let kind: Kind
  /// One sentence without a full stop, as Prometheus shows it.
  let help: String
  /// Besides `topology` and `node`.
  let labels: [String]

  init(_ name: String, _ kind: Kind, _ help: String, labels: [String] = []) {
    self.name = "streamrouter_" + name
    self.kind = kind
    self.help = help
    self.labels = labels
  }

  /// What tells the relays of a node apart.
  static let relayLabels = ["stream", "hop"]
  static let extensionLabels = relayLabels + ["extension"]

  // MARK: The node

  static let build = MetricFamily(
    "build_info", .gauge, "The daemon's version, and 1", labels: ["version"])
  static let up = MetricFamily(
    "node_up", .gauge, "1 while the node runs what its topology file says, 0 while it does not (see /readyz)")
  static let started = MetricFamily(
    "node_start_time_seconds", .gauge, "When the daemon started, in seconds since 1970")
  static let reloads = MetricFamily(
    "node_reloads_total", .counter,
    "How often the topology file was read again, by result: followed or refused",
    labels: ["result"])
  static let certificateEnd = MetricFamily(
    "certificate_expiry_timestamp_seconds", .gauge,
    "When the certificate of a node that joined ends, in seconds since 1970")
  static let relays = MetricFamily("node_relays", .gauge, "Relays that the node runs")

  static let runnable = MetricFamily(
    "node_runnable_threads", .gauge, "Threads of the machine that run or are ready to run")
  static let processors = MetricFamily("node_processors", .gauge, "Processors that are online")
  static let processorTime = MetricFamily(
    "node_processor_seconds_total", .counter, "Time of all processors, idle or not, in seconds")
  static let softirqTime = MetricFamily(
    "node_softirq_seconds_total", .counter, "Processor time in softirq, in seconds")
  static let ksoftirqdTime = MetricFamily(
    "node_ksoftirqd_seconds_total", .counter, "Processor time of the ksoftirqd threads, in seconds")
  static let stealTime = MetricFamily(
    "node_steal_seconds_total", .counter, "Time that the hypervisor gave to others, in seconds")
  static let pressureTime = MetricFamily(
    "node_cpu_pressure_seconds_total", .counter,
    "Time in which a thread waited for a processor (PSI, some), in seconds")
  static let pressure = MetricFamily(
    "node_cpu_pressure_ratio", .gauge,
    "Share of the latest ten seconds in which a thread waited for a processor (PSI, some, avg10)")
  static let netRx = MetricFamily(
    "node_net_rx_softirqs_total", .counter, "NET_RX softirqs, by processor", labels: ["processor"])
  static let interruptTime = MetricFamily(
    "node_interrupt_seconds_total", .counter, "Time in interrupts and softirqs, by processor, in seconds",
    labels: ["processor"])

  // MARK: Links

  static let linkLabels = ["peer"]
  static let linkSent = MetricFamily(
    "link_test_packets_total", .counter, "Test packets (RFC 8762) sent to the node at the other end",
    labels: linkLabels)
  static let linkAnswered = MetricFamily(
    "link_test_answers_total", .counter, "Test packets that were answered in time", labels: linkLabels)
  static let linkLost = MetricFamily(
    "link_lost_test_packets_total", .counter,
    "Test packets without an answer within 2 s, by the way that lost them: forward, backward, either where it is not known",
    labels: linkLabels + ["direction"])
  static let linkReflected = MetricFamily(
    "link_reflected_test_packets_total", .counter, "Test packets of the other node that this one answered",
    labels: linkLabels)
  static let linkRoundTrip = MetricFamily(
    "link_round_trip_seconds", .histogram,
    "From sending a test packet to its answer, less the time that the other node took, in seconds",
    labels: linkLabels)
  static let linkIPDV = MetricFamily(
    "link_inter_packet_delay_variation_seconds", .histogram,
    "Change of one-way delay from test packet to test packet (RFC 3393), without its sign, in seconds",
    labels: linkLabels + ["direction"])
  static let linkClockOffset = MetricFamily(
    "link_clock_offset_seconds", .gauge, "How far the other node's clock is ahead of this one's, in seconds",
    labels: linkLabels)
  static let linkClockError = MetricFamily(
    "link_clock_error_seconds", .gauge, "How far the clock offset can be wrong, in seconds", labels: linkLabels)
  static let linkLastAnswer = MetricFamily(
    "link_last_answer_timestamp_seconds", .gauge,
    "When the latest test packet was answered, in seconds since 1970; absent before the first",
    labels: linkLabels)

  // MARK: Relays

  static let relayInfo = MetricFamily(
    "relay_info", .gauge, "The engine and the protocol of a relay, and 1",
    labels: relayLabels + ["engine", "protocol"])
  static let drops = MetricFamily(
    "relay_dropped_packets_total", .counter, "Datagrams that this hop dropped, by reason",
    labels: relayLabels + ["reason"])
  static let jitter = MetricFamily(
    "relay_interarrival_jitter_seconds", .gauge,
    "Interarrival jitter (RFC 3550 section 6.4.1) of the source seen last, in seconds", labels: relayLabels)
  static let jitterMax = MetricFamily(
    "relay_interarrival_jitter_max_seconds", .gauge,
    "The largest interarrival jitter so far of the source seen last, in seconds", labels: relayLabels)
  static let lastPacket = MetricFamily(
    "relay_last_packet_timestamp_seconds", .gauge,
    "When the latest packet arrived, in seconds since 1970; absent before the first", labels: relayLabels)
  static let residence = MetricFamily(
    "relay_residence_seconds", .histogram, "From a packet's arrival at the hop to its hand-over, in seconds",
    labels: relayLabels)
  static let ipdv = MetricFamily(
    "relay_inter_packet_delay_variation_seconds", .histogram,
    "Change of delay from packet to packet on arrival (RFC 3393), without its sign, in seconds",
    labels: relayLabels)
  static let pdv = MetricFamily(
    "relay_packet_delay_variation_seconds", .histogram,
    "Delay over that of the quickest packet on arrival (RFC 5481); streams of protocol rtp, in seconds",
    labels: relayLabels)
  static let openConnections = MetricFamily(
    "relay_open_connections", .gauge, "Connections that are open; streams of protocol tcp", labels: relayLabels)
  static let roundTrip = MetricFamily(
    "relay_round_trip_seconds", .histogram,
    "Round trip between this hop and the sink or the source, by side; streams of protocol tcp, in seconds",
    labels: relayLabels + ["side"])
  static let peerLoss = MetricFamily(
    "relay_peer_reported_loss_ratio", .gauge,
    "Worst loss that receivers reported in RTCP within a minute, in the interval of their latest report, 0 to 1",
    labels: relayLabels)
  static let peerJitter = MetricFamily(
    "relay_peer_reported_jitter_seconds", .gauge,
    "Worst interarrival jitter that receivers reported in RTCP within a minute, in seconds", labels: relayLabels
  )
  static let peerRoundTrip = MetricFamily(
    "relay_peer_reported_round_trip_seconds", .gauge,
    "Longest time from this hop to a receiver and back, by its reports in RTCP within a minute, in seconds",
    labels: relayLabels)
  static let workerRestarts = MetricFamily(
    "relay_worker_restarts_total", .counter,
    "How often the process that runs the extensions of a relay of engine process had to be started again",
    labels: relayLabels)

  // MARK: Extensions

  static let runs = MetricFamily(
    "extension_runs_total", .counter, "Packets that an extension saw", labels: extensionLabels)
  static let verdicts = MetricFamily(
    "extension_verdicts_total", .counter,
    "What an extension decided about packets: forward, drop, or fault where its code trapped",
    labels: extensionLabels + ["verdict"])
  static let runTime = MetricFamily(
    "extension_run_seconds", .summary, "How long a run took, of every 256th run, in seconds",
    labels: extensionLabels)
  static let runTimeMax = MetricFamily(
    "extension_run_max_seconds", .gauge, "The longest run that was timed, in seconds", labels: extensionLabels)
  static let authorCounters = MetricFamily(
    "extension_events_total", .counter,
    "The counters that the extension's author declared, by name; adding different ones up means nothing",
    labels: extensionLabels + ["counter"])

  // MARK: Counters of the datapath

  /// The families of the relays' counters, each with its counter. Drops are one family.
  static let relayCounters: [(counter: Counter, family: MetricFamily)] = Counter.relay
    .filter { $0.kind != .drop }
    .map { ($0, MetricFamily("relay_" + $0.metricName, .counter, $0.metricHelp, labels: relayLabels)) }

  /// The families of the node's datapath.
  static let datapathCounters: [(counter: Counter, family: MetricFamily)] = Counter.node
    .map { ($0, MetricFamily("datapath_" + $0.metricName, .counter, $0.metricHelp)) }

  /// In the order in which `/metrics` says them.
  static let all: [MetricFamily] =
    [
      build, up, started, reloads, certificateEnd, relays, runnable, processors, processorTime, softirqTime,
      ksoftirqdTime,
      stealTime, pressureTime, pressure, netRx, interruptTime,
    ]
    + [
      linkSent, linkAnswered, linkLost, linkReflected, linkRoundTrip, linkIPDV, linkClockOffset, linkClockError,
      linkLastAnswer,
    ] + datapathCounters.map(\.family) + [relayInfo] + relayCounters.map(\.family)
    + [
      drops, jitter, jitterMax, lastPacket, ipdv, pdv, residence, openConnections, roundTrip, peerLoss,
      peerJitter, peerRoundTrip,
      workerRestarts,
    ]
    + [runs, verdicts, runTime, runTimeMax, authorCounters]
}

extension Counter {
  /// `packets_in` counts packets: in a metric the unit stands last, `in_packets_total`.
  fileprivate var metricName: String {
    let words = name.split(separator: "_")
    let unitFirst = words.count == 2 && ["packets", "bytes"].contains(words[0])
    return (unitFirst ? words.reversed() : words).joined(separator: "_") + "_total"
  }

  fileprivate var metricHelp: String { text.prefix(1).uppercased() + text.dropFirst() }

  /// The label value of a cause of loss: `drop_source` is `source`.
  var dropReason: String { name.hasPrefix("drop_") ? String(name.dropFirst(5)) : name }
}
