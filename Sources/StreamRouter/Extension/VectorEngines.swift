import CStreamRouter
import Foundation
import Topology

/// What became of one case in one engine.
struct VectorCaseOutcome: Hashable, Sendable {
  var packets: [VectorOutcome] = []
  /// In the order of the manifest.
  var counters: [UInt64] = []
  var histogram: [UInt64] = []
  var histogramSum: UInt64 = 0

  init() {}

  mutating func close(_ account: sr_extension_account, _ manifest: ExtensionManifest) {
    counters = withUnsafeBytes(of: account.counters) { Array($0.bindMemory(to: UInt64.self)) }
    counters = Array(counters.prefix(manifest.counters.count))
    histogram = withUnsafeBytes(of: account.histogram) { Array($0.bindMemory(to: UInt64.self)) }
    histogramSum = account.histogram_sum
  }
}

/// The network that vectors are about: a sender at .9, the relay at .1, all sinks behind .2.
private struct VectorNetwork {
  let entry: ExtensionVectors.Case

  static let setUp = """
    link set lo up
    link add name va address 02:00:00:00:00:01 type veth peer name vb
    link set dev vb address 02:00:00:00:00:02
    addr add 10.9.0.1/24 dev va
    addr add fd09::1/64 dev va nodad
    link set dev va up
    link set dev vb up
    neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev va
    neigh add fd09::2 lladdr 02:00:00:00:00:02 dev va

    """

  func address(_ host: Int) -> IPAddress { IPAddress(entry.isIPv6 ? "fd09::\(host)" : "10.9.0.\(host)")! }

  /// - Parameter offset: 1 for RTCP.
  func relayEnd(_ offset: UInt16 = 0) -> Endpoint { Endpoint(address: address(1), port: 5004 + offset) }
  func sinkEnd(_ sink: Int, _ offset: UInt16 = 0) -> Endpoint {
    Endpoint(address: address(2), port: 6000 + 2 * UInt16(sink) + offset)
  }

  var relay: Relay {
    Relay(
      stream: "vectors", node: "vectors", hop: entry.hop, transport: entry.transport, ingress: relayEnd(),
      sources: [AddressPrefix(address(9))],
      sinks: (0..<entry.sinks).map {
        RelaySink(kind: .host, name: "sink-\($0)", destination: sinkEnd($0), source: relayEnd())
      })
  }

  func arriving(_ packet: ExtensionVectors.Packet) -> UDPFrame {
    UDPFrame(
      sourceMAC: [2, 0, 0, 0, 0, 9], source: Endpoint(address: address(9), port: packet.sourcePort),
      destination: relayEnd(packet.toRTCPPort ? 1 : 0), ttl: packet.ttl, dscp: packet.dscp,
      datagram: packet.datagram)
  }

  func leaving(_ packet: ExtensionVectors.Packet, _ sink: Int, _ datagram: [UInt8], dscp: UInt8) -> UDPFrame {
    let offset: UInt16 = packet.toRTCPPort ? 1 : 0
    return UDPFrame(
      destinationMAC: [2, 0, 0, 0, 0, 2], sourceMAC: [2, 0, 0, 0, 0, 1], source: relayEnd(offset),
      destination: sinkEnd(sink, offset), ttl: packet.ttl &- 1, dscp: dscp, datagram: datagram)
  }

  /// When cases begin: time stamps of packets are above 0, and `at` may go back.
  static let epochNs: UInt64 = 1_800_000_000_000_000_000

  static func arrivalNs(_ packet: ExtensionVectors.Packet) -> UInt64 {
    UInt64(bitPattern: Int64(epochNs) &+ packet.arrivalNs)
  }
}

// MARK: - Native code

/// Runs vectors through the native code, in this process.
enum NativeVectors {
  static func run(_ vectors: ExtensionVectors, on object: ExtensionObject) throws -> [VectorCaseOutcome] {
    let code = try NativeExtension(object)
    return vectors.cases.map { entry in
      let network = VectorNetwork(entry: entry)
      code.begin(parameters: object.manifest.record(entry.settings))
      var outcome = VectorCaseOutcome()
      for packet in entry.packets {
        outcome.packets.append(run(packet, of: entry, in: network, on: code))
      }
      outcome.close(code.account, object.manifest)
      return outcome
    }
  }

