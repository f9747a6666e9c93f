import CStreamRouter
import Topology

/// A relay that runs in engine process.
struct ProcessRunning: Sendable {
  var relay: Relay
  var memory: ProcessRelayMemory
  /// nil: the engine's thread serves it.
  var extended: Extended?

  /// A relay with extensions, which a worker serves.
  struct Extended: Sendable {
    let worker: ProcessWorker
    /// Tells the streams of this engine apart.
    let stream: UInt32
    /// In the order of the chain.
    let extensions: [Identity]
  }

  struct Identity: Hashable, Sendable {
    var name: String
    var content: String
  }

  /// Ends a worker and frees everything. The engine's thread serves the relay no longer.
  func release() {
    extended?.worker.stop(drain: false)
    memory.release()
  }

  /// Goes on with the account of another, which is served no longer. The state of an extension goes on where the same
  /// build of it stands in both; what the code of a former worker kept is never read here.
  func resume(_ former: ProcessRunning) {
    let keepsFlow = former.relay.transport == relay.transport
    guard let extended else {
      guard let shared = former.extended?.worker.memory.shared else { return }
      memory.relay.pointee.account.resume(shared.pointee.counters)
      memory.relay.pointee.reports.update(from: shared.reports, count: 1)
      if keepsFlow { memory.relay.pointee.variations.pointee = shared.pointee.variations }
      for socket in memory.sockets.all {
        if let counted = former.queueDrops(of: socket) { socket.pointee.resume(queueDrops: counted) }
      }
      return
    }
    for (place, socket) in self.memory.sockets.all.enumerated() {
      extended.worker.memory.shared[queueDrops: place] = former.queueDrops(of: socket) ?? 0
    }
    let memory = extended.worker.memory
    if let source = former.extended {
      memory.resume(source.worker.memory, keepsFlow: keepsFlow)
      var rest = Array(source.extensions.enumerated())
      for (place, identity) in extended.extensions.enumerated() {
        guard let found = rest.firstIndex(where: { $0.element == identity }) else { continue }
        memory.resume(place, source.worker.memory, rest.remove(at: found).offset)
      }
    } else {
      memory.resume(former.memory, keepsFlow: keepsFlow)
    }
  }

  /// What its queue had refused, as far as it was counted; nil for a socket that it does not have.
  private func queueDrops(of socket: UnsafeMutablePointer<ProcessSocket>) -> UInt32? {
    guard let place = memory.sockets.all.firstIndex(of: socket) else { return nil }
    return extended.map { $0.worker.memory.shared[queueDrops: place] } ?? socket.pointee.queueDrops
  }
}

/// Relays with extensions.
extension ProcessEngine {
  /// The accounts of a stream's extensions, in the order of its chain; empty where it has none here.
  func extensionAccounts(of stream: String) -> [sr_extension_account] {
    running[stream]?.extended.map { $0.worker.memory.accounts($0.extensions.count) } ?? []
  }

  /// A worker that could serve the relay; nil for one without extensions.
  func extend(
    _ relay: Relay, _ memory: ProcessRelayMemory, former: ProcessRunning?
  ) throws -> ProcessRunning.Extended? {
    guard !relay.extensions.isEmpty else { return nil }
    precondition(
      relay.extensions.count <= Int(SR_MAX_EXTENSIONS.rawValue), "Topology lets no more extensions through.")
    let objects = try relay.extensions.map { try object(for: $0, relay) }
    let stream = former?.extended?.stream ?? nextStream
    if stream == nextStream { nextStream &+= 1 }
    let worker = try ProcessWorker(
      relay, stream: stream, extensions: objects, sockets: memory.sockets, scheduling: scheduling, cpu: cpu,
      program: program, account: former?.extended?.worker.account ?? RelayWorkerSnapshot(), notice: notice)
    return ProcessRunning.Extended(
      worker: worker, stream: stream,
      extensions: objects.map { .init(name: $0.manifest.name, content: $0.content) })
  }

  /// The extension, where it can run here with these settings.
  private func object(for use: RelayExtensionUse, _ relay: Relay) throws -> ExtensionObject {
    let object = try installed(use)
    func refuse(_ detail: String) -> EngineError {
      .failed(
        engine: choice, operation: "starting", subject: "extension \(use.name) of stream \(relay.stream)",
        errno: 0, detail: detail)
    }
    if object.nativeMachine != ExtensionObject.machine {
      throw refuse(
        "its native code is for \(object.nativeMachine), this node is \(ExtensionObject.machine): build it for this node"
      )
    }
    if let flaw = object.manifest.flaws(in: use.settings).first { throw refuse(flaw) }
    try PacketFunctions.demandNative(object.manifest, engine: choice)
    if let flaw = NativeCode.flaw(object.native) { throw refuse("its native code \(flaw)") }
    return object
  }

  /// From one that serves a relay to the next, where either is a worker. Packets wait in the queues of sockets that stay
  /// while the former ends, a millisecond or two; each is relayed by exactly one of both.
  func handOver(
    _ former: ProcessRunning, to next: ProcessRunning, opened: ProcessSockets
  ) throws(EngineError) {
    let sockets = next.memory.sockets
    let kept = sockets.without(opened)
    let retired = former.memory.sockets.without(kept)
    if let extended = former.extended {
      // What waits in a queue that goes away was sent to the relay as it was.
      extended.worker.stop(drain: !retired.all.isEmpty)
    } else {
      thread.mailbox.run { loop in
        loop.retire(retired)
        loop.leave(kept)
      }
    }
    var result = kept.setDSCP(next.relay.socketDSCP, next.relay.ingress)
    if result == 0 {
      next.resume(former)
      if let extended = next.extended {
        extended.worker.go()
      } else {
        let exchange = ProcessExchange(
          relay: next.memory.relay, settings: ProcessRelaySettings(next.relay), restartsFlow: true)
        let outdated: ProcessExchange
        (result, outdated) = thread.mailbox.run { loop in
          let result = loop.watch(sockets)
          return (result, result == 0 ? exchange.carryOut() : exchange)
        }
        outdated.settings.deallocate()
      }
    }
    guard result == 0 else {
      _ = kept.setDSCP(former.relay.socketDSCP, former.relay.ingress)
      let sockets = former.memory.sockets
      if let extended = former.extended {
        extended.worker.startAgain()
      } else {
        _ = thread.mailbox.run { loop in loop.watch(sockets) }
      }
      throw cannotServe(next.relay, errno: result)
    }
    retired.close()
  }
}
