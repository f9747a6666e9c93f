import Foundation
import Topology
import UnixSignals

/// The benchmarks: ratios measured side by side in one run, on a network of their own (``BenchNetwork``).
public struct Bench: Sendable {
  /// What can be measured by itself.
  public enum Part: String, CaseIterable, Sendable {
    case cost, throughput, transit
  }

  /// How much is measured.
  public struct Settings: Sendable {
    public var parts: Set<Part> = Set(Part.allCases)
    public var repetitions: Int
    public var seconds: Double
    public var busyThreads: Int
    public var transitPackets: Int
    /// Built extensions whose cost is measured.
    public var extensions: [String] = []
    /// Whether costs are measured once more without the account.
    public var withoutAccount = false

    public init(repetitions: Int = 3, seconds: Double = 1, busyThreads: Int = 8, transitPackets: Int = 50_000) {
      self.repetitions = repetitions
      self.seconds = seconds
      self.busyThreads = busyThreads
      self.transitPackets = transitPackets
    }
  }

  private let settings: Settings
  private let progress: @Sendable (String) -> Void

  /// - Parameter progress: Called with what is being measured.
  public init(settings: Settings = Settings(), progress: @escaping @Sendable (String) -> Void) {
    self.settings = settings
    self.progress = progress
  }

  /// Runs everything that the settings name, until SIGINT or SIGTERM: then what was built is removed all the same, and
  /// the error is a `CancellationError`. Needs root and two processors.
  public func run() async throws -> BenchResults {
    let measuring = Task { try await measure() }
    let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
    let watching = Task { for await _ in signals { measuring.cancel() } }
    defer { watching.cancel() }
    return try await measuring.value
  }

  private func measure() async throws -> BenchResults {
    // Root in a container may well lack them.
    let missing = Capability.missing(Capability.lab)
    guard geteuid() == 0, missing.isEmpty else {
      throw BenchError.needs(
        "benchmarks build network namespaces: run as root with all capabilities"
          + (missing.isEmpty ? "" : "; missing: \(missing.sentence)"))
    }
    guard sysconf(Int32(_SC_NPROCESSORS_ONLN)) >= 2 else {
      throw BenchError.needs("benchmarks steer sender and relay to processors of their own: two are needed")
    }
    var results = BenchResults(machine: .read(), settings: settings)
    if settings.parts.contains(.cost) {
      progress("cost of the relay path (BPF_PROG_TEST_RUN)")
      for (transport, relays) in [(StreamProtocol.udp, 2), (.rtp, 2), (.udp, 10_000)] {
        results.costs.append(try BenchCost.measure(transport, relays: relays))
        if settings.withoutAccount, relays == 2 {
          results.costs.append(try BenchCost.measure(transport, relays: relays, accounting: false))
        }
      }
      for text in settings.extensions {
        let entry = try Self.extensionUse(text)
        results.extensionCosts.append(try BenchCost.measure(.rtp, relays: 2, extensions: [entry]))
        if settings.withoutAccount {
          results.extensionCosts.append(
            try BenchCost.measure(.rtp, relays: 2, extensions: [entry], accounting: false))
        }
      }
    }
    guard settings.parts != [.cost] else { return results }
    let network = BenchNetwork()
    do {
      try await network.up()
      if settings.parts.contains(.throughput) { try await throughput(network, &results) }
      if settings.parts.contains(.transit) { try await transit(network, &results) }
    } catch {
      // A task of its own, which a cancelled run does not cancel.
      await Task { await network.down() }.value
      throw error
    }
    await network.down()
    return results
  }

  /// `FILE` or `FILE,parameter=value,...`.
  private static func extensionUse(
    _ text: String
  ) throws -> (object: ExtensionObject, settings: [String: ParameterValue]) {
    let parts = text.split(separator: ",")
    let object = try ExtensionObject(path: String(parts.first ?? ""))
    var settings: [String: ParameterValue] = [:]
    for part in parts.dropFirst() {
      let pair = part.split(separator: "=", maxSplits: 1).map(String.init)
      guard pair.count == 2, let value = ParameterValue(pair[1]) else {
        throw BenchError.needs("'\(part)' is no setting; write parameter=value")
      }
      settings[pair[0]] = value
    }
    if let flaw = object.manifest.flaws(in: settings).first { throw BenchError.needs(flaw) }
    return (object, settings)
  }

