import CStreamRouter
import Foundation
import Topology

/// A relay as entries of the datapath's table, one for each ``Topology/Relay/listeners``: an RTP relay listens for RTCP on
/// the next higher port. All share an index and so one account.
struct RelayEntry {
  let key: sr_relay_key
  let value: sr_relay

  /// - Parameters:
  ///   - extensions: Where the relay's extensions stand, in the order of the chain.
  ///   - isLocal: Whether a destination is an address of this node.
  static func entries(
    for relay: Relay, index: UInt32, extensions: [sr_extension_use] = [], isLocal: (IPAddress) -> Bool
  ) -> [RelayEntry] {
    relay.listeners.map { RelayEntry(relay, index: index, $0, extensions, isLocal: isLocal) }
  }

  private init(
    _ relay: Relay, index: UInt32, _ listener: Relay.Listener, _ extensions: [sr_extension_use],
    isLocal: (IPAddress) -> Bool
  ) {
    let portOffset: UInt16 = listener.isCompanion ? 1 : 0
    precondition(
      extensions.count <= Int(SR_MAX_EXTENSIONS.rawValue), "Topology lets no more extensions through")
    precondition(relay.sources.count <= Int(SR_MAX_SOURCES.rawValue), "Topology lets no more sources through")
    precondition(relay.sinks.count <= Int(SR_MAX_SINKS.rawValue), "Topology lets no more sinks through")
    key = sr_relay_key(endpoint: listener.endpoint, isTCP: relay.transport == .tcp)

    var value = sr_relay()
    value.index = index
    let carried =
      switch relay.transport {
      case .udp: SR_PROTOCOL_UDP
      case .rtp: listener.isCompanion ? SR_PROTOCOL_RTCP : SR_PROTOCOL_RTP
      case .tcp: SR_PROTOCOL_TCP
      }
    value.protocol = UInt8(carried.rawValue)
    value.source_count = UInt8(relay.sources.count)
    value.sink_count = UInt8(relay.sinks.count)
    value.dscp = relay.dscp ?? UInt8(SR_DSCP_KEEP)
    value.clock_rate = relay.clockRate ?? 0
    value.hop = UInt32(relay.hop)
    value.generation = .random(in: 1...UInt32.max)
    value.extension_count = UInt32(extensions.count)
    withUnsafeMutableBytes(of: &value.extensions) { bytes in
      for (place, use) in extensions.enumerated() { bytes.bindMemory(to: sr_extension_use.self)[place] = use }
    }
    withUnsafeMutableBytes(of: &value.sources) { bytes in
      let prefixes = bytes.bindMemory(to: sr_prefix.self)
      for (place, source) in relay.sources.enumerated() {
        prefixes[place] = sr_prefix(address: source.address.words, mask: source.mask.words)
      }
    }
    // The packet itself goes to the last sink; up the stack it can only go itself.
    let sinks = relay.sinks.map { (sink: $0, local: $0.kind == .local || isLocal($0.destination.address)) }
    withUnsafeMutableBytes(of: &value.sinks) { bytes in
      let slots = bytes.bindMemory(to: sr_sink.self)
      for (place, entry) in (sinks.filter { !$0.local } + sinks.filter { $0.local }).enumerated() {
        var slot = sr_sink()
        slot.destination = entry.sink.destination.address.words
        slot.source = entry.sink.source.address.words
        slot.destination_port = (entry.sink.destination.port &+ portOffset).bigEndian
        slot.source_port = (entry.sink.source.port &+ portOffset).bigEndian
        slot.flags = entry.local ? UInt8(SR_SINK_LOCAL.rawValue) : 0
        slots[place] = slot
      }
    }
    withUnsafeMutableBytes(of: &value.stream) { bytes in
      bytes.copyBytes(from: Array(relay.stream.utf8.prefix(bytes.count - 1)))
    }
    self.value = value
  }
}

extension sr_relay {
  /// The extensions of the entry, in the order of the chain.
  var uses: [SandboxExtensions.Use] {
    withUnsafeBytes(of: extensions) { bytes in
      bytes.bindMemory(to: sr_extension_use.self).prefix(Int(extension_count)).map {
        SandboxExtensions.Use(slot: $0.slot, instance: $0.instance)
      }
    }
  }

  /// The stream that the entry was made for.
  var streamName: String {
    withUnsafeBytes(of: stream) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}

extension sr_relay_key {
  init(endpoint: Endpoint, isTCP: Bool = false) {
    self.init(
      address: endpoint.address.words, port: endpoint.port.bigEndian,
      protocol: UInt8(isTCP ? IPPROTO_TCP : IPPROTO_UDP), zero: 0)
  }

  var isTCP: Bool { `protocol` == UInt8(IPPROTO_TCP) }

  var endpoint: Endpoint { Endpoint(address: IPAddress(words: address), port: UInt16(bigEndian: port)) }
}

extension sr_relay_key: @retroactive Equatable {
  public static func == (a: Self, b: Self) -> Bool {
    a.address == b.address && a.port == b.port && a.protocol == b.protocol
  }
}
