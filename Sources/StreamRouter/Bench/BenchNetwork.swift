import Foundation
import SystemPackage
import Topology

/// Three network namespaces in a row, for benchmarks:
///
///     source 10.77.1.2 --in--[ relay 10.77.1.1 | 10.77.2.1 ]--out-- 10.77.2.2 sink
///
/// The sender runs on processor 0; what the relay does is steered to processor 1: its softirq work by receive packet
/// steering of the relay's devices, a relay process by its affinity.
struct BenchNetwork: Sendable {
  static let ingress = Endpoint("10.77.1.1:5004")!
  static let sink = Endpoint("10.77.2.2:6000")!
  /// The same for TCP: where the relay listens, and the web server.
  static let tcpIngress = Endpoint("10.77.1.1:8080")!
  static let server = Endpoint("10.77.2.2:80")!
  static let relayProcessor = 1

  let source: String
  let relay: String
  let sinkName: String
  /// Softirq work of the relay's processor.
  let softirqs = SoftirqReading.Source(processor: relayProcessor)

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
      await Self.remove(name)
      let topology = BenchRelay.topology(of: pid)
      for path in [
        NodePaths.runtimeDirectory(topology: topology).string,
        NodePaths.pinDirectory(topology: topology).string,
        FileManager.default.temporaryDirectory.appendingPathComponent(topology).path,
        Bench.folder(of: pid).path,
      ] { try? FileManager.default.removeItem(atPath: path) }
    }
    try await LabShell.batch([source, relay, sinkName].map { "netns add \($0)" })
    try await LabShell.batch([
      "link add name to-relay netns \(source) type veth peer name in netns \(relay)",
      "link add name out netns \(relay) type veth peer name from-relay netns \(sinkName)",
    ])
    try await LabShell.batch(
      [
        "link set dev lo up", "link set dev to-relay up", "addr add 10.77.1.2/24 dev to-relay",
        "route add default via 10.77.1.1",
      ], in: source)
    try await LabShell.batch(
      [
        "link set dev lo up", "addr add 10.77.1.1/24 dev in", "addr add 10.77.2.1/24 dev out",
        "link set dev in up", "link set dev out up",
      ], in: relay)
    try await LabShell.batch(
      [
        "link set dev lo up", "addr add 10.77.2.2/24 dev from-relay", "link set dev from-relay up",
        "route add default via 10.77.2.1",
      ], in: sinkName)
    // Each device with receive work, to whom that work belongs: packets are sent on the other side's processor.
    try await steer("in", in: relay, to: Self.relayProcessor)
    try await carryTrains(false)
  }

  func down() async {
    for name in [source, relay, sinkName] { await Self.remove(name) }
  }

  /// A namespace with all that still runs in it, which would hold its devices for ever.
  private static func remove(_ name: String) async {
    for signal in [SIGTERM, SIGKILL] {
      let left = try? await LabShell.attempt("ip", ["netns", "pids", name])
      let processes = left?.output.split(separator: "\n").compactMap { Int32($0) } ?? []
      if processes.isEmpty { break }
      for process in processes { kill(process, signal) }
      usleep(100_000)
    }
    _ = try? await LabShell.attempt("ip", ["netns", "del", name])
  }

  /// For TCP: packets as large as the devices take, as on a machine of a user. Without, trains are cut before the wire,
  /// as a card without that offload needs it (gso_max_segs 1), so that each datagram travels by itself; the sender
  /// hands over trains all the same, since otherwise one core could not send more than the relays take.
  func carryTrains(_ on: Bool) async throws {
    let segments = on ? 65_535 : 1
    try await LabShell.batch(["link set dev to-relay gso_max_segs \(segments)"], in: source)
    try await LabShell.batch(["link set dev out gso_max_segs \(segments)"], in: relay)
    // What comes back, and what the two ends receive: with datagrams there is none, or the sink counts it where it is.
    try await steer("out", in: relay, to: on ? Self.relayProcessor : nil)
    try await steer("to-relay", in: source, to: on ? BenchFlood.processor : nil)
    try await steer("from-relay", in: sinkName, to: on ? BenchFlood.processor : nil)
  }

  /// Receive packet steering of a device to a processor, or to none.
  private func steer(_ device: String, in namespace: String, to processor: Int?) async throws {
    try await shell(
      "echo \(processor.map { String(1 << $0, radix: 16) } ?? "0") > /sys/class/net/\(device)/queues/rx-0/rps_cpus",
      in: namespace)
  }

  /// Kernel forwarding, the reference.
  func forward(_ on: Bool) async throws {
    try await shell("echo \(on ? 1 : 0) > /proc/sys/net/ipv4/ip_forward", in: relay)
  }

  private func shell(_ line: String, in namespace: String) async throws {
    try await LabShell.run("ip", ["netns", "exec", namespace, "sh", "-c", line])
  }

  /// Whether something listens at a port of a namespace.
  static func listens(_ transport: BenchForwarder.Transport, _ port: UInt16, in namespace: String) throws
    -> Bool
  {
    let port = ":" + String(port, radix: 16, uppercase: true).leftPadded(4)
    return try NetworkNamespace.run(in: namespace) {
      // /proc/net belongs to the process, and this thread alone is in the namespace.
      let table = LabFiles.read(.init("/proc/thread-self/net/\(transport.rawValue)")) ?? ""
      return table.split(separator: "\n").contains { line in
        let fields = line.split(separator: " ")
        // 0A is LISTEN.
        return fields.count > 3 && fields[1].hasSuffix(port) && (transport == .udp || fields[3] == "0A")
      }
    }
  }
}

extension String {
  /// With zeros before it.
  fileprivate func leftPadded(_ width: Int) -> String {
    String(repeating: "0", count: max(0, width - count)) + self
  }
}
