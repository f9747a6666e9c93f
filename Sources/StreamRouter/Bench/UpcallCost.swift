import CStreamRouter
import Foundation
import Topology

/// What it takes from an event to the first instruction of who handles it: an upcall of engine upcall, beside a thread
/// that is woken, all on one processor, idle and busy.
///
/// The kernel module has one mode at a time, given when it is loaded; so a run has one, and says how to measure the
/// other.
struct UpcallCost {
  static let wake = BenchFigure(
    key: "cost-wake", title: "From an event to who handles it", part: .cost, axis: "", unit: "ns",
    better: .lower,
    note:
      "Mean of 1,000 events, 500 us apart, on one processor, idle or busy with a process that computes. Upcall: from the post in softirq to the first instruction in ring 3, in the busy process, or in an anchor that is woken for it. Thread: from write(2) to a pipe to the return of read(2). The kernel module has one mode at a time; 'bench compare' sets two runs side by side."
  )
  static let run = BenchFigure(
    key: "cost-upcall", title: "Null upcall of engine upcall", part: .cost, axis: "", unit: "cycles",
    better: .lower,
    note:
      "Ticks of the time stamp counter, both crossings included, mean of 1,000; the paper's, in 2004: 1,370.")

  private static let events = 1_000
  private static let intervalUs: UInt32 = 500
  private static let processor = 0
  /// As engine upcall has it.
  private static let anchorPriority: Int32 = 40
  private static let policies: [(name: String, scheduling: Scheduling)] = [
    ("SCHED_FIFO", .fifo(priority: 50)), ("SCHED_OTHER", .other),
  ]

  /// What one round found on an idle or a busy processor.
  private struct Found: Sendable {
    var values: [(figure: BenchFigure, series: String, value: Double)] = []
    var skipped: [(series: String, reason: String)] = []
  }

  /// Takes up a round; where the module is not there, the reason.
  func run(_ results: inout BenchResults, round: Int) async {
    let mode: String
    do {
      try ModuleDevice().demandUpcall()
      mode = try Self.mode()
    } catch {
      results.skip("upcall", in: .cost, because: "\(error)")
      return
    }
    var found = Self.measure(mode: mode, isBusy: false)
    do {
      let busy = try await BusyProcess.run(processor: Self.processor) {
        Self.measure(mode: mode, isBusy: true)
      }
      found.values += busy.values
      found.skipped += busy.skipped
    } catch {
      found.skipped.append(("upcall, busy processor", "\(error)"))
    }
    for (figure, series, value) in found.values { results.add(value, to: figure, way: series, round: round) }
    for (series, reason) in found.skipped { results.skip(series, in: .cost, because: reason) }
    let other = mode == "shared" ? "private" : "shared"
    results.skip(
      Self.series(mode: other), in: .cost,
      because: "the kernel module was loaded in mode \(mode); after 'rmmod streamrouter; modprobe "
        + "streamrouter upcall=1 upcall_mode=\(other)' measure with 'bench cost --only upcall' once more")
  }

  static func series(mode: String) -> String { "null upcall, mode \(mode)" }

  /// `private` or `shared`, as the module was loaded.
  private static func mode() throws -> String {
    let path = "/sys/module/streamrouter/parameters/upcall_mode"
    guard let text = LabFiles.read(.init(path)) else {
      throw BenchError.failed("\(path) cannot be read, so the mode of the kernel module is not known")
    }
    return text.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  private static func measure(mode: String, isBusy: Bool) -> Found {
    let suffix = isBusy ? ", busy processor" : ""
    var found = Found()
    func attempt(_ series: String, _ measure: () throws -> [(BenchFigure, Double)]) {
      do {
        for (figure, value) in try measure() { found.values.append((figure, series + suffix, value)) }
      } catch {
        found.skipped.append((series + suffix, "\(error)"))
      }
    }
    attempt(series(mode: mode)) {
      let before = try account()
      let probe = try probe()
      let anchored = try account().from_anchor - before.from_anchor
      if isBusy, anchored > UInt64(probe.done / 2) {
        throw BenchError.failed("\(anchored) of \(probe.done) ran in the anchor, not in the busy process")
      }
      let count = Double(probe.done)
      return [(run, Double(probe.cycles_sum) / count), (wake, Double(probe.wait_sum_ns) / count)]
    }
    for policy in policies {
      attempt("woken thread, \(policy.name)") { [(wake, try woken(policy.scheduling))] }
    }
    return found
  }

  /// Where upcalls ran so far.
  private static func account() throws -> sr_upcall_account {
    var account = sr_upcall_account()
    let result = try ModuleDevice().call(SR_MODULE_UPCALL_ACCOUNT, &account)
    guard result == 0 else {
      throw EngineError.failed(
        engine: .upcall, operation: "reading", subject: "the module's account", errno: result, detail: "")
    }
    return account
  }

  /// Null upcalls, all of which must have run and answered rightly.
  private static func probe() throws -> sr_upcall_probe {
    var (errno, probe) = try probeOnce()
    // An anchor that nobody needs leaves after some seconds: it may have done so meanwhile, and the next one is fresh.
    if errno == ETIME { (errno, probe) = try probeOnce() }
    guard errno == 0, probe.right == probe.upcalls else {
      throw EngineError.failed(
        engine: .upcall, operation: "running", subject: "\(events) null upcalls", errno: errno,
        detail: "\(probe.done) ran, \(probe.right) answered rightly")
    }
    return probe
  }

  private static func probeOnce() throws -> (errno: Int32, probe: sr_upcall_probe) {
    // This process has many threads, so it is not interrupted itself.
    let result = sr_module_start_anchor(Int32(processor), anchorPriority)
    guard result == 0 else {
      throw EngineError.failed(
        engine: .upcall, operation: "starting", subject: "the anchor of processor \(processor)",
        errno: -result, detail: "")
    }
    let outcome = ProcessReply<Result<(Int32, sr_upcall_probe), any Error>>()
    let thread = try ScheduledThread(name: "sr-bench-probe", scheduling: .other, cpu: processor) {
      outcome.give(
        Result {
          let device = try ModuleDevice()
          var probe = sr_upcall_probe()
          probe.upcalls = UInt32(events)
          probe.interval_us = intervalUs
          probe.timeout_ms = 8_000
          return (device.call(SR_MODULE_UPCALL_PROBE, &probe), probe)
        })
    }
    defer { thread.join() }
    return try outcome.wait().get()
  }

  /// Mean time in ns that a thread takes to come back from read(2).
  private static func woken(_ scheduling: Scheduling) throws -> Double {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else {
      throw EngineError.failed(
        engine: .process, operation: "making", subject: "a pipe", errno: errno, detail: "")
    }
    let (source, sink) = (ends[0], ends[1])
    defer {
      close(source)
      close(sink)
    }
    let outcome = ProcessReply<UInt64>()
    let reader = try ScheduledThread(name: "sr-bench-woken", scheduling: scheduling, cpu: processor) {
      var (sent, total): (UInt64, UInt64) = (0, 0)
      for _ in 0..<events where read(source, &sent, 8) == 8 { total += monotonicNs() - sent }
      outcome.give(total)
    }
    let writer = try ScheduledThread(name: "sr-bench-waker", scheduling: .other, cpu: processor) {
      for _ in 0..<events {
        usleep(intervalUs)
        var sent = monotonicNs()
        _ = write(sink, &sent, 8)
      }
    }
    writer.join()
    reader.join()
    return Double(outcome.wait()) / Double(events)
  }
}
