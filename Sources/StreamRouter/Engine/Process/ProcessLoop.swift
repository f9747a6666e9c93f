import CStreamRouter
import JitterStats

#if canImport(Glibc)
  import Glibc
#endif

/// The datapath of engine process: waits for its sockets, takes batches, classifies, accounts, and hands them to the
/// ``Outbox``.
///
/// A value that lives on the stack of the engine's thread. Nothing on the way of a packet is allocated, counted by
/// reference, locked or checked for exclusive access: all state stands behind plain pointers.
struct ProcessLoop {
  private let mailbox: ProcessMailbox<ProcessLoop>
  private let receiver: OpaquePointer
  private let received: UnsafeMutablePointer<sr_received>
  private let ready: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  private var outbox = Outbox()

  private static let batch = Int(SR_RECEIVE_BATCH.rawValue)

  init(mailbox: ProcessMailbox<ProcessLoop>) {
    self.mailbox = mailbox
    guard let receiver = sr_receiver_make() else {
      fatalError("Out of memory for the receive buffers of engine process.")
    }
    self.receiver = receiver
    received = .allocate(capacity: Self.batch)
    received.initialize(repeating: sr_received(), count: Self.batch)
    ready = .allocate(capacity: Self.batch)
    ready.initialize(repeating: nil, count: Self.batch)
  }

  func deallocate() {
    outbox.deallocate()
    sr_receiver_free(receiver)
    received.deallocate()
    ready.deallocate()
  }

  var coalesced: ProcessCoalescing { outbox.coalesced }

  /// Serves sockets and commands until the mailbox is closed.
  mutating func run() {
    while !mailbox.isClosed {
      let count = mailbox.wait(ready, capacity: Self.batch)
      // One batch a socket and round, so that no relay waits for more than that of each other one. Commands come
      // last: what they take away is not served any more in this round.
      for place in 0..<count {
        if let context = ready[place] {
          _ = serve(context.assumingMemoryBound(to: ProcessSocket.self))
        } else {
          for command in mailbox.take() { command(&self) }
        }
      }
    }
  }

  /// Serves these sockets from now on. Returns 0, or an errno and serves none of them.
  func watch(_ sockets: ProcessSockets) -> Int32 {
    for (place, socket) in sockets.all.enumerated() {
      let result = mailbox.add(socket)
      if result != 0 {
        for former in sockets.all[..<place] { mailbox.remove(former) }
        return result
      }
    }
    return 0
  }

  /// Relays what waits in these sockets' queues at this moment and serves them no longer.
  mutating func retire(_ sockets: ProcessSockets) {
    for socket in sockets.all {
      drain(socket)
      mailbox.remove(socket)
    }
  }

  /// Serves these sockets no longer and leaves what waits in their queues.
  func leave(_ sockets: ProcessSockets) {
    for socket in sockets.all { mailbox.remove(socket) }
  }

  /// In a worker: serves until the mailbox is woken. Nothing but sockets and the wake signal is looked at.
  mutating func serveUntilWoken() {
    while true {
      let count = mailbox.wait(ready, capacity: Self.batch)
      for place in 0..<count {
        guard let context = ready[place] else { return }
        _ = serve(context.assumingMemoryBound(to: ProcessSocket.self))
      }
    }
  }

  /// Relays what waits in the socket's queue at this moment.
  mutating func drain(_ socket: UnsafeMutablePointer<ProcessSocket>) {
    // As much as the queue holds and no more, lest a sender that does not pause keeps this going. The kernel
    // allows twice the size that was asked for.
    var rest = 2 * ProcessUDPSocket.bufferBytes
    while rest > 0 {
      let taken = serve(socket)
      if taken == 0 { break }
      rest -= taken
    }
  }

  /// Relays one batch. Returns the bytes that it held with the space of their headers, or 0.
  private mutating func serve(_ socket: UnsafeMutablePointer<ProcessSocket>) -> Int {
    // An error is an ICMP answer to something sent earlier, or that nothing is there.
    let count = Int(sr_receive(receiver, socket.pointee.descriptor, received))
    guard count > 0 else { return 0 }
    socket.pointee.relay.pointee.chain?.took(UnsafeBufferPointer(start: received, count: count))
    var taken = 0
    for place in 0..<count {
      accept(received + place, socket)
      taken += Int(received[place].length) + 256
    }
    flush(socket)
    if let chain = socket.pointee.relay.pointee.chain { chain.publish(socket.pointee.relay) }
    return taken
  }

  private mutating func flush(_ socket: UnsafeMutablePointer<ProcessSocket>) {
    let relay = socket.pointee.relay
    relay.pointee.chain?.settled(outbox.count)
    outbox.send(
      from: socket.pointee.descriptor, to: relay.pointee.settings.sinks, companion: socket.pointee.isCompanion,
      isV4: relay.pointee.settings.isV4, account: relay.pointee.account)
  }

