import CStreamRouter

#if canImport(Glibc)
  import Glibc
#endif

/// TCP in engine process: accepts connections, connects onwards, and lets the kernel move bytes between both.
///
/// A value that lives on the stack of its thread. Nothing on the way of bytes is allocated, counted by reference or
/// locked: all state stands behind plain pointers.
///
/// Sockets are watched edge-triggered. What epoll told of an end is remembered until a call would have had to wait, so
/// a connection whose turn is over goes on in the next round by the queue of ``SplitTable``.
struct SplitLoop {
  let mailbox: SplitMailbox
  let limits: SplitLimits
  var table: SplitTable
  var pipes: PipePool
  /// When the present round began, CLOCK_MONOTONIC and since 1970.
  private(set) var roundNs: UInt64 = 0
  private(set) var roundTimeNs: UInt64 = 0
  private let ready: UnsafeMutablePointer<sr_ready>
  private var sweptNs: UInt64 = 0
  /// Where the sweep goes on.
  private var sweepPlace = 0
  /// A listening socket is left alone, or a connection has no pipe, until the next sweep.
  var isShort = false
  /// Those that are watched.
  private(set) var listeners: [UnsafeMutablePointer<SplitListener>] = []

  init(mailbox: SplitMailbox, limits: SplitLimits) {
    self.mailbox = mailbox
    self.limits = limits
    table = SplitTable(capacity: limits.connections)
    pipes = PipePool(capacity: limits.idlePipes, bytes: limits.pipeBytes)
    ready = .allocate(capacity: SR_READY_BATCH)
    ready.initialize(repeating: sr_ready(), count: SR_READY_BATCH)
  }

  /// Resets what is open.
  mutating func deallocate() {
    for place in 0..<table.used where isAlive(place) { reset(place, SR_TCP_RESET) }
    pipes.deallocate()
    table.deallocate()
    ready.deallocate()
  }

  /// Serves sockets and commands until the mailbox is closed.
  mutating func run() {
    while !mailbox.isClosed {
      let patience = table.hasQueued ? 0 : table.count > 0 || isShort ? limits.sweepMs : -1
      let count = mailbox.wait(ready, milliseconds: patience)
      roundNs = monotonicNs()
      roundTimeNs = realtimeNs()
      var isWoken = false
      for place in 0..<count {
        if ready[place].context == 0 { isWoken = true } else { serve(ready[place]) }
      }
      serveQueue()
      if roundNs &- sweptNs >= UInt64(limits.sweepMs) * 1_000_000 { sweep() }
      // Commands come last: what they take away is not served any more in this round.
      if isWoken { for command in mailbox.take() { command(&self) } }
    }
  }

  func isAlive(_ place: Int) -> Bool {
    let state = table[place].pointee.state
    return state == .connecting || state == .open
  }

  private mutating func serve(_ event: sr_ready) {
    if SplitContext.kind(event.context) == SplitContext.listener {
      if let listener = SplitContext.listener(event.context) { accept(listener) }
      return
    }
    let endPlace = SplitContext.place(event.context)
    let place = endPlace / 2
    // Another connection's end may have closed this one since epoll told of it.
    guard isAlive(place), table[place].pointee.generation == SplitContext.generation(event.context) else {
      return
    }
    let end = table.end(endPlace)
    if event.flags & SR_READY_IN.rawValue != 0 {
      if !end.pointee.isReadable { end.pointee.toldNs = roundNs }
      end.pointee.isReadable = true
    }
    if event.flags & SR_READY_OUT.rawValue != 0 { end.pointee.isWritable = true }
    if event.flags & SR_READY_URGENT.rawValue != 0 { end.pointee.isUrgent = true }
    if table[place].pointee.state == .connecting {
      let isSink = end == table.sink(place)
      if event.flags & SR_READY_ERROR.rawValue != 0 || isSink && end.pointee.isWritable {
        settle(place, isSink: isSink)
      }
    } else if event.flags & SR_READY_ERROR.rawValue != 0 {
      fail(place, at: end)
    } else {
      move(place)
    }
  }

