import Foundation
import SystemPackage
import Topology

/// Three network namespaces in a row, for benchmarks:
///
///     source 10.77.1.2 --in--[ relay 10.77.1.1 | 10.77.2.1 ]--out-- 10.77.2.2 sink
///
/// The sender runs on processor 0; what the relay does is steered to processor 1: its softirq work by receive packet
/// steering of the device `in`, a relay process by its affinity.
struct BenchNetwork {
  static let ingress = Endpoint("10.77.1.1:5004")!
  static let sink = Endpoint("10.77.2.2:6000")!
  static let relayProcessor = 1

  let source: String
  let relay: String
  let sinkName: String

  init() {
    let tag = "sr-bench-\(getpid())"
    (source, relay, sinkName) = ("\(tag)-source", "\(tag)-relay", "\(tag)-sink")
  }

  /// What a run that was killed left behind goes first.
  func up() async throws {
    for name in LabPrivileges.namespaces() {
      let parts = name.split(separator: "-")
      guard name.hasPrefix("sr-bench-"), parts.count == 4, let pid = Int32(parts[2]), kill(pid, 0) != 0 else {
        continue
      }
      // Its relay too, which would hold the namespace's devices for ever.
      let left = try? await LabShell.attempt("ip", ["netns", "pids", name])
      for process in left?.output.split(separator: "\n").compactMap({ Int32($0) }) ?? [] {
        kill(process, SIGTERM)
      }
      _ = try? await LabShell.attempt("ip", ["netns", "del", name])
      let topology = BenchRelay.topology(of: pid)
      for path in [NodePaths.runtimeDirectory(topology: topology), NodePaths.pinDirectory(topology: topology)] {
        try? FileManager.default.removeItem(atPath: path.string)
      }
    }
    try await LabShell.batch([source, relay, sinkName].map { "netns add \($0)" })
    try await LabShell.batch([
      "link add name to-relay netns \(source) type veth peer name in netns \(relay)",
      "link add name out netns \(relay) type veth peer name from-relay netns \(sinkName)",
    ])
    // gso_max_segs 1: trains are cut before the wire, as a card without that offload needs it, so that on both wires
    // each datagram travels by itself. The sender hands over trains, since otherwise one core could not send more than
    // the relays take; engine process does too.
    try await LabShell.batch(
      [
        "link set dev lo up", "link set dev to-relay gso_max_segs 1 up", "addr add 10.77.1.2/24 dev to-relay",
        "route add default via 10.77.1.1",
      ], in: source)
    try await LabShell.batch(
      [
        "link set dev lo up", "addr add 10.77.1.1/24 dev in", "addr add 10.77.2.1/24 dev out",
        "link set dev in up",
        "link set dev out gso_max_segs 1 up",
      ], in: relay)
    try await LabShell.batch(
      [
        "link set dev lo up", "addr add 10.77.2.2/24 dev from-relay", "link set dev from-relay up",
        "route add default via 10.77.2.1",
      ], in: sinkName)
    try await steer(true)
  }

  func down() async {
    for name in [source, relay, sinkName] { _ = try? await LabShell.attempt("ip", ["netns", "del", name]) }
  }

  /// Receive packet steering of the relay's ingress to its processor, or to none.
  func steer(_ on: Bool) async throws {
    try await shell("echo \(on ? 1 << Self.relayProcessor : 0) > /sys/class/net/in/queues/rx-0/rps_cpus")
  }

  /// Kernel forwarding, the reference.
  func forward(_ on: Bool) async throws {
    try await shell("echo \(on ? 1 : 0) > /proc/sys/net/ipv4/ip_forward")
  }

  private func shell(_ line: String) async throws {
    try await LabShell.run("ip", ["netns", "exec", relay, "sh", "-c", line])
  }
}