  private func throughput(_ network: BenchNetwork, _ results: inout BenchResults) async throws {
    let sink = try NetworkNamespace.run(in: network.sinkName) { try SinkProgram(device: "from-relay") }
    // The ways take turns within each round, so that a slow moment of the machine is everybody's.
    for threads in [0, settings.busyThreads] {
      var rounds: [BenchRelay.Way: [BenchResults.Throughput.Round]] = [:]
      for round in 1...settings.repetitions {
        for way in BenchRelay.Way.allCases {
          progress(
            "throughput: \(way.rawValue), \(threads) busy threads on the relay's processor, round \(round) of \(settings.repetitions)"
          )
          let found = try await BenchRelay.run(way, in: network) { [settings] in
            let load = BenchLoad(threads: threads, processor: BenchNetwork.relayProcessor)
            defer { load.end() }
            let best = try await Self.search { offered in
              try await Self.step(network, way, sink, offered: offered, seconds: settings.seconds)
            }
            let full = try await Self.step(network, way, sink, offered: nil, seconds: settings.seconds)
            return BenchResults.Throughput.Round(best: best, full: full)
          }
          guard found.best.deliveredPerSecond > 0 else { throw BenchError.nothingArrived(way.rawValue) }
          rounds[way, default: []].append(found)
        }
      }
      for way in BenchRelay.Way.allCases {
        results.throughput.append(.init(way: way.rawValue, busyThreads: threads, rounds: rounds[way] ?? []))
      }
    }
  }

  /// The step that delivers most. A relay that the scheduler runs delivers less when more is offered than it can
  /// take, so what it does at full rate is not the best that it does: the offered rate is doubled while nearly all
  /// of it arrives, then narrowed down to some 3 %.
  static func search(
    _ step: (_ offeredPerSecond: Double) async throws -> BenchResults.Step
  ) async throws -> BenchResults.Step {
    var best = BenchResults.Step(offeredPerSecond: 0, deliveredPerSecond: 0)
    /// Whether nearly all arrived.
    func passes(_ offered: Double) async throws -> Bool {
      let step = try await step(offered)
      if step.deliveredPerSecond > best.deliveredPerSecond { best = step }
      // The sender too has an end, and then it offers less than it was asked to.
      return step.deliveredPerSecond >= 0.97 * offered
    }
    var (low, high) = (0.0, 25_000.0)
    while try await passes(high) { (low, high) = (high, 2 * high) }
    for _ in 0..<5 {
      let middle = (low + high) / 2
      if try await passes(middle) { low = middle } else { high = middle }
    }
    return best
  }

  private static func step(
    _ network: BenchNetwork, _ way: BenchRelay.Way, _ sink: SinkProgram, offered: Double?, seconds: Double
  ) async throws -> BenchResults.Step {
    let flood = try BenchFlood(
      from: network.source, to: way == .kernel ? BenchNetwork.sink : BenchNetwork.ingress,
      packetsPerSecond: offered)
    defer { flood.end() }
    try await Task.sleep(for: .milliseconds(200))
    let before = (sink.datagrams, flood.sent, ContinuousClock.now)
    try await Task.sleep(for: .seconds(seconds))
    let after = (sink.datagrams, flood.sent, ContinuousClock.now)
    let elapsed = (after.2 - before.2) / .seconds(1)
    return BenchResults.Step(
      offeredPerSecond: Double(after.1 - before.1) / elapsed,
      deliveredPerSecond: Double(after.0 - before.0) / elapsed)
  }

  private func transit(_ network: BenchNetwork, _ results: inout BenchResults) async throws {
    // The sink's counting program would drop what the receiver waits for.
    try NetworkNamespace.run(in: network.sinkName) { SinkProgram.detach(device: "from-relay") }
    for threads in [0, settings.busyThreads] {
      for way in BenchRelay.Way.allCases {
        progress("transit at 5,000 packets/s: \(way.rawValue), \(threads) busy threads on both processors")
        let (values, sent) = try await BenchRelay.run(way, in: network) { [settings] in
          let load = BenchLoad(threads: threads, processor: nil)
          defer { load.end() }
          return try await BenchTransit.run(
            network: network, destination: way == .kernel ? BenchNetwork.sink : BenchNetwork.ingress,
            packetsPerSecond: 5000, count: settings.transitPackets)
        }
        guard !values.isEmpty else { throw BenchError.nothingArrived(way.rawValue) }
        let sorted = values.sorted()
        func quantile(_ share: Double) -> Double {
          Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]) / 1000
        }
        results.transit.append(
          .init(
            way: way.rawValue, busyThreads: threads, sent: sent, received: values.count,
            p50Microseconds: quantile(0.5), p99Microseconds: quantile(0.99), p999Microseconds: quantile(0.999),
            maxMicroseconds: Double(sorted.last ?? 0) / 1000))
      }
    }
  }
}
