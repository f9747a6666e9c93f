import CStreamRouter
import Topology

/// Relays of protocol tcp, in split mode: a thread of their own serves them, from the first one on.
extension ProcessEngine {
  func addSplit(_ relay: Relay) throws {
    let thread = try splitThread ?? SplitThread(scheduling: scheduling, cpu: cpu, limits: splitLimits)
    splitThread = thread
    let running = try SplitRunning(relay, backlog: thread.limits.backlog)
    let listeners = running.listeners
    let result = thread.mailbox.run { loop in loop.watch(listeners) }
    if result != 0 {
      running.release()
      throw cannotServe(relay, errno: result)
    }
    splits[relay.stream] = running
  }

  /// A listening socket whose address stays is kept. Open connections go on with their sink, unless their source is not
  /// allowed any more; new ones go to the new sink.
  func replaceSplit(_ former: SplitRunning, with new: Relay) throws {
    precondition(
      new.transport == .tcp, "The reconciler ends a relay whose protocol is another and begins the next.")
    guard let thread = splitThread else { preconditionFailure("A relay of TCP runs on its thread.") }
    var next = former
    next.relay = new
    next.listening = []
    var opened = SplitListeners()
    do {
      for listener in new.listeners {
        if let same = former.listening.first(where: { $0.listener == listener }) {
          next.listening.append(same)
        } else {
          let listening = try former.open(listener, backlog: thread.limits.backlog)
          next.listening.append(listening)
          opened.all.append(listening.socket)
        }
      }
      let (added, retired) = (opened, former.listeners.without(next.listeners))
      let exchange = SplitExchange(memory: next.memory, settings: SplitSettings(new))
      let (result, outdated) = thread.mailbox.run { loop in
        let result = loop.watch(added)
        if result != 0 { return (result, exchange) }
        // What still waits there to be accepted came to the relay as it was.
        loop.retire(retired)
        let outdated = exchange.carryOut()
        loop.resetConnections(of: exchange.memory, all: false)
        return (0, outdated)
      }
      outdated.settings.deallocate()
      if result != 0 { throw cannotServe(new, errno: result) }
      retired.close()
    } catch {
      opened.close()
      throw error
    }
    splits[former.relay.stream] = nil
    splits[new.stream] = next
  }

  /// Connections that are open are reset.
  func removeSplit(_ former: SplitRunning) {
    splits[former.relay.stream] = nil
    splitThread?.mailbox.run { loop in
      loop.leave(former.listeners)
      loop.resetConnections(of: former.memory, all: true)
    }
    former.release()
  }

  func splitSnapshots() -> [RelaySnapshot] {
    guard let thread = splitThread, !splits.isEmpty else { return [] }
    var place: Int? = 0
    while let next = place {
      place = thread.mailbox.run { loop in loop.countConnections(from: next) }
    }
    let entries = Array(splits.values)
    var snapshots: [RelaySnapshot] = []
    for start in stride(from: 0, to: entries.count, by: 64) {
      let some = entries[start..<min(start + 64, entries.count)]
      let readings = thread.mailbox.run { _ in some.map { SplitReading($0) } }
      for (entry, reading) in zip(some, readings) { snapshots.append(reading.snapshot(of: entry.relay)) }
    }
    return snapshots
  }

  func stopSplit() {
    splitThread?.stop()
    splitThread = nil
    for running in splits.values { running.release() }
    splits = [:]
  }
}
