import CStreamRouter
import Topology

/// The network that vectors are about: a sender at .9, the relay at .1, all sinks behind .2. The far end of the wire is
/// up first: a device that gains its carrier later drops what it is to send until the kernel's link watch comes by.
struct VectorNetwork {
  let entry: ExtensionVectors.Case

  static let setUp = """
    link set lo up
    link add name va address 02:00:00:00:00:01 type veth peer name vb
    link set dev vb address 02:00:00:00:00:02
    addr add 10.9.0.1/24 dev va
    addr add fd09::1/64 dev va nodad
    link set dev vb up
    link set dev va up
    neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev va
    neigh add fd09::2 lladdr 02:00:00:00:00:02 dev va

    """

  func address(_ host: Int) -> IPAddress { IPAddress(entry.isIPv6 ? "fd09::\(host)" : "10.9.0.\(host)")! }

  var sender: IPAddress { address(9) }

  /// - Parameter offset: 1 for RTCP.
  func relayEnd(_ offset: UInt16 = 0) -> Endpoint { Endpoint(address: address(1), port: 5004 + offset) }
  func sinkEnd(_ sink: Int, _ offset: UInt16 = 0) -> Endpoint {
    Endpoint(address: address(2), port: 6000 + 2 * UInt16(sink) + offset)
  }

  var relay: Relay {
    Relay(
      stream: "vectors", node: "vectors", hop: entry.hop, transport: entry.transport, ingress: relayEnd(),
      sources: [AddressPrefix(sender)],
      sinks: (0..<entry.sinks).map {
        RelaySink(kind: .host, name: "sink-\($0)", destination: sinkEnd($0), source: relayEnd())
      })
  }

  func arriving(_ packet: ExtensionVectors.Packet) -> UDPFrame {
    UDPFrame(
      sourceMAC: [2, 0, 0, 0, 0, 9], source: Endpoint(address: sender, port: packet.sourcePort),
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
