import CStreamRouter
import Topology

/// What the thread of TCP knows of one relay: who may connect, where connections go on, and their account.
///
/// Lives in memory that does not move, from `add` to `remove`, and belongs to that thread while one of its sockets is
/// watched.
struct SplitRelay {
  var settings: SplitSettings
  let account: ProcessAccount
  /// As `sr_variations` says for protocol tcp: `ipdv` holds round trips to the sink, `pdv` those to the source.
  let variations: UnsafeMutablePointer<sr_variations>
  /// Connections that are neither over nor refused.
  var open = 0
}

/// The part of a relay that `replace` exchanges at once. It counts for connections that begin from then on.
struct SplitSettings {
  private let access: ProcessRelaySettings
  let isV4: Bool
  /// nil: each connection keeps the code point that it came with.
  let dscp: UInt8?
  var destination: sr_udp_address
  /// Its port is left to the kernel.
  var source: sr_udp_address

  /// Allocates until ``deallocate()``.
  init(_ relay: Relay) {
    access = ProcessRelaySettings(relay)
    isV4 = relay.ingress.address.family == .ipv4
    dscp = relay.dscp
    destination = sr_udp_address(relay.sinks[0].destination)
    source = sr_udp_address(relay.sinks[0].source)
  }

  func deallocate() { access.deallocate() }

  func allows(_ peer: sr_udp_address) -> Bool { access.allows(peer.address) }
}

/// One listening socket of a relay.
struct SplitListener {
  let descriptor: Int32
  let relay: UnsafeMutablePointer<SplitRelay>
  /// Left alone until the node has file descriptors again.
  var isPaused = false
}
