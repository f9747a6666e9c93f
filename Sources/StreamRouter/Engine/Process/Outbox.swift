import CStreamRouter

#if canImport(Glibc)
  import Glibc
#endif

/// The datagrams that one batch brought and that go to every sink, and how they are sent: in trains of equal
/// datagrams that the kernel cuts apart (UDP_SEGMENT), or one by one where the way to a sink takes no trains.
///
/// All memory is taken at the start. Belongs to the engine's thread.
struct Outbox {
  static let allSinks = UInt32.max
  /// Datagrams that one batch may hold: as many as one send call takes one by one.
  static let capacity = Int(SR_SEND_BATCH.rawValue)
  /// How long a full send queue is waited for, once a batch and sink: short, as all other relays wait too.
  private static let sendWaitMs: Int32 = 1

  private let datagrams: UnsafeMutablePointer<iovec>
  private let arrivalsNs: UnsafeMutablePointer<UInt64>
  /// Copies of each datagram that could not be sent.
  private let failures: UnsafeMutablePointer<UInt8>
  private(set) var count = 0
  private var bytes = 0
  /// Bit i: sink i gets what is here.
  private(set) var sinks = Self.allSinks
  private var anyFailed = false

  private let trains: UnsafeMutablePointer<sr_train>
  /// The first datagram of each train, and behind the last train the number of datagrams.
  private let trainStarts: UnsafeMutablePointer<Int>
  private let pieces: UnsafeMutablePointer<iovec>
  private var trainCount = 0
  private var pieceCount = 0
  /// Of the last train: bytes of its first datagram, of all, its code point, and whether one more may join.
  private var trainSegment = 0
  private var trainDSCP: UInt32 = 0
  private var trainBytes = 0
  private var trainIsOpen = false
  private let trainSender: OpaquePointer

  /// Train i of these is datagram i alone.
  private let singles: UnsafeMutablePointer<sr_train>
  private let singleSender: OpaquePointer
  private var singlesAreLoaded = false

  /// Messages that held more than one datagram, and the datagrams in them, all sinks together.
  private(set) var coalesced = ProcessCoalescing()

  init() {
    let capacity = Self.capacity
    datagrams = .allocate(capacity: capacity)
    datagrams.initialize(repeating: iovec(), count: capacity)
    arrivalsNs = .allocate(capacity: capacity)
    arrivalsNs.initialize(repeating: 0, count: capacity)
    failures = .allocate(capacity: capacity)
    failures.initialize(repeating: 0, count: capacity)
    trains = .allocate(capacity: capacity)
    trains.initialize(repeating: sr_train(), count: capacity)
    trainStarts = .allocate(capacity: capacity + 1)
    trainStarts.initialize(repeating: 0, count: capacity + 1)
    pieces = .allocate(capacity: capacity)
    pieces.initialize(repeating: iovec(), count: capacity)
    singles = .allocate(capacity: capacity)
    for place in 0..<capacity {
      (singles + place).initialize(to: sr_train(first_piece: UInt32(place), pieces: 1, segment: 0, dscp: 0))
    }
    guard let trainSender = sr_sender_make(), let singleSender = sr_sender_make() else {
      fatalError("Out of memory for the send buffers of engine process.")
    }
    self.trainSender = trainSender
    self.singleSender = singleSender
  }

  func deallocate() {
    datagrams.deallocate()
    arrivalsNs.deallocate()
    failures.deallocate()
    trains.deallocate()
    trainStarts.deallocate()
    pieces.deallocate()
    singles.deallocate()
    sr_sender_free(trainSender)
    sr_sender_free(singleSender)
  }

  var isFull: Bool { count == Self.capacity }

  /// Whether what is here must be sent before a datagram for these sinks can be taken.
  func mustSend(before sinks: UInt32) -> Bool { isFull || count > 0 && sinks != self.sinks }

