import CStreamRouter
import Foundation

/// The machine that a benchmark ran on; figures of different ones do not compare.
public struct BenchMachine: Codable, Hashable, Sendable {
  public var processor = "?"
  public var processors = 0
  public var kernel = "?"
  /// The hypervisor by its own name, `none` on bare metal.
  public var hypervisor = "none"
  /// What cpufreq says of the relay's processor; nil without cpufreq.
  public var governor: String?
  /// Ticks of the time stamp counter a second, counted against CLOCK_MONOTONIC_RAW; nil where there is none. It ticks
  /// evenly, so cycles here are ticks of it and not those that a processor's boost adds.
  public var timestampCounterHz: Double?
  /// What the kernel does against flaws of the processor, of those that concern it.
  public var mitigations: [String: String] = [:]
  /// What each peer says of its version.
  public var versions: [String: String] = [:]

  public init() {}

  /// Reads it from /proc and /sys; what those do not say is left out.
  static func read() -> BenchMachine {
    var machine = BenchMachine()
    machine.kernel = word("/proc/sys/kernel/osrelease") ?? "?"
    machine.processors = ProcessInfo.processInfo.processorCount
    let information = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    for line in information.split(separator: "\n") {
      let pair = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
      guard pair.count == 2 else { continue }
      if pair[0] == "model name" { machine.processor = pair[1] }
      if pair[0] == "flags", pair[1].contains(" hypervisor") { machine.hypervisor = "of an unknown name" }
    }
    if machine.hypervisor != "none" {
      let vendor = word("/sys/class/dmi/id/sys_vendor") ?? word("/sys/hypervisor/type")
      if let vendor { machine.hypervisor = vendor }
      if let name = hypervisorName() {
        machine.hypervisor = vendor.map { "\(name) (\($0))" } ?? name
      }
    }
    let relay = "/sys/devices/system/cpu/cpu\(BenchNetwork.relayProcessor)"
    machine.governor = word("\(relay)/cpufreq/scaling_governor")
    machine.timestampCounterHz = timestampCounterHz()
    let flaws = "/sys/devices/system/cpu/vulnerabilities"
    for flaw in LabFiles.list(.init(flaws)) {
      guard let state = word("\(flaws)/\(flaw)"), state != "Not affected" else { continue }
      machine.mitigations[flaw] = state
    }
    return machine
  }

  /// One line for people.
  public var summary: String {
    var parts = ["\(processor), \(processors) processors", "Linux \(kernel)"]
    parts.append(hypervisor == "none" ? "bare metal" : "hypervisor \(hypervisor)")
    if let governor { parts.append("governor \(governor)") }
    if let timestampCounterHz {
      parts.append("TSC \(BenchNumber.text(timestampCounterHz / 1e9, digits: 3)) GHz")
    }
    return parts.joined(separator: ", ")
  }

  private static func word(_ path: String) -> String? {
    let text = (try? String(contentsOfFile: path, encoding: .utf8))?.trimmingCharacters(
      in: .whitespacesAndNewlines)
    return text?.isEmpty == false ? text : nil
  }

  private static func hypervisorName() -> String? {
    var name = [CChar](repeating: 0, count: 13)
    guard sr_hypervisor(&name) == 0 else { return nil }
    let text = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return text.hasPrefix("KVM") ? "KVM" : text
  }

  private static func timestampCounterHz() -> Double? {
    let first = (sr_cycles(), rawNs())
    guard first.0 != 0 else { return nil }
    Thread.sleep(forTimeInterval: 0.2)
    let last = (sr_cycles(), rawNs())
    return Double(last.0 - first.0) / Double(last.1 - first.1) * 1e9
  }

  private static func rawNs() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC_RAW, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }
}
