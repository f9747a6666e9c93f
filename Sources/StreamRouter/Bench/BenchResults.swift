import Foundation

/// What the benchmarks found, with the machine that they ran on: printed as text or written as JSON.
public struct BenchResults: Codable, Sendable {
  /// The machine; figures of different ones do not compare.
  public struct Machine: Codable, Sendable {
    public var kernel: String
    public var processor: String
    public var processors: Int

    static func read() -> Machine {
      let release = (try? String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8)) ?? "?"
      let information = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
      let model =
        information.split(separator: "\n").first { $0.hasPrefix("model name") }
        .flatMap { $0.split(separator: ":").last } ?? "?"
      return Machine(
        kernel: release.trimmingCharacters(in: .whitespacesAndNewlines),
        processor: model.trimmingCharacters(in: .whitespaces),
        processors: ProcessInfo.processInfo.processorCount)
    }
  }

  /// What came of one offered rate.
  public struct Step: Codable, Sendable {
    public var offeredPerSecond: Double
    public var deliveredPerSecond: Double
  }

  public struct Throughput: Codable, Sendable {
    /// One repetition.
    public struct Round: Codable, Sendable {
      /// The most that was delivered, at whatever rate was offered.
      public var best: Step
      /// With as much offered as a core can send.
      public var full: Step
    }

    public var way: String
    public var busyThreads: Int
    public var rounds: [Round]

    /// The median of the rounds by what was delivered; of an even number, the upper one.
    public var best: Step { median(\.best) }
    /// As ``best``, with as much offered as a core can send.
    public var full: Step { median(\.full) }

    /// How many times what another way delivered in the same round, the median of the rounds: the machine's slow
    /// moments are both ways'. nil where the other one has no such rounds, or delivered nothing.
    func ratio(of other: Throughput?, _ which: KeyPath<Round, Step>) -> Double? {
      let ratios = zip(rounds, other?.rounds ?? []).map {
        $0[keyPath: which].deliveredPerSecond / $1[keyPath: which].deliveredPerSecond
      }.filter(\.isFinite).sorted()
      return ratios.isEmpty ? nil : ratios[ratios.count / 2]
    }

    private func median(_ which: KeyPath<Round, Step>) -> Step {
      let sorted = rounds.map { $0[keyPath: which] }.sorted { $0.deliveredPerSecond < $1.deliveredPerSecond }
      return sorted.isEmpty ? Step(offeredPerSecond: 0, deliveredPerSecond: 0) : sorted[sorted.count / 2]
    }
  }

  public struct Transit: Codable, Sendable {
    public var way: String
    public var busyThreads: Int
    public var sent: Int
    public var received: Int
    public var p50Microseconds: Double
    public var p99Microseconds: Double
    public var p999Microseconds: Double
    public var maxMicroseconds: Double
  }

  public struct Cost: Codable, Sendable {
    public var what: String
    public var nanoseconds: Double
    /// Whether the relays kept their account.
    public var accounting = true

    var label: String { what + (accounting ? "" : ", no account") }
  }

  public var machine: Machine
  public var payloadBytes = 200
  public var repetitions: Int
  public var secondsEach: Double
  public var costs: [Cost] = []
  public var extensionCosts: [Cost] = []
  public var throughput: [Throughput] = []
  public var transit: [Transit] = []

  init(machine: Machine, settings: Bench.Settings) {
    self.machine = machine
    repetitions = settings.repetitions
    secondsEach = settings.seconds
  }

  /// The figures as a person reads them, ratios included.
  public var text: String {
    var lines = ["\(machine.processor), \(machine.processors) processors, Linux \(machine.kernel)"]
    if !costs.isEmpty { lines += [""] + costText }
    if !throughput.isEmpty { lines += [""] + throughputText }
    if !transit.isEmpty { lines += [""] + transitText }
    return lines.joined(separator: "\n")
  }

  private var costText: [String] {
    var lines = ["Cost of the relay path a packet (BPF_PROG_TEST_RUN, one sink)"]
    let kept = costs.filter(\.accounting)
    for cost in costs { lines.append("  \(pad(cost.label, 40)) \(number(cost.nanoseconds, 1)) ns") }
    if let one = kept.first, let many = kept.last, one.nanoseconds > 0 {
      lines.append(
        "  many relays cost \(number(many.nanoseconds / one.nanoseconds, 2)) times what one pair costs")
    }
    for cost in extensionCosts {
      let plain = costs.first { $0.what.hasPrefix("rtp") && $0.accounting == cost.accounting }
      let more = plain.map { ", \(number(cost.nanoseconds - $0.nanoseconds, 1)) ns more than without" } ?? ""
      lines.append("  \(cost.label)  \(number(cost.nanoseconds, 1)) ns\(more)")
    }
    for cost in costs + extensionCosts where cost.accounting {
      if let without = (costs + extensionCosts).first(where: { $0.what == cost.what && !$0.accounting }) {
        lines.append(
          "  the account costs \(number(cost.nanoseconds - without.nanoseconds, 1)) ns of it: \(cost.what)")
      }
    }
    return lines
  }

  private var throughputText: [String] {
    func ratioColumns(_ title: String) -> String {
      right(title, 24) + right("of process", 12) + right("of kernel", 11)
    }
    var lines = [
      "Throughput in thousand packets/s, \(payloadBytes)-byte UDP, relay on processor 1; at full rate the sender offers all it can",
      "median (lowest to highest) of \(repetitions) rounds, \(number(secondsEach, 1)) s at each offered rate; ratios within a round, their median",
      "  " + pad("", 9) + right("busy", 5) + ratioColumns("at its best rate") + ratioColumns("at full rate")
        + right("offered", 9),
    ]
    for row in throughput {
      func other(_ way: BenchRelay.Way) -> Throughput? {
        throughput.first { $0.way == way.rawValue && $0.busyThreads == row.busyThreads }
      }
      func thousands(_ value: Double) -> String { number(value / 1000, value < 10_000 ? 1 : 0) }
      func columns(_ which: KeyPath<Throughput.Round, Step>, _ median: Step) -> String {
        let all = row.rounds.map { $0[keyPath: which].deliveredPerSecond }
        let spread = "\(thousands(all.min() ?? 0)) to \(thousands(all.max() ?? 0))"
        func times(_ way: BenchRelay.Way) -> String {
          row.ratio(of: other(way), which).map { number($0, 2) } ?? "-"
        }
        return right("\(thousands(median.deliveredPerSecond)) (\(spread))", 24) + right(times(.process), 12)
          + right(times(.kernel), 11)
      }
      lines.append(
        "  " + pad(row.way, 9) + right("\(row.busyThreads)", 5) + columns(\.best, row.best)
          + columns(\.full, row.full) + right(thousands(row.full.offeredPerSecond), 9))
    }
    return lines
  }

  private var transitText: [String] {
    var lines = [
      "Transit at 5,000 packets/s, send call to receive stamp, microseconds; sender and receiver SCHED_FIFO",
      "  " + pad("", 9) + right("busy", 6) + right("lost", 7) + right("p50", 10) + right("p99", 10)
        + right("p99.9", 10) + right("max", 10),
    ]
    for row in transit {
      lines.append(
        "  " + pad(row.way, 9) + right("\(row.busyThreads)", 6) + right("\(row.sent - row.received)", 7)
          + right(number(row.p50Microseconds, 1), 10) + right(number(row.p99Microseconds, 1), 10)
          + right(number(row.p999Microseconds, 1), 10) + right(number(row.maxMicroseconds, 1), 10))
    }
    return lines
  }

  private func number(_ value: Double, _ digits: Int) -> String {
    value.formatted(.number.precision(.fractionLength(digits)).locale(Locale(identifier: "en_US")))
  }

  private func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  private func right(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(1, width - text.count)) + text
  }
}