  /// Takes a datagram that stays where it is until ``send(from:to:companion:isV4:account:)``. Not when full, nor for
  /// other sinks than what is here.
  /// - Parameter dscp: The code point that it leaves with; 0: that of the socket.
  mutating func append(
    _ start: UnsafeRawPointer, length: Int, arrivalNs: UInt64, dscp: UInt32, sinks: UInt32 = Self.allSinks
  ) {
    let base = UnsafeMutableRawPointer(mutating: start)
    self.sinks = sinks
    singles[count].dscp = dscp
    datagrams[count] = iovec(iov_base: base, iov_len: length)
    arrivalsNs[count] = arrivalNs
    // Only the last datagram of a train may be shorter, and none may be empty.
    let joins =
      trainIsOpen && length > 0 && length <= trainSegment && dscp == trainDSCP
      && count - trainStarts[trainCount - 1] < Int(SR_TRAIN_SEGMENTS.rawValue)
      && trainBytes + length <= Int(SR_TRAIN_BYTES.rawValue)
    if joins {
      let train = trains + (trainCount - 1)
      train.pointee.segment = UInt32(truncatingIfNeeded: trainSegment)
      let last = pieces + (pieceCount - 1)
      if last.pointee.iov_base + last.pointee.iov_len == base {
        last.pointee.iov_len += length
      } else {
        pieces[pieceCount] = iovec(iov_base: base, iov_len: length)
        pieceCount += 1
        train.pointee.pieces += 1
      }
      trainBytes += length
      trainIsOpen = length == trainSegment
    } else {
      trains[trainCount] = sr_train(
        first_piece: UInt32(truncatingIfNeeded: pieceCount), pieces: 1, segment: 0, dscp: dscp)
      trainStarts[trainCount] = count
      trainCount += 1
      pieces[pieceCount] = iovec(iov_base: base, iov_len: length)
      pieceCount += 1
      trainSegment = length
      trainDSCP = dscp
      trainBytes = length
      trainIsOpen = length > 0
    }
    count += 1
    bytes += length
  }

  /// Sends a copy of everything to each of its sinks, accounts for it, and is empty again.
  mutating func send(
    from descriptor: Int32, to sinks: UnsafeMutableBufferPointer<ProcessSink>, companion: Bool, isV4: Bool,
    account: ProcessAccount
  ) {
    guard count > 0 else { return }
    trainStarts[trainCount] = count
    sr_sender_load(trainSender, trains, UInt32(trainCount), isV4 ? 1 : 0, pieces)
    singlesAreLoaded = false
    var copies = 0
    for place in 0..<sinks.count where self.sinks & (1 << UInt32(truncatingIfNeeded: place)) != 0 {
      copies += 1
      let sink = sinks.baseAddress! + place
      var attempt = Attempt(
        descriptor: descriptor, isV4: isV4, destination: sink.pointee.destination(companion: companion),
        source: sink.pointee.source, account: account)
      if sink.pointee.takesTrains {
        if !sendTrains(&attempt) { sink.pointee.takesTrains = false }
      } else {
        sendSingles(0..<count, &attempt)
      }
    }
    accountResidence(sinks: copies, account)
    count = 0
    bytes = 0
    trainCount = 0
    pieceCount = 0
    trainIsOpen = false
  }

  /// Sending one batch to one sink.
  private struct Attempt {
    let descriptor: Int32
    let isV4: Bool
    let destination: UnsafePointer<sr_udp_address>
    let source: UnsafePointer<sr_udp_address>?
    let account: ProcessAccount
    /// Whether a full send queue has been waited for.
    var hasWaited = false
    /// Whether the messages one by one already bear the sink's address.
    var singlesAreAddressed = false
  }

  /// What becomes of a message that the kernel did not take.
  private enum Refusal {
    case again
    case drop(sr_counter)
  }