  /// Each of those that wait at this moment gets one turn.
  private mutating func serveQueue() {
    let last = table.lastQueued
    while let place = table.dequeue() {
      switch table[place].pointee.state {
      case .open: move(place)
      case .over: table.give(place)
      case .connecting, .free: break
      }
      if place == last { return }
    }
  }

  // MARK: Sweep

  /// Looks through some of the connections for what lasts too long.
  private mutating func sweep() {
    sweptNs = roundNs
    if isShort {
      isShort = false
      for listener in listeners where listener.pointee.isPaused { mailbox.pause(listener, false) }
      for place in 0..<table.used where table[place].pointee.isStarved && isAlive(place) {
        table[place].pointee.isStarved = false
        table.enqueue(place)
      }
    }
    for _ in 0..<min(limits.sweepCount, table.used) {
      if sweepPlace >= table.used { sweepPlace = 0 }
      look(sweepPlace)
      sweepPlace += 1
    }
  }

  private mutating func look(_ place: Int) {
    guard isAlive(place) else { return }
    let connection = table[place]
    let silentNs = roundNs &- connection.pointee.seenNs
    if connection.pointee.state == .connecting {
      if silentNs > limits.connectNs { refuse(place, SR_TCP_REFUSED) }
      return
    }
    let lifetimeNs = limits.lifetimeNs(
      table.source(place).pointee.hasEnded, table.sink(place).pointee.hasEnded)
    guard silentNs > lifetimeNs else { return }
    // Packet mode sees the peers' keep-alive and so keeps a connection that only waits. Here the hop asks both itself:
    // one that both answer is alive.
    let heardNs = silenceNs(place)
    if heardNs > lifetimeNs {
      reset(place, SR_TCP_EXPIRED)
    } else {
      connection.pointee.seenNs = roundNs &- heardNs
    }
  }

  /// Since the one of both peers that is silent longer was heard of.
  private func silenceNs(_ place: Int) -> UInt64 {
    var longestMs: UInt32 = 0
    for end in 2 * place...2 * place + 1 {
      var state = sr_tcp_state()
      if sr_tcp_state(table.end(end).pointee.descriptor, &state) == 0 {
        longestMs = max(longestMs, state.silent_ms)
      }
    }
    return UInt64(longestMs) * 1_000_000
  }

  // MARK: Commands

  /// Accepts connections at these from now on. Returns 0, or an errno and accepts at none of them.
  mutating func watch(_ added: SplitListeners) -> Int32 {
    for (number, listener) in added.all.enumerated() {
      let result = mailbox.add(listener)
      if result != 0 {
        for former in added.all[..<number] { mailbox.remove(former) }
        return result
      }
    }
    listeners += added.all
    return 0
  }

  /// Accepts what waits at this moment, and no more.
  mutating func retire(_ removed: SplitListeners) {
    for listener in removed.all {
      // The queue holds no more than this; a client that does not pause keeps it going no longer.
      var rest = max(1, Int(limits.backlog) / limits.acceptsPerRound)
      while rest > 0, accept(listener) { rest -= 1 }
    }
    leave(removed)
  }

  /// Accepts at these no longer.
  mutating func leave(_ removed: SplitListeners) {
    for listener in removed.all { mailbox.remove(listener) }
    listeners.removeAll { removed.all.contains($0) }
  }

  /// Resets the connections of a relay, or those of them whose source it does not allow.
  mutating func resetConnections(of relay: UnsafeMutablePointer<SplitRelay>, all: Bool) {
    for place in 0..<table.used where isAlive(place) && table[place].pointee.relay == relay {
      if all || !relay.pointee.settings.allows(table[place].pointee.peer) { reset(place, SR_TCP_RESET) }
    }
  }
}