  private static func run(
    _ packet: ExtensionVectors.Packet, of entry: ExtensionVectors.Case, in network: VectorNetwork,
    on code: NativeExtension
  ) -> VectorOutcome {
    let frame = network.arriving(packet)
    var call = sr_call()
    call.arrival_ns = VectorNetwork.arrivalNs(packet)
    call.headers_offset = 14
    call.udp_offset = UInt32(frame.udpOffset)
    call.payload_length = UInt32(packet.datagram.count)
    call.hop = UInt16(entry.hop)
    call.protocol = UInt8(
      entry.transport == .udp
        ? SR_PROTOCOL_UDP.rawValue : packet.toRTCPPort ? SR_PROTOCOL_RTCP.rawValue : SR_PROTOCOL_RTP.rawValue)
    call.sink_count = UInt8(entry.sinks)
    call.dscp = UInt8(SR_DSCP_KEEP)
    call.is_ipv6 = entry.isIPv6 ? 1 : 0
    call.source_port = packet.sourcePort.bigEndian
    call.sinks = entry.allSinks
    var datagram = packet.datagram
    let verdict = code.run(&datagram, ip: Array(frame.bytes[14..<frame.udpOffset]), &call)
    switch verdict {
    case SR_VERDICT_FORWARD where call.sinks != 0:
      let dscp = UInt32(call.dscp) == SR_DSCP_KEEP ? packet.dscp : call.dscp
      return VectorOutcome(verdict: .forward(call.sinks), datagram: datagram, dscp: dscp)
    case SR_VERDICT_FORWARD, SR_VERDICT_DROP: return VectorOutcome(verdict: .drop)
    default: return VectorOutcome(verdict: .trap)
    }
  }
}

// MARK: - The kernel's datapath

/// Runs vectors through the datapath with the extension linked in, by BPF_PROG_TEST_RUN in a network of its own.
enum SandboxVectors {
  /// Why this cannot be done here; nil where it can.
  static func obstacle() -> String? {
    guard geteuid() == 0, libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SCHED_CLS, nil) == 1 else {
      return "this user may not load BPF programs; run as root"
    }
    return nil
  }

  static func run(_ vectors: ExtensionVectors, on object: ExtensionObject) throws -> [VectorCaseOutcome] {
    try NetworkNamespace.runInNew {
      try NetworkNamespace.configure(VectorNetwork.setUp)
      try SandboxEngine.enableRouteLookup()
      let datapath = try SandboxDatapath(
        pins: nil, capacity: 16, extensions: [ExtensionPlacement(object: object, slot: 0, instances: 1)])
      try datapath.updateSettings()
      guard let tables = datapath.extensions[0] else { preconditionFailure("the extension was linked in") }
      let wire = try VectorWire(device: "vb")
      return try vectors.cases.map { try run($0, datapath, tables, wire) }
    }
  }

  private static func run(
    _ entry: ExtensionVectors.Case, _ datapath: SandboxDatapath, _ tables: ExtensionTables, _ wire: VectorWire
  ) throws -> VectorCaseOutcome {
    let network = VectorNetwork(entry: entry)
    for key in datapath.relayKeys() { try datapath.removeRelay(at: key) }
    try datapath.clear(index: 0)
    try tables.begin(0, parameters: tables.placement.object.manifest.record(entry.settings))
    for relay in RelayEntry.entries(
      for: network.relay, index: 0, extensions: [sr_extension_use(slot: 0, instance: 0)],
      isLocal: { _ in false })
    {
      try datapath.set(relay.value, at: relay.key)
    }
    var outcome = VectorCaseOutcome()
    for packet in entry.packets {
      outcome.packets.append(try run(packet, of: network, datapath, wire))
    }
    outcome.close(try tables.account(0), tables.placement.object.manifest)
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
