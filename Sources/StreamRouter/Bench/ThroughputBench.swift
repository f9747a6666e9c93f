import Foundation

/// UDP throughput against background threads: the best that a way delivers, and what it delivers when as much is offered
/// as one core can send.
struct ThroughputBench: Sendable {
  var lab: BenchLab

  /// One measurement of one way.
  struct Round: Sendable {
    var best: BenchFlood.Step
    var full: BenchFlood.Step
  }

  static let best = BenchFigure(
    key: "udp-best", title: "UDP throughput at each way's best rate", part: .udp, axis: "background threads",
    unit: "packets/s", better: .higher,
    note:
      "200-byte datagrams. The offered rate is raised while nearly all of it arrives, then narrowed down to some 3 %; the most that was delivered counts."
  )
  static let full = BenchFigure(
    key: "udp-full", title: "UDP throughput with as much offered as one core sends", part: .udp,
    axis: "background threads", unit: "packets/s", better: .higher,
    note: "More than any way can take: what a way does when it is overrun.")
  static let offered = BenchFigure(
    key: "udp-offered", title: "What the sender offered meanwhile", part: .udp, axis: "background threads",
    unit: "packets/s", better: .neither,
    note:
      "The sender runs at SCHED_FIFO on a processor without background threads: were it starved by them, this would fall with their number.",
    isBeside: true)
  static let bestKsoftirqd = BenchFigure(
    key: "udp-best-ksoftirqd", title: "Share of the softirq work done in ksoftirqd, at the best rate",
    part: .udp,
    axis: "background threads", unit: "%", better: .neither, note: ksoftirqdNote, isBeside: true)
  static let fullKsoftirqd = BenchFigure(
    key: "udp-full-ksoftirqd", title: "Share of the softirq work done in ksoftirqd, at full rate", part: .udp,
    axis: "background threads", unit: "%", better: .neither, note: ksoftirqdNote, isBeside: true)

  static let distance = BenchFigure(
    key: "udp-distance", title: "How far apart the two processors were meanwhile", part: .udp,
    axis: "background threads", unit: "ns", better: .neither,
    note:
      "A cache line to the other processor and back, mean of before and after a measurement. A hypervisor that moves virtual processors changes it, and with it all figures. Where the engines are judged, a measurement waits for the shortest distance that was seen, as long as the patience of the run lasts (8 s for each), and is repeated once where the distance changed meanwhile.",
    isBeside: true)

  static let ksoftirqdNote =
    "On the relay's processor: run time of ksoftirqd (schedstat) over softirq time (/proc/stat, sampled by the tick). What runs there is scheduled like any thread."

  /// - Returns: The ways that could be measured.
  func run(_ results: inout BenchResults) async throws -> [BenchWay] {
    let settings = lab.settings
    let sink = try NetworkNamespace.run(in: lab.network.sinkName) { try SinkProgram(device: "from-relay") }
    var guesses: [BenchWay: [Int: Double]] = [:]
    var ways = lab.ways(in: .udp)
    let distance = BenchDistance()
    let judged = settings.threads.count(where: settings.peerThreads.contains) * ways.count { !$0.isPeer }
    lab.progress("looking how far apart the processors are")
    try await distance.calibrate(
      seconds: settings.repetitions > 1 ? 15 : 2,
      patienceSeconds: Double(8 * judged * settings.repetitions))
    for round in 0..<settings.repetitions {
      for threads in settings.threads {
        // The ways take turns, so that a slow moment of the machine is everybody's.
        for way in ways where settings.measures(way, at: threads) {
          lab.progress(
            "udp throughput, round \(round + 1) of \(settings.repetitions), \(threads) background threads: \(way.title)"
          )
          var guess = guesses[way]?[threads]
          // Some peers that are overrun once deliver nothing any more: they begin low.
          if !way.isPeer { guess = guess ?? guesses[way]?.min { $0.key > $1.key }?.value }
          do {
            let waits = !way.isPeer && settings.peerThreads.contains(threads)
            let (found, apart) = try await distance.around(waits: waits) {
              try await measure(way, threads: threads, guess: guess, sink)
            }
            guesses[way, default: [:]][threads] = found.best.deliveredPerSecond
            func add(_ value: Double?, _ figure: BenchFigure) {
              results.add(value, to: figure, way: way.rawValue, x: threads, round: round)
            }
            add(found.best.deliveredPerSecond, Self.best)
            add(found.best.softirq.ksoftirqdPercent, Self.bestKsoftirqd)
            add(apart, Self.distance)
            add(found.full.deliveredPerSecond, Self.full)
            add(found.full.offeredPerSecond, Self.offered)
            add(found.full.softirq.ksoftirqdPercent, Self.fullKsoftirqd)
          } catch let error as BenchError {
            results.skip(way.rawValue, in: .udp, because: error.reason)
            if error.endsWay { ways.removeAll { $0 == way } }
          }
        }
      }
    }
    // The counting program would drop what a receiver waits for.
    try NetworkNamespace.run(in: lab.network.sinkName) { SinkProgram.detach(device: "from-relay") }
    return ways
  }

