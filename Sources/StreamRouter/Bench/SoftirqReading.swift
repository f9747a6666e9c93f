import Foundation

/// Softirq work of one processor, in all and by its ksoftirqd: work that overruns its time goes on in that thread, which
/// waits for the scheduler like any other.
struct SoftirqReading: Sendable {
  /// From /proc/stat, which the kernel's tick samples: right over many ticks, coarse over few.
  var softirqSeconds: Double
  /// What ksoftirqd ran, from its schedstat, which is exact.
  var ksoftirqdSeconds: Double

  /// Finds the files of one processor once.
  final class Source: Sendable {
    private let processor: Int
    private let schedstat: String?
    private let ticksPerSecond = Double(sysconf(Int32(_SC_CLK_TCK)))

    init(processor: Int) {
      self.processor = processor
      schedstat = SoftirqThreads.all()[processor].map { "/proc/\($0)/schedstat" }
    }

    func read() -> SoftirqReading {
      var reading = SoftirqReading(softirqSeconds: 0, ksoftirqdSeconds: 0)
      let stat = LabFiles.read("/proc/stat") ?? ""
      if let line = stat.split(separator: "\n").first(where: { $0.hasPrefix("cpu\(processor) ") }) {
        let fields = line.split(separator: " ")
        // user nice system idle iowait irq softirq
        reading.softirqSeconds = fields.count > 7 ? (Double(fields[7]) ?? 0) / ticksPerSecond : 0
      }
      if let schedstat, let text = LabFiles.read(.init(schedstat)), let run = text.split(separator: " ").first {
        reading.ksoftirqdSeconds = (Double(run) ?? 0) / 1e9
      }
      return reading
    }
  }

  static func - (later: SoftirqReading, earlier: SoftirqReading) -> SoftirqReading {
    SoftirqReading(
      softirqSeconds: later.softirqSeconds - earlier.softirqSeconds,
      ksoftirqdSeconds: later.ksoftirqdSeconds - earlier.ksoftirqdSeconds)
  }

  /// Share of softirq work that ksoftirqd did, in percent. The sampled whole cannot be less than the exact part; nil
  /// where there was none.
  var ksoftirqdPercent: Double? {
    let whole = max(softirqSeconds, ksoftirqdSeconds)
    return whole > 0 ? 100 * ksoftirqdSeconds / whole : nil
  }
}
