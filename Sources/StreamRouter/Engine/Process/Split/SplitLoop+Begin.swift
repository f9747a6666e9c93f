import CStreamRouter

#if canImport(Glibc)
  import Glibc
#endif

/// How connections begin.
///
/// A client's connection is complete before this program hears of it: the kernel answers its SYN by itself, and
/// TCP_DEFER_ACCEPT would only wait for the client's first bytes, which protocols in which the server speaks first never
/// send. So a sink's refusal reaches the client not as an answer to its SYN but as a reset right behind it.
extension SplitLoop {
  /// Accepts what waits, within bounds. Returns whether there may be more.
  @discardableResult
  mutating func accept(_ listener: UnsafeMutablePointer<SplitListener>) -> Bool {
    for _ in 0..<limits.acceptsPerRound {
      var peer = sr_udp_address()
      let descriptor = sr_tcp_accept(listener.pointee.descriptor, &peer)
      if descriptor >= 0 {
        begin(descriptor, peer, listener.pointee.relay)
        continue
      }
      switch -descriptor {
      case EAGAIN: return false
      case EMFILE, ENFILE, ENOBUFS, ENOMEM:
        // Epoll would tell of it again at once, and nothing could be done about it.
        mailbox.pause(listener, true)
        isShort = true
        return false
      default: continue  // This one is gone already (accept(2)).
      }
    }
    return true
  }

  private mutating func begin(
    _ descriptor: Int32, _ peer: sr_udp_address, _ relay: UnsafeMutablePointer<SplitRelay>
  ) {
    let account = relay.pointee.account
    guard relay.pointee.settings.allows(peer) else {
      account.add(SR_DROP_SOURCE)
      sr_tcp_reset(descriptor)
      return
    }
    account.seen(roundTimeNs)
    guard let place = table.take() else {
      account.add(SR_DROP_PORTS)
      sr_tcp_reset(descriptor)
      return
    }
    account.add(SR_TCP_OPENED)
    relay.pointee.open += 1
    let (connection, source, sink) = (table[place], table.source(place), table.sink(place))
    connection.pointee.state = .connecting
    connection.pointee.relay = relay
    connection.pointee.peer = peer
    connection.pointee.seenNs = roundNs
    source.pointee.descriptor = descriptor

    let isV4: Int32 = relay.pointee.settings.isV4 ? 1 : 0
    let dscp = relay.pointee.settings.dscp.map(UInt32.init) ?? sr_tcp_dscp(descriptor, isV4)
    var keepAlive = limits.keepAlive
    sr_tcp_prepare(descriptor, isV4, &keepAlive, dscp)
    let onward = sr_tcp_connect(
      &relay.pointee.settings.destination, &relay.pointee.settings.source, &keepAlive, dscp)
    guard onward >= 0 else {
      refuse(place, -onward == EADDRNOTAVAIL || -onward == EMFILE ? SR_DROP_PORTS : SR_TCP_REFUSED)
      return
    }
    sink.pointee.descriptor = onward
    let generation = connection.pointee.generation
    // Epoll tells at once what is so already, also that the connection has come about.
    if mailbox.add(descriptor, end: 2 * place, generation: generation) != 0
      || mailbox.add(onward, end: 2 * place + 1, generation: generation) != 0
    {
      refuse(place, SR_DROP_PORTS)
    }
  }

  /// The sink answered, or the source gave up before.
  mutating func settle(_ place: Int, isSink: Bool) {
    guard isSink else { return reset(place, SR_TCP_RESET) }
    let error = sr_tcp_connected(table.sink(place).pointee.descriptor)
    // A reset is that of a connection which had come about (RFC 9293 section 3.10.7.3 names the other one refused):
    // the next hop accepts first and hears of the refusal then, which may be before this thread ran.
    guard error == 0 || error == ECONNRESET else { return refuse(place, SR_TCP_REFUSED) }
    let connection = table[place]
    connection.pointee.relay!.pointee.account.add(SR_TCP_ESTABLISHED)
    guard error == 0 else { return reset(place, SR_TCP_RESET) }
    connection.pointee.state = .open
    connection.pointee.seenNs = roundNs
    greet(place)
    move(place)
  }

  /// There is no way on: the source sees a reset.
  mutating func refuse(_ place: Int, _ cause: sr_counter) {
    let connection = table[place]
    connection.pointee.relay!.pointee.account.add(cause)
    end(place) { sr_tcp_reset($0) }
  }
}