  private func measure(
    _ way: BenchWay, threads: Int, guess: Double?, _ sink: SinkProgram
  ) async throws -> Round {
    let settings = lab.settings
    return try await lab.forwarder.run(way, over: .udp) { [lab] destination in
      let load = BenchLoad(threads: threads, processor: BenchNetwork.relayProcessor)
      defer { load.end() }
      // Threads that take turns have some 4 ms each, and what waits with them comes in bursts as far apart as a whole
      // turn: shorter measurements would see one burst, or none.
      let turn = way.waitsForScheduler ? 0.004 * Double(threads) : 0
      let flood = BenchFlood(
        network: lab.network, destinations: [destination], sink: sink,
        warmUpSeconds: max(0.1, turn), seconds: max(settings.seconds, 3 * turn), quietSeconds: 0.03 + 1.5 * turn
      )
      let best = try await Self.search(from: guess, orElse: threads == 0 ? 25_000 : 1000) {
        try await flood.run(packetsPerSecond: $0)
      }
      guard best.deliveredPerSecond > 0 else {
        throw BenchError.nothingArrived("\(way.title), \(threads) background threads")
      }
      return Round(best: best, full: try await flood.run(packetsPerSecond: nil))
    }
  }

  /// The step that delivers most. A relay that the scheduler runs delivers less when more is offered than it can take, so
  /// what it does at full rate is not the best that it does.
  ///
  /// - Parameters:
  ///   - guess: What it delivered at best before.
  ///   - beginning: Where to begin without one, to go up twofold.
  static func search(
    from guess: Double?, orElse beginning: Double = 25_000,
    _ step: (_ offeredPerSecond: Double) async throws -> BenchFlood.Step
  ) async throws -> BenchFlood.Step {
    var best: BenchFlood.Step?
    /// Whether nearly all arrived.
    func passes(_ offered: Double) async throws -> Bool {
      let step = try await step(offered)
      // What queued up before may come along: more than was offered is no merit.
      let delivered = min(step.deliveredPerSecond, step.offeredPerSecond)
      if delivered > best?.deliveredPerSecond ?? -1 {
        best = step
        best?.deliveredPerSecond = delivered
      }
      // The sender too has an end, and then it offers less than it was asked to.
      return delivered >= 0.97 * offered
    }
    var (low, high) = (0.0, max(1000, guess ?? beginning))
    let factor = guess == nil ? 2 : 1.25
    if try await passes(high) {
      // A moment in which the machine did something else must not end the way up: a step that fails is tried again.
      var isHigher = true
      while isHigher {
        (low, high) = (high, high * factor)
        isHigher = try await passes(high)
        if !isHigher { isHigher = try await passes(high) }
      }
    } else {
      // Below 200 a second no measurement is long enough to say more.
      while high > 200 {
        low = high * (guess == nil ? 0.5 : 0.7)
        if try await passes(low) { break }
        high = low
      }
    }
    for _ in 0..<(guess == nil ? 5 : 3) where high > 200 {
      let middle = (low + high) / 2
      if try await passes(middle) { low = middle } else { high = middle }
    }
    guard let best else { preconditionFailure("no step was taken") }
    return best
  }
}
