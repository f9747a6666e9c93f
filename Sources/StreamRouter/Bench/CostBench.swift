import Foundation
import Topology

/// What a packet costs: the relay path by itself, an extension that does nothing, and all that a packet takes of the
/// relay's processor, beside the kernel's own forwarding.
struct CostBench: Sendable {
  var lab: BenchLab
  /// What the guests counted, where there is something of theirs.
  var emulated: EmulatedCost?

  static let path = BenchFigure(
    key: "cost-path", title: "Relay path of a packet", part: .cost, axis: "", unit: "ns", better: .lower,
    note:
      "BPF_PROG_TEST_RUN, one sink, 200-byte payload, a kept route: parse, lookup, source check, measurement, rewriting, account; no device."
  )
  static let null = BenchFigure(
    key: "cost-null", title: "Null upcall: an extension that does nothing", part: .cost, axis: "", unit: "ns",
    better: .lower, note: "Relay path with the extension, less the relay path without it, in the same round.")
  static let extensions = BenchFigure(
    key: "cost-extension", title: "What an extension costs over the plain relay", part: .cost, axis: "",
    unit: "ns",
    better: .lower, note: "RTP; relay path with it, less the relay path without, in the same round.")
  static let account = BenchFigure(
    key: "cost-account", title: "What the account costs", part: .cost, axis: "", unit: "ns", better: .lower,
    note: "Relay path with it, less the relay path without, in the same round.")
  static let processor = BenchFigure(
    key: "cost-processor", title: "What a packet takes of the relay's processor", part: .cost,
    axis: "packets/s offered", unit: "ns", better: .lower,
    note:
      "The work that one background thread on that processor does less than without packets, by packet. Interrupt, receive softirq, veth, forwarding, and the counting sink. At low rates each packet has an interrupt of its own, which is dear on a virtual machine."
  )
  static let cycles = BenchFigure(
    key: "cost-cycles", title: "The same in cycles", part: .cost, axis: "", unit: "cycles", better: .lower,
    note:
      "Nanoseconds times ticks of the time stamp counter. The paper's figures, of another machine in 2004: null upcall 1,370; packet in its sandbox 6,360, in the kernel 4,800."
  )

  /// The table that the paper has, by the names of our series.
  static let nullSeries = "null upcall"
  static let sandboxSeries = "packet, sandbox"
  static let kernelSeries = "packet, kernel forwarding"
  static let pathSeries = "packet, relay path alone"
  static let paper = [nullSeries: 1370.0, sandboxSeries: 6360, kernelSeries: 4800]

  /// Packets a second at which a packet's share of the processor is measured: below what either way takes, so that
  /// nothing waits. At the highest, packets share interrupts; that one is taken for the table of cycles.
  private static let rates = [50_000, 200_000, 600_000]

  func run(_ results: inout BenchResults) async throws {
    for round in 0..<lab.settings.repetitions {
      if lab.settings.measures(.path) { try onPath(&results, round: round) }
      if lab.settings.measures(.upcall) {
        lab.progress("cost of an upcall, round \(round + 1) of \(lab.settings.repetitions)")
        await UpcallCost().run(&results, round: round)
      }
      // Neither of the two ends of itself when the run is to end.
      try Task.checkCancellation()
    }
    if lab.settings.measures(.upcall) { addEmulated(&results) }
    if lab.settings.measures(.processor) { try await onProcessor(&results) }
  }

  /// Instructions, which tell of the module where it is not loaded.
  private func addEmulated(_ results: inout BenchResults) {
    if let emulated {
      emulated.add(to: &results)
    } else if results.figure(UpcallCost.run.key) == nil {
      results.skip(EmulatedCost.title, in: .cost, because: EmulatedCost.remedy)
    }
  }

