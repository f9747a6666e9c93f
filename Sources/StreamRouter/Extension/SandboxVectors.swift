import CStreamRouter
import Foundation
import Topology

/// Runs vectors through the datapath with the extensions linked in, by BPF_PROG_TEST_RUN in a network of its own.
enum SandboxVectors {
  /// Why this cannot be done here; nil where it can.
  ///
  /// - Parameter manifests: Of what is to run: it must find the functions here that it asks for, or it would do something
  ///   else than its native code.
  static func obstacle(to manifests: [ExtensionManifest] = []) -> String? {
    let missing = Capability.missing(Capability.sandbox + [.sysAdmin])
    guard missing.isEmpty else {
      return
        "this process may not load BPF programs in a network of its own: it lacks \(missing.sentence); run as root"
    }
    guard libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SCHED_CLS, nil) == 1 else {
      return "the kernel does not let this process load BPF programs"
    }
    return PacketFunctions.obstacle(to: manifests)
  }

  static func run(_ vectors: ExtensionVectors, on objects: [ExtensionObject]) throws -> [VectorCaseOutcome] {
    let placements = objects.enumerated().map {
      ExtensionPlacement(object: $1, slot: UInt32($0), instances: Int(SR_MAX_EXTENSIONS.rawValue))
    }
    return try run(vectors, on: placements)
  }

  private static func run(
    _ vectors: ExtensionVectors, on placements: [ExtensionPlacement]
  ) throws -> [VectorCaseOutcome] {
    try NetworkNamespace.runInNew {
      try NetworkNamespace.configure(VectorNetwork.setUp)
      try SandboxEngine.enableRouteLookup()
      let datapath = try SandboxDatapath(pins: nil, capacity: 16, extensions: placements)
      try datapath.updateSettings()
      let wire = try VectorWire(device: "vb")
      return try vectors.cases.map { try run($0, datapath, wire) }
    }
  }

  private static func run(
    _ entry: ExtensionVectors.Case, _ datapath: SandboxDatapath, _ wire: VectorWire
  ) throws -> VectorCaseOutcome {
    let network = VectorNetwork(entry: entry)
    for key in datapath.relayKeys() { try datapath.removeRelay(at: key) }
    try datapath.clear(index: 0)
    // Each place of the chain has a record of its own, so that an extension can stand there twice.
    let chain = entry.chain.enumerated().map { place, use in
      guard let tables = datapath.extensions[UInt32(use.object)] else {
        preconditionFailure("the extension was linked in")
      }
      return (instance: UInt32(place), tables: tables, manifest: tables.placement.object.manifest, use: use)
    }
    for link in chain {
      try link.tables.begin(link.instance, parameters: link.manifest.record(link.use.settings))
    }
    let uses = chain.map { sr_extension_use(slot: $0.tables.placement.slot, instance: $0.instance) }
    for relay in RelayEntry.entries(for: network.relay, index: 0, extensions: uses, isLocal: { _ in false }) {
      try datapath.set(relay.value, at: relay.key)
    }
    var outcome = VectorCaseOutcome()
    for packet in entry.packets { outcome.packets.append(try run(packet, of: network, datapath, wire)) }
    outcome.accounts = try chain.map { VectorAccount(try $0.tables.account($0.instance), $0.manifest) }
    return outcome
  }

  private static func run(
    _ packet: ExtensionVectors.Packet, of network: VectorNetwork, _ datapath: SandboxDatapath,
    _ wire: VectorWire
  ) throws -> VectorOutcome {
    let before = try datapath.counters(at: 0)
    var context = __sk_buff()
    context.tstamp = VectorNetwork.arrivalNs(packet)
    let run = try datapath.testRun(network.arriving(packet).bytes, context: context)
    let after = try datapath.counters(at: 0)
    func grown(_ counter: sr_counter) -> UInt64 { after[counter] &- before[counter] }

    guard run.verdict == redirect else {
      if grown(SR_DROP_EXTENSION) == 1 { return VectorOutcome(verdict: .drop) }
      if grown(SR_DROP_EXTENSION_FAULT) == 1 { return VectorOutcome(verdict: .trap) }
      let named = after.named
      let cause = before.named.first { $0.key.hasPrefix("drop_") && named[$0.key] != $0.value }?.key
      return VectorOutcome(verdict: .lost(cause ?? "verdict \(run.verdict)"))
    }
    // Copies really left by the device; the packet itself comes back.
    let copies = wire.frames(count: max(0, Int(grown(SR_PACKETS_OUT)) - 1))
    return outcome(copies + [run.packet], packet, network)
  }

  /// TC_ACT_REDIRECT.
  private static let redirect: Int32 = 7

  /// Reads the frames that left, and compares each with one that is built from scratch of the same datagram.
  private static func outcome(
    _ frames: [[UInt8]], _ packet: ExtensionVectors.Packet, _ network: VectorNetwork
  ) -> VectorOutcome {
    let udp = network.arriving(packet).udpOffset
    var result = VectorOutcome(verdict: .forward(0))
    var sinks: UInt32 = 0
    for (place, frame) in frames.enumerated() {
      guard frame.count >= udp + 8 else {
        result.flaw = "a frame of \(frame.count) bytes left"
        continue
      }
      let port = Int(frame[udp + 2]) << 8 | Int(frame[udp + 3])
      let sink = (port - (packet.toRTCPPort ? 6001 : 6000)) / 2
      guard (0..<network.entry.sinks).contains(sink), sinks >> UInt32(sink) & 1 == 0 else {
        result.flaw = "a frame left for port \(port), which is no sink's, or twice"
        continue
      }
      sinks |= 1 << UInt32(sink)
      let datagram = Array(frame[(udp + 8)...])
      let dscp = network.entry.isIPv6 ? (frame[14] & 15) << 2 | frame[15] >> 6 : frame[15] >> 2
      if place == 0 { (result.datagram, result.dscp) = (datagram, dscp) }
      if datagram != result.datagram || dscp != result.dscp {
        result.flaw = "sink \(sink) got another packet than the one before"
      }
      let right = network.leaving(packet, sink, datagram, dscp: dscp).bytes
      if let at = zip(frame, right).enumerated().first(where: { $1.0 != $1.1 })?.offset {
        result.flaw =
          (udp + 6..<udp + 8).contains(at)
          ? "the UDP checksum towards sink \(sink) is wrong: it is \(frame[udp + 6..<udp + 8].hex(separator: " ")), not \(right[udp + 6..<udp + 8].hex(separator: " "))"
          : "byte \(at) of the frame towards sink \(sink) is \([frame[at]].hex()), not \([right[at]].hex())"
      }
    }
    result.verdict = .forward(sinks)
    return result
  }
}

/// A packet socket on the device that copies leave by.
private final class VectorWire {
  private let descriptor: Int32

  init(device: String) throws {
    descriptor = sr_packet_socket(device)
    guard descriptor >= 0 else { throw NetworkNamespace.Failure(name: "(packet socket)", errno: -descriptor) }
  }

  deinit { close(descriptor) }

  /// Waits up to a second for so many frames to the sinks.
  func frames(count: Int) -> [[UInt8]] {
    var frames: [[UInt8]] = []
    guard count > 0 else { return frames }
    var buffer = [UInt8](repeating: 0, count: 65536)
    let deadline = ContinuousClock.now + .seconds(1)
    while frames.count < count, ContinuousClock.now < deadline {
      var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&poller, 1, 100) > 0 else { continue }
      let length = recv(descriptor, &buffer, buffer.count, 0)
      // The kernel itself speaks ICMPv6 on a new device.
      let isUDP = buffer[12] == 0x08 ? buffer[13] == 0 && buffer[23] == 17 : buffer[20] == 17
      if length >= 42, isUDP { frames.append(Array(buffer[..<length])) }
    }
    return frames
  }
}
