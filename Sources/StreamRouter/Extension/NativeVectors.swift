import CStreamRouter
import Topology

/// Runs vectors through native code as the workers of engine `process` do, but in this process.
enum NativeVectors {
  static func run(_ vectors: ExtensionVectors, on objects: [ExtensionObject]) throws -> [VectorCaseOutcome] {
    try vectors.cases.map { entry in
      let chain = try NativeChain(
        entry.chain.map { (objects[$0.object], objects[$0.object].manifest.record($0.settings)) },
        relay: VectorNetwork(entry: entry).relay)
      var outcome = VectorCaseOutcome()
      for packet in entry.packets { outcome.packets.append(run(packet, of: entry, on: chain)) }
      for (place, use) in entry.chain.enumerated() {
        outcome.accounts.append(VectorAccount(chain.account(place), objects[use.object].manifest))
      }
      return outcome
    }
  }

  private static func run(
    _ packet: ExtensionVectors.Packet, of entry: ExtensionVectors.Case, on chain: NativeChain
  ) -> VectorOutcome {
    var message = sr_received()
    message.arrival_ns = VectorNetwork.arrivalNs(packet)
    message.source = VectorNetwork(entry: entry).sender.words
    message.source_port = packet.sourcePort.bigEndian
    message.length = UInt32(packet.datagram.count)
    message.segment = message.length
    message.dscp = UInt32(packet.dscp)
    var datagram = packet.datagram
    let outcome = chain.run(&datagram, message, companion: packet.toRTCPPort)
    switch sr_counter(outcome.cause) {
    case SR_DROP_EXTENSION: return VectorOutcome(verdict: .drop)
    case SR_DROP_EXTENSION_FAULT: return VectorOutcome(verdict: .trap)
    default:
      return VectorOutcome(
        verdict: .forward(outcome.sinks), datagram: datagram, dscp: UInt8(outcome.dscp))
    }
  }
}