  /// Returns whether the way takes trains.
  private mutating func sendTrains(_ attempt: inout Attempt) -> Bool {
    sr_sender_address(trainSender, attempt.destination, attempt.source)
    var next = 0
    var retried = -1
    while next < trainCount {
      let sent = Int(sr_send(trainSender, attempt.descriptor, UInt32(next), UInt32(trainCount - next)))
      if sent > 0 {
        for train in next..<(next + sent) where trains[train].segment > 0 {
          coalesced.messages &+= 1
          coalesced.datagrams &+= UInt64(trainStarts[train + 1] - trainStarts[train])
        }
        accountSent(trainStarts[next]..<trainStarts[next + sent], attempt.account)
        next += sent
        continue
      }
      let error = Int32(-sent)
      let members = trainStarts[next]..<trainStarts[next + 1]
      if trains[next].segment > 0, error == EIO || error == EINVAL || error == EMSGSIZE {
        // Either the way takes no trains, or the datagrams are too large for it. One by one tells which.
        let failedBefore = anyFailed
        anyFailed = false
        sendSingles(members, &attempt)
        let singlesFailed = anyFailed
        anyFailed = anyFailed || failedBefore
        next += 1
        if !singlesFailed {
          sendSingles(trainStarts[next]..<count, &attempt)
          return false
        }
        continue
      }
      switch refusal(error, isRetry: retried == next, &attempt) {
      case .again: retried = next
      case .drop(let cause):
        drop(members, cause, attempt.account)
        next += 1
      }
    }
    return true
  }

  private mutating func sendSingles(_ range: Range<Int>, _ attempt: inout Attempt) {
    guard !range.isEmpty else { return }
    if !singlesAreLoaded {
      sr_sender_load(singleSender, singles, UInt32(count), attempt.isV4 ? 1 : 0, datagrams)
      singlesAreLoaded = true
    }
    if !attempt.singlesAreAddressed {
      sr_sender_address(singleSender, attempt.destination, attempt.source)
      attempt.singlesAreAddressed = true
    }
    var next = range.lowerBound
    var retried = -1
    while next < range.upperBound {
      let sent = Int(sr_send(singleSender, attempt.descriptor, UInt32(next), UInt32(range.upperBound - next)))
      if sent > 0 {
        accountSent(next..<(next + sent), attempt.account)
        next += sent
        continue
      }
      switch refusal(Int32(-sent), isRetry: retried == next, &attempt) {
      case .again: retried = next
      case .drop(let cause):
        drop(next..<(next + 1), cause, attempt.account)
        next += 1
      }
    }
  }

  private func refusal(_ error: Int32, isRetry: Bool, _ attempt: inout Attempt) -> Refusal {
    switch error {
    case EINTR: return .again
    // An ICMP error that answers an earlier packet is reported once, by whatever call comes next.
    case ECONNREFUSED: return isRetry ? .drop(SR_DROP_SEND) : .again
    case EAGAIN:
      if attempt.hasWaited { return .drop(SR_DROP_SEND) }
      attempt.hasWaited = true
      return sr_udp_wait_writable(attempt.descriptor, Self.sendWaitMs) == 1 ? .again : .drop(SR_DROP_SEND)
    case EMSGSIZE: return .drop(SR_DROP_MTU)
    case ENETUNREACH, EHOSTUNREACH: return .drop(SR_DROP_ROUTE)
    default: return .drop(SR_DROP_SEND)
    }
  }

  private func accountSent(_ range: Range<Int>, _ account: ProcessAccount) {
    account.add(SR_PACKETS_OUT, range.count)
    if range.count == count {
      account.add(SR_BYTES_OUT, bytes)
    } else {
      var sentBytes = 0
      for datagram in range { sentBytes += datagrams[datagram].iov_len }
      account.add(SR_BYTES_OUT, sentBytes)
    }
  }

  private mutating func drop(_ range: Range<Int>, _ cause: sr_counter, _ account: ProcessAccount) {
    account.add(cause, range.count)
    anyFailed = true
    for datagram in range { failures[datagram] += 1 }
  }

  /// Every packet that left to one sink at least counts once, with the time when the last copy had been sent.
  private mutating func accountResidence(sinks: Int, _ account: ProcessAccount) {
    let now = realtimeNs()
    for datagram in 0..<count where failures[datagram] < sinks {
      let arrival = arrivalsNs[datagram]
      account.left(residenceNs: now > arrival ? now - arrival : 0)
    }
    if anyFailed {
      failures.update(repeating: 0, count: count)
      anyFailed = false
    }
  }
}

/// How often datagrams shared a message.
struct ProcessCoalescing: Hashable, Sendable {
  var messages: UInt64 = 0
  var datagrams: UInt64 = 0
}