  /// One round of what needs no devices.
  private func onPath(_ results: inout BenchResults, round: Int) throws {
    let hertz = results.machine.timestampCounterHz
    lab.progress("cost of the relay path, round \(round + 1) of \(lab.settings.repetitions)")
    func add(_ value: Double, _ series: String) {
      results.add(value, to: Self.path, way: series, round: round)
    }
    func cycles(_ nanoseconds: Double, _ series: String) {
      guard let hertz else { return }
      results.add(nanoseconds * hertz / 1e9, to: Self.cycles, way: series, round: round)
    }
    let plain = try RelayPathCost(transport: .udp).measure()
    add(plain, "udp")
    cycles(plain, Self.pathSeries)
    let rtp = try RelayPathCost(transport: .rtp).measure()
    add(rtp, "rtp")
    add(try RelayPathCost(transport: .udp, relays: 10_000).measure(), "udp, 10,000 relays")
    /// The same without the account, and what that saves.
    func leaveOutAccount(_ cost: RelayPathCost, _ series: String, with: Double) throws {
      guard lab.settings.withoutAccount else { return }
      var cost = cost
      cost.accounting = false
      let without = try cost.measure()
      add(without, "\(series), no account")
      results.add(with - without, to: Self.account, way: series, round: round)
    }
    try leaveOutAccount(RelayPathCost(transport: .udp), "udp", with: plain)
    try leaveOutAccount(RelayPathCost(transport: .rtp), "rtp", with: rtp)
    if let passing = lab.forwarder.passing {
      let entry = try Self.use(of: passing)
      let with = try RelayPathCost(transport: .udp, extensions: [entry]).measure()
      add(with, "udp, with an extension that does nothing")
      results.add(with - plain, to: Self.null, way: Self.nullSeries, round: round)
      cycles(with - plain, Self.nullSeries)
    }
    for text in lab.settings.extensions {
      let entry = try Self.use(of: text)
      let name = entry.object.manifest.name
      let cost = RelayPathCost(transport: .rtp, extensions: [entry])
      let with = try cost.measure()
      add(with, "rtp, with \(name)")
      results.add(with - rtp, to: Self.extensions, way: name, round: round)
      try leaveOutAccount(cost, "rtp, with \(name)", with: with)
    }
  }

  /// What `FILE` or `FILE,parameter=value,...` names.
  static func use(of text: String) throws -> (object: ExtensionObject, settings: [String: ParameterValue]) {
    let parts = text.split(separator: ",")
    let object = try ExtensionObject(path: String(parts.first ?? ""))
    var settings: [String: ParameterValue] = [:]
    for part in parts.dropFirst() {
      let pair = part.split(separator: "=", maxSplits: 1).map(String.init)
      guard pair.count == 2, let value = ParameterValue(pair[1]) else {
        throw BenchError.usage("'\(part)' is no setting; write parameter=value")
      }
      settings[pair[0]] = value
    }
    if let flaw = object.manifest.flaws(in: settings).first { throw BenchError.usage(flaw) }
    return (object, settings)
  }

  /// Kernel forwarding and sandbox take turns.
  private func onProcessor(_ results: inout BenchResults) async throws {
    let ways = [BenchWay.kernel, .sandbox].filter(lab.settings.ways.contains)
    guard !ways.isEmpty else { return }
    let sink = try NetworkNamespace.run(in: lab.network.sinkName) { try SinkProgram(device: "from-relay") }
    for round in 0..<lab.settings.repetitions {
      for (rate, way) in Self.rates.flatMap({ rate in ways.map { (rate, $0) } }) {
        lab.progress(
          "cost on the relay's processor, round \(round + 1) of \(lab.settings.repetitions), \(rate) packets/s: \(way.title)"
        )
        let nanoseconds = try await lab.forwarder.run(way, over: .udp) { [lab] destination in
          let load = BenchLoad(threads: 1, processor: BenchNetwork.relayProcessor)
          defer { load.end() }
          let flood = BenchFlood(
            network: lab.network, destinations: [destination], sink: sink, warmUpSeconds: 0.1, seconds: 0.4,
            load: load)
          // Before and after: what the machine does meanwhile is in both.
          let before = try await Self.idleWork(of: load)
          let step = try await flood.run(packetsPerSecond: Double(rate))
          let after = try await Self.idleWork(of: load)
          let idle = (before + after) / 2
          guard step.deliveredPerSecond > 0, idle > 0 else { throw BenchError.nothingArrived(way.title) }
          return (1 - step.workPerSecond / idle) / step.deliveredPerSecond * 1e9
        }
        results.add(nanoseconds, to: Self.processor, way: way.rawValue, x: rate, round: round)
        if let hertz = results.machine.timestampCounterHz, rate == Self.rates.last {
          results.add(
            nanoseconds * hertz / 1e9, to: Self.cycles,
            way: way == .kernel ? Self.kernelSeries : Self.sandboxSeries, round: round)
        }
      }
    }
    try NetworkNamespace.run(in: lab.network.sinkName) { SinkProgram.detach(device: "from-relay") }
  }

  /// Rounds a second without packets.
  private static func idleWork(of load: BenchLoad) async throws -> Double {
    try await BenchThread.run("sr-idle", processor: BenchFlood.processor, realtime: 40) {
      Thread.sleep(forTimeInterval: 0.05)
      let before = (load.work, monotonicNs())
      Thread.sleep(forTimeInterval: 0.3)
      let after = (load.work, monotonicNs())
      return Double(after.0 - before.0) / Double(after.1 - before.1) * 1e9
    }
  }
}