  /// One message: a datagram or a train of them.
  private mutating func accept(
    _ message: UnsafeMutablePointer<sr_received>, _ socket: UnsafeMutablePointer<ProcessSocket>
  ) {
    let relay = socket.pointee.relay
    let account = relay.pointee.account
    socket.pointee.countQueueDrops(message.pointee.queue_drops)
    let length = Int(message.pointee.length)
    let segment = Int(message.pointee.segment)
    let datagrams = message.pointee.datagrams
    let chain = relay.pointee.chain
    chain?.looksAt(message)
    guard relay.pointee.settings.allows(message.pointee.source) else {
      account.add(SR_DROP_SOURCE, datagrams)
      chain?.settled(datagrams)
      return
    }
    // The first packets of a socket may come without a timestamp, until the kernel has switched them on.
    let arrivalNs = message.pointee.arrival_ns > 0 ? message.pointee.arrival_ns : realtimeNs()
    account.arrived(datagrams: datagrams, bytes: length, arrivalNs: arrivalNs)
    guard message.pointee.truncated == 0 else {
      account.add(SR_DROP_MALFORMED, datagrams)
      chain?.settled(datagrams)
      return
    }
    let dscp = relay.pointee.settings.keepsDSCP ? message.pointee.dscp : 0
    var offset = 0
    repeat {
      let start = message.pointee.bytes! + offset
      let size = min(segment, length - offset)
      if !admits(UnsafeRawBufferPointer(start: start, count: size), socket, arrivalNs) {
        chain?.settled(1)
      } else if let chain {
        let outcome = chain.run(start, size, message, arrivalNs, companion: socket.pointee.isCompanion)
        if outcome.cause > 0 {
          account.add(sr_counter(outcome.cause))
          chain.settled(1)
        } else {
          if outbox.mustSend(before: outcome.sinks) { flush(socket) }
          outbox.append(start, length: size, arrivalNs: arrivalNs, dscp: outcome.dscp, sinks: outcome.sinks)
        }
      } else {
        if outbox.isFull { flush(socket) }
        outbox.append(start, length: size, arrivalNs: arrivalNs, dscp: dscp)
      }
      offset += size
    } while offset < length
  }

  /// Classifies and measures one datagram; false: it is dropped, and counted by its cause.
  private func admits(
    _ payload: UnsafeRawBufferPointer, _ socket: UnsafeMutablePointer<ProcessSocket>, _ arrivalNs: UInt64
  ) -> Bool {
    let relay = socket.pointee.relay
    let account = relay.pointee.account
    guard relay.pointee.settings.isRTP else {
      relay.pointee.flow.pointee.interarrival.receive(arrivalNs: arrivalNs)
      if let change = relay.pointee.flow.pointee.interarrival.changeNs {
        sr_variation_add(&relay.pointee.variations.pointee.ipdv, change, arrivalNs)
      }
      return true
    }
    let packet =
      socket.pointee.isCompanion ? MediaPacket(rtcpPort: payload.bytes) : MediaPacket(rtpPort: payload.bytes)
    switch packet {
    case .rtp(let header):
      account.add(SR_RTP_PACKETS)
      measure(header, relay, arrivalNs)
    case .rtcp:
      account.add(SR_RTCP_PACKETS)
      sr_report_keep(
        relay.pointee.reports, payload.baseAddress, UInt32(truncatingIfNeeded: payload.count), arrivalNs)
    case .malformed:
      account.add(SR_DROP_MALFORMED)
      return false
    case .other:
      account.add(SR_DROP_NOT_RTP)
      return false
    }
    return true
  }

  private func measure(
    _ header: RTPHeader, _ relay: UnsafeMutablePointer<ProcessRelay>, _ arrivalNs: UInt64
  ) {
    let account = relay.pointee.account
    let ofStream = relay.pointee.settings.clockRate
    let clockRate = ofStream > 0 ? ofStream : PayloadClock.rate(payloadType: header.payloadType)
    let outcome = relay.pointee.flow.pointee.media.receive(header, arrivalNs: arrivalNs, clockRate: clockRate)
    switch outcome.arrival {
    case .gap(let missing): account.add(SR_RTP_MISSING, Int(missing))
    case .late: account.add(SR_RTP_LATE)
    case .duplicate: account.add(SR_RTP_DUPLICATES)
    case .first, .inOrder, .suspect, .restart: break
    }
    if outcome.isRestart { account.add(SR_RTP_RESTARTS) }
    if let variation = relay.pointee.flow.pointee.media.current?.variation {
      sr_variation_add(&relay.pointee.variations.pointee.ipdv, variation.fromLastNs, arrivalNs)
      sr_variation_add(&relay.pointee.variations.pointee.pdv, variation.fromQuickestNs, arrivalNs)
    }
  }
}

extension sr_received {
  /// How many the message holds.
  var datagrams: Int { segment > 0 ? (Int(length) + Int(segment) - 1) / Int(segment) : 1 }
}
