import CStreamRouter
import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// The memory and the sockets of one relay, as the engine's actor holds them.
///
/// Unchecked: the actor hands the pointers to the engine's thread and takes them back by commands of the mailbox, whose
/// replies order the accesses; in between only that thread looks behind them.
struct ProcessRelayMemory: @unchecked Sendable {
  let relay: UnsafeMutablePointer<ProcessRelay>
  /// In the order of ``Topology/Relay/listeners``.
  var listening: [Listening] = []

  struct Listening {
    var listener: Relay.Listener
    var socket: UnsafeMutablePointer<ProcessSocket>
  }

  var sockets: ProcessSockets { ProcessSockets(all: listening.map(\.socket)) }

  /// Allocates, and opens the sockets; nothing is left where one cannot be opened.
  init(_ relay: Relay) throws(EngineError) {
    let memory = UnsafeMutablePointer<ProcessRelay>.allocate(capacity: 1)
    let flow = UnsafeMutablePointer<ProcessFlow>.allocate(capacity: 1)
    flow.initialize(to: ProcessFlow())
    let variations = UnsafeMutablePointer<sr_variations>.allocate(capacity: 1)
    variations.initialize(to: sr_variations())
    memory.initialize(
      to: ProcessRelay(
        settings: ProcessRelaySettings(relay), account: ProcessAccount(), flow: flow, variations: variations,
        reports: Self.makeReports()))
    self.relay = memory
    do throws(EngineError) {
      for listener in relay.listeners { listening.append(try Self.open(listener, of: relay, memory)) }
    } catch {
      release()
      throw error
    }
  }

  static func open(
    _ listener: Relay.Listener, of relay: Relay, _ memory: UnsafeMutablePointer<ProcessRelay>
  ) throws(EngineError) -> Listening {
    let descriptor = try ProcessUDPSocket.open(listener.endpoint, dscp: relay.socketDSCP)
    let socket = UnsafeMutablePointer<ProcessSocket>.allocate(capacity: 1)
    socket.initialize(
      to: ProcessSocket(descriptor: descriptor, isCompanion: listener.isCompanion, relay: memory))
    return Listening(listener: listener, socket: socket)
  }

  /// Closes and frees everything. The sockets are no longer watched.
  func release() {
    sockets.close()
    Self.deallocate(relay)
  }

  private static func deallocate(_ memory: UnsafeMutablePointer<ProcessRelay>) {
    memory.pointee.settings.deallocate()
    memory.pointee.account.deallocate()
    memory.pointee.flow.deallocate()
    memory.pointee.variations.deallocate()
    memory.pointee.reports.deallocate()
    memory.deallocate()
  }

  /// Zeroed, and not by way of the stack.
  private static func makeReports() -> UnsafeMutablePointer<sr_reports> {
    let memory = UnsafeMutablePointer<sr_reports>.allocate(capacity: 1)
    memset(memory, 0, MemoryLayout<sr_reports>.size)
    return memory
  }
}

/// Sockets on their way between the actor and the engine's thread. Unchecked for the reason of
/// ``ProcessRelayMemory``.
struct ProcessSockets: @unchecked Sendable {
  var all: [UnsafeMutablePointer<ProcessSocket>] = []

  /// Closes them and frees their memory.
  func close() {
    for socket in all {
      Glibc.close(socket.pointee.descriptor)
      socket.deallocate()
    }
  }

  /// On the engine's thread where they are watched. Returns 0 or an errno.
  func setDSCP(_ dscp: UInt8?, _ endpoint: Endpoint) -> Int32 {
    for socket in all {
      let result = ProcessUDPSocket.setDSCP(dscp, on: socket.pointee.descriptor, endpoint)
      if result != 0 { return result }
    }
    return 0
  }

  func without(_ others: ProcessSockets) -> ProcessSockets {
    ProcessSockets(all: all.filter { !others.all.contains($0) })
  }
}

/// New settings for a relay on their way to the engine's thread, and the old ones on their way back. Unchecked for
/// the reason of ``ProcessRelayMemory``.
struct ProcessExchange: @unchecked Sendable {
  let relay: UnsafeMutablePointer<ProcessRelay>
  let settings: ProcessRelaySettings
  /// Whether sequence and jitter state begin anew: where the protocol changes.
  let restartsFlow: Bool

  /// On the engine's thread. Returns what is no longer used.
  func carryOut() -> ProcessExchange {
    let outdated = ProcessExchange(relay: relay, settings: relay.pointee.settings, restartsFlow: false)
    relay.pointee.settings = settings
    if restartsFlow {
      relay.pointee.flow.pointee = ProcessFlow()
      relay.pointee.variations.pointee = sr_variations()
    }
    return outdated
  }
}

extension Relay {
  /// The code point of the relay's sockets. Extensions may change it, so that each datagram then names its own.
  var socketDSCP: UInt8? { extensions.isEmpty ? dscp : nil }
}

/// A copy of one relay's account.
struct ProcessReading: Sendable {
  let counters: sr_counters
  let jitterSeconds: Double
  let jitterMaxSeconds: Double
  let ssrc: UInt32?
  let variations: sr_variations
  /// Hz, by SSRC.
  private(set) var clockRates: [UInt32: UInt32] = [:]

  /// On the engine's thread.
  init(_ memory: ProcessRelayMemory) {
    // A queue that overflowed tells it with the next packet, which may not have come.
    for socket in memory.sockets.all {
      socket.pointee.countQueueDrops(sr_udp_queue_drops(socket.pointee.descriptor))
    }
    let relay = memory.relay
    counters = relay.pointee.account.copy
    let jitter = relay.pointee.jitter
    (jitterSeconds, jitterMaxSeconds) = (jitter.seconds, jitter.maxSeconds)
    ssrc = relay.pointee.ssrc
    variations = relay.pointee.variations.pointee
    relay.pointee.noteClockRates(&clockRates)
  }

  init(
    counters: sr_counters, jitterSeconds: Double, jitterMaxSeconds: Double, ssrc: UInt32?,
    variations: sr_variations, clockRates: [UInt32: UInt32]
  ) {
    self.clockRates = clockRates
    self.counters = counters
    self.jitterSeconds = jitterSeconds
    self.jitterMaxSeconds = jitterMaxSeconds
    self.ssrc = ssrc
    self.variations = variations
  }

  func snapshot(of relay: Relay) -> RelaySnapshot {
    RelaySnapshot(
      stream: relay.stream, hop: relay.hop, transport: relay.transport, ingress: relay.ingress,
      sinks: relay.sinks, engine: .process, engineReason: nil, counters: counters.named,
      jitterSeconds: jitterSeconds, jitterMaxSeconds: jitterMaxSeconds, ssrc: ssrc,
      residence: counters.histogram, ipdv: variations.ipdv.histogram, pdv: variations.pdv.histogram,
      lastSeenNs: counters.last_seen_ns)
  }
}
