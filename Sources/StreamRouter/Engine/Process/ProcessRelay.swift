import CStreamRouter
import JitterStats
import Topology

/// What the engine's thread knows of one relay: where its packets may come from, where they go, and their account.
///
/// Lives in memory that does not move, from `add` to `remove`, and belongs to the engine's thread while one of its
/// sockets is watched.
struct ProcessRelay {
  var settings: ProcessRelaySettings
  let account: ProcessAccount
  let flow: UnsafeMutablePointer<ProcessFlow>
  let variations: UnsafeMutablePointer<sr_variations>
  /// The RTCP that came last, for the actor to read.
  let reports: UnsafeMutablePointer<sr_reports>
  /// In a worker: the extensions. The engine's own thread runs none.
  var chain: ProcessChain?

  /// The jitter estimate of the source seen last.
  var jitter: JitterFilter {
    settings.isRTP
      ? flow.pointee.media.current?.jitter ?? JitterFilter() : flow.pointee.interarrival.jitter
  }

  /// The clock rates of the SSRCs whose packets came, in Hz.
  func noteClockRates(_ rates: inout [UInt32: UInt32]) {
    if settings.isRTP { flow.pointee.media.noteClockRates(&rates) }
  }

  /// The SSRC seen last.
  var ssrc: UInt32? { settings.isRTP ? flow.pointee.media.current?.ssrc : nil }
}

/// Sequence and jitter state of one relay.
struct ProcessFlow {
  /// Protocol rtp.
  var media = FlowAccount()
  /// Protocol udp.
  var interarrival = InterarrivalAccount()
}

/// One socket of a relay. Its address is the context under which epoll reports it.
struct ProcessSocket {
  let descriptor: Int32
  /// Whether it is the socket on the next higher port, for RTCP (RFC 3550 section 11).
  let isCompanion: Bool
  let relay: UnsafeMutablePointer<ProcessRelay>
  /// In a worker: its place among the relay's ``Topology/Relay/listeners``.
  private let place: Int
  /// The latest count of datagrams that the receive queue refused (SO_RXQ_OVFL).
  private(set) var queueDrops: UInt32 = 0

  init(descriptor: Int32, isCompanion: Bool, relay: UnsafeMutablePointer<ProcessRelay>, place: Int = 0) {
    self.descriptor = descriptor
    self.place = place
    self.isCompanion = isCompanion
    self.relay = relay
  }

  /// Takes in how many datagrams the queue has refused since the socket was opened. A message tells the number at
  /// its arrival, so that an older one may come after a newer.
  mutating func countQueueDrops(_ total: UInt32) {
    let more = Int32(bitPattern: total &- queueDrops)
    guard more > 0 else { return }
    relay.pointee.account.add(SR_DROP_QUEUE, Int(more))
    queueDrops = total
    relay.pointee.chain?.counted(queueDrops: total, at: place)
  }

  /// Takes over how many another one has counted.
  mutating func resume(queueDrops counted: UInt32) { queueDrops = counted }
}

/// The part of a relay that `replace` exchanges at once: a ``Relay`` in the form that costs nothing for each packet.
struct ProcessRelaySettings {
  let isRTP: Bool
  let isV4: Bool
  /// Whether packets leave with the code point that they came with; otherwise the sockets give them theirs.
  let keepsDSCP: Bool
  /// Hz; 0: by payload type.
  let clockRate: UInt32
  let sources: UnsafeMutableBufferPointer<sr_prefix>
  let sinks: UnsafeMutableBufferPointer<ProcessSink>

  /// Allocates until ``deallocate()``.
  init(_ relay: Relay) {
    isRTP = relay.transport == .rtp
    isV4 = relay.ingress.address.family == .ipv4
    keepsDSCP = relay.dscp == nil
    clockRate = relay.clockRate ?? 0
    sources = .allocate(capacity: relay.sources.count)
    _ = sources.initialize(
      fromContentsOf: relay.sources.map { sr_prefix(address: $0.address.words, mask: $0.mask.words) })
    sinks = .allocate(capacity: relay.sinks.count)
    _ = sinks.initialize(
      fromContentsOf: relay.sinks.map { ProcessSink($0, socketAddress: relay.ingress.address) })
  }

  func deallocate() {
    for sink in sinks { sink.addresses.deallocate() }
    sinks.deallocate()
    sources.deallocate()
  }

  /// Whether packets of this source address (network order, IPv4-mapped) are let in.
  func allows(_ source: (UInt32, UInt32, UInt32, UInt32)) -> Bool {
    for prefix in sources {
      let difference =
        ((source.0 & prefix.mask.0) ^ prefix.address.0) | ((source.1 & prefix.mask.1) ^ prefix.address.1)
        | ((source.2 & prefix.mask.2) ^ prefix.address.2) | ((source.3 & prefix.mask.3) ^ prefix.address.3)
      if difference == 0 { return true }
    }
    return false
  }
}

/// One egress of a relay.
struct ProcessSink {
  /// Destination, destination of RTCP (the next higher port), source.
  fileprivate let addresses: UnsafeMutablePointer<sr_udp_address>
  /// Whether packets leave from another address of the node than the one the socket is bound to.
  private let hasOwnSource: Bool
  /// Whether the kernel and the way to this sink take trains (UDP_SEGMENT). Starts as true, ends where one fails.
  var takesTrains = true

  fileprivate init(_ sink: RelaySink, socketAddress: IPAddress) {
    addresses = .allocate(capacity: 3)
    let places = [
      sink.destination,
      Endpoint(address: sink.destination.address, port: sink.destination.port &+ 1),
      sink.source,
    ]
    for (place, endpoint) in places.enumerated() {
      (addresses + place).initialize(to: sr_udp_address(endpoint))
    }
    hasOwnSource = sink.source.address != socketAddress
  }

  func destination(companion: Bool) -> UnsafePointer<sr_udp_address> {
    UnsafePointer(addresses + (companion ? 1 : 0))
  }

  /// nil: the socket's own address.
  var source: UnsafePointer<sr_udp_address>? { hasOwnSource ? UnsafePointer(addresses + 2) : nil }
}

extension sr_udp_address {
  init(_ endpoint: Endpoint) { self.init(address: endpoint.address.words, port: endpoint.port) }
}
