import CStreamRouter
import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// A relay of protocol tcp that runs in engine process: its memory and its listening sockets, as the engine's actor
/// holds them.
///
/// Unchecked: the actor hands the pointers to the thread of TCP and takes them back by commands of the mailbox, whose
/// replies order the accesses; in between only that thread looks behind them.
struct SplitRunning: @unchecked Sendable {
  var relay: Relay
  let memory: UnsafeMutablePointer<SplitRelay>
  /// In the order of ``Topology/Relay/listeners``.
  var listening: [Listening] = []

  struct Listening {
    var listener: Relay.Listener
    var socket: UnsafeMutablePointer<SplitListener>
  }

  var listeners: SplitListeners { SplitListeners(all: listening.map(\.socket)) }

  /// Allocates, and opens the sockets; nothing is left where one cannot be opened.
  init(_ relay: Relay, backlog: Int32) throws(EngineError) {
    self.relay = relay
    memory = .allocate(capacity: 1)
    let variations = UnsafeMutablePointer<sr_variations>.allocate(capacity: 1)
    variations.initialize(to: sr_variations())
    memory.initialize(
      to: SplitRelay(settings: SplitSettings(relay), account: ProcessAccount(), variations: variations))
    do throws(EngineError) {
      for listener in relay.listeners { listening.append(try open(listener, backlog: backlog)) }
    } catch {
      release()
      throw error
    }
  }

  func open(_ listener: Relay.Listener, backlog: Int32) throws(EngineError) -> Listening {
    var address = sr_udp_address(listener.endpoint)
    var step: UnsafePointer<CChar>?
    let descriptor = sr_tcp_listen(&address, backlog, &step)
    guard descriptor >= 0 else {
      let name = step.map { String(cString: $0) } ?? "socket"
      throw .failed(
        engine: .process, operation: name == "bind" || name == "listen" ? "listening on" : "\(name) for",
        subject: "\(listener.endpoint)", errno: -descriptor,
        detail: ProcessUDPSocket.advice(errno: -descriptor, listener.endpoint, isTCP: true))
    }
    let socket = UnsafeMutablePointer<SplitListener>.allocate(capacity: 1)
    socket.initialize(to: SplitListener(descriptor: descriptor, relay: memory))
    return Listening(listener: listener, socket: socket)
  }

  /// Closes and frees everything. Neither a socket nor a connection of it is served any more.
  func release() {
    listeners.close()
    memory.pointee.settings.deallocate()
    memory.pointee.account.deallocate()
    memory.pointee.variations.deallocate()
    memory.deallocate()
  }
}

/// Listening sockets on their way between the actor and the thread. Unchecked for the reason of ``SplitRunning``.
struct SplitListeners: @unchecked Sendable {
  var all: [UnsafeMutablePointer<SplitListener>] = []

  /// Closes them and frees their memory.
  func close() {
    for listener in all {
      Glibc.close(listener.pointee.descriptor)
      listener.deallocate()
    }
  }

  func without(_ others: SplitListeners) -> SplitListeners {
    SplitListeners(all: all.filter { !others.all.contains($0) })
  }
}

/// New settings for a relay on their way to the thread, and the old ones on their way back. Unchecked for the reason of
/// ``SplitRunning``.
struct SplitExchange: @unchecked Sendable {
  let memory: UnsafeMutablePointer<SplitRelay>
  let settings: SplitSettings

  /// On the thread. Returns what is no longer used.
  func carryOut() -> SplitExchange {
    let outdated = SplitExchange(memory: memory, settings: memory.pointee.settings)
    memory.pointee.settings = settings
    return outdated
  }
}

/// A copy of one relay's account.
struct SplitReading: Sendable {
  let counters: sr_counters
  let variations: sr_variations
  let open: Int

  /// On the thread.
  init(_ running: SplitRunning) {
    counters = running.memory.pointee.account.copy
    variations = running.memory.pointee.variations.pointee
    open = running.memory.pointee.open
  }

  func snapshot(of relay: Relay) -> RelaySnapshot {
    var flow = sr_flow()
    flow.variations = variations
    return RelaySnapshot(relay: relay, engine: .process, counters: counters, flow: flow, open: UInt64(open))
  }
}
