import Topology

/// Which addresses outside the topology its streams name, and at which nodes they are met: sinks beyond the last
/// hop and sources before the first.
struct LabOutside: Hashable, Sendable {
  struct Peer: Hashable, Sendable {
    var node: String
    /// Assigned to the outside's end of the link with this node.
    var addresses: [IPAddress] = []
    /// Multicast sinks: routed to the outside, assigned nowhere.
    var groups: [IPAddress] = []
  }

  /// In the order in which the streams name them.
  private(set) var peers: [Peer] = []
  var isEmpty: Bool { peers.isEmpty }

  private let inside: Set<IPAddress>

  init(_ topology: Topology) {
    inside = Set(
      topology.nodes.flatMap(\.addresses) + topology.links.flatMap { $0.addresses.values })
    for stream in topology.streams {
      for case .host(let sink) in stream.to {
        // A path to a sink outside ends at the last node that the file names.
        note(sink.address, at: stream.via.last ?? stream.from.node)
      }
      for prefix in stream.sources {
        if let address = member(of: prefix) { note(address, at: stream.from.node) }
      }
    }
  }

  private mutating func note(_ address: IPAddress, at node: String) {
    guard !inside.contains(address), !address.isLoopback, !address.isUnspecified else { return }
    let place =
      peers.firstIndex { $0.node == node }
      ?? {
        peers.append(Peer(node: node))
        return peers.count - 1
      }()
    if address.isMulticast {
      if !peers[place].groups.contains(address) { peers[place].groups.append(address) }
    } else if !peers[place].addresses.contains(address) {
      peers[place].addresses.append(address)
    }
  }

  /// The address that stands for a prefix: itself where it is one address, else the first host address that no
  /// node has. nil where every candidate is a node's. For the prefix of all addresses, one from the ranges kept
  /// for documentation (RFC 5737, RFC 3849).
  private func member(of prefix: AddressPrefix) -> IPAddress? {
    let bits = prefix.address.family == .ipv4 ? 32 : 128
    if prefix.length == bits { return prefix.address }
    if prefix.length == 0 {
      return prefix.address.family == .ipv4 ? IPAddress("192.0.2.1") : IPAddress("2001:db8::1")
    }
    let hosts = bits - prefix.length >= 16 ? UInt64(65_534) : (UInt64(1) << UInt64(bits - prefix.length)) - 1
    for offset in 1...max(1, hosts) {
      let candidate = IPAddress(high: prefix.address.high, low: prefix.address.low | offset)
      if !inside.contains(candidate) { return candidate }
    }
    return nil
  }
}
