import CStreamRouter
import Foundation
import Topology

/// What it takes from an event to the first instruction of who handles it: an upcall of engine upcall, beside a thread
/// that is woken, all on one processor.
struct UpcallCost {
  static let wake = BenchFigure(
    key: "cost-wake", title: "From an event to who handles it", part: .cost, axis: "", unit: "ns",
    better: .lower,
    note:
      "Mean of 1,000 events, 500 us apart, on one processor. Upcall: from the post in softirq to the first instruction in ring 3, in whichever process is there or the anchor; mode as the kernel module was loaded. Thread: from write(2) to a pipe to the return of read(2)."
  )
  static let run = BenchFigure(
    key: "cost-upcall", title: "Null upcall of engine upcall", part: .cost, axis: "", unit: "cycles",
    better: .lower,
    note:
      "Ticks of the time stamp counter, both crossings included, mean of 1,000; the paper's, in 2004: 1,370.")

  private static let events = 1_000
  private static let intervalUs: UInt32 = 500
  private static let policies: [(series: String, scheduling: Scheduling)] = [
    ("woken thread, SCHED_FIFO", .fifo(priority: 50)), ("woken thread, SCHED_OTHER", .other),
  ]

  func run(_ results: inout BenchResults, round: Int) throws {
    let device: ModuleDevice
    do {
      device = try ModuleDevice()
      try device.demandUpcall()
    } catch {
      results.skip("upcall", in: .cost, because: "\(error)")
      return
    }
    let mode =
      (try? String(contentsOfFile: "/sys/module/streamrouter/parameters/upcall_mode", encoding: .utf8))?
      .trimmingCharacters(in: .whitespacesAndNewlines) ?? "unknown"
    let probe = try Self.probe(device)
    let series = "null upcall, mode \(mode)"
    results.add(Double(probe.cycles_sum) / Double(probe.done), to: Self.run, way: series, round: round)
    results.add(Double(probe.wait_sum_ns) / Double(probe.done), to: Self.wake, way: series, round: round)
    for policy in Self.policies {
      do {
        results.add(try Self.woken(policy.scheduling), to: Self.wake, way: policy.series, round: round)
      } catch {
        results.skip(policy.series, in: .cost, because: "\(error)")
      }
    }
  }

  /// Null upcalls on processor 0, all of which must have run and answered rightly.
  private static func probe(_ device: ModuleDevice) throws -> sr_upcall_probe {
    // This process has many threads, so it is not interrupted itself.
    _ = sr_module_start_anchor(0, 40)
    let outcome = ProcessReply<Result<sr_upcall_probe, EngineError>>()
    nonisolated(unsafe) let device = device  // This thread waits for the other one.
    let thread = try ScheduledThread(name: "sr-bench-probe", scheduling: .other, cpu: 0) {
      var probe = sr_upcall_probe()
      probe.upcalls = UInt32(events)
      probe.interval_us = intervalUs
      probe.timeout_ms = 30_000
      let result = device.call(SR_MODULE_UPCALL_PROBE, &probe)
      outcome.give(
        result == 0 && probe.right == probe.upcalls
          ? .success(probe)
          : .failure(
            .failed(
              engine: .upcall, operation: "running", subject: "\(events) null upcalls", errno: result,
              detail: "\(probe.done) ran, \(probe.right) answered rightly")))
    }
    let probe = try outcome.wait().get()
    thread.join()
    return probe
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
    let reader = try ScheduledThread(name: "sr-bench-woken", scheduling: scheduling, cpu: 0) {
      var (sent, total): (UInt64, UInt64) = (0, 0)
      for _ in 0..<events where read(source, &sent, 8) == 8 { total += now() - sent }
      outcome.give(total)
    }
    let writer = try ScheduledThread(name: "sr-bench-waker", scheduling: .other, cpu: 0) {
      for _ in 0..<events {
        usleep(intervalUs)
        var sent = now()
        _ = write(sink, &sent, 8)
      }
    }
    writer.join()
    reader.join()
    return Double(outcome.wait()) / Double(events)
  }

  private static func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
