import CStreamRouter

#if canImport(Glibc)
  import Glibc
#endif

/// How bytes go from one socket to the other, and how connections end.
extension SplitLoop {
  private typealias End = UnsafeMutablePointer<SplitEnd>

  /// Moves what can be moved, both ways, up to the bound of a round. Then the connection is over, waits for epoll, or
  /// stands in the queue.
  mutating func move(_ place: Int) {
    let (source, sink) = (table.source(place), table.sink(place))
    var budget = limits.roundBytes
    var replyBudget = limits.roundBytes
    guard move(place, from: source, to: sink, isReply: false, &budget),
      move(place, from: sink, to: source, isReply: true, &replyBudget)
    else { return fail(place, at: nil) }
    if source.pointee.isPassedOn, sink.pointee.isPassedOn {
      finish(place)
    } else if budget <= 0 || replyBudget <= 0 {
      table.enqueue(place)
    }
  }

  /// One direction. False: one of the sockets has failed.
  private mutating func move(
    _ place: Int, from: End, to: End, isReply: Bool, _ budget: inout Int
  ) -> Bool {
    let connection = table[place]
    let relay = connection.pointee.relay!
    let account = relay.pointee.account
    var isProgress = true
    while isProgress, budget > 0 {
      isProgress = false
      if from.pointee.isReadable, !from.pointee.hasEnded, from.pointee.waiting < limits.pipeBytes {
        if from.pointee.pipe.out < 0, !pipes.take(&from.pointee.pipe) {
          connection.pointee.isStarved = true
          isShort = true
          return true
        }
        let came = read(from)
        if came > 0 {
          isProgress = true
          connection.pointee.seenNs = roundNs
          if !isReply { account.add(SR_BYTES_IN, came) }
        } else if came < 0, came != -Int(EAGAIN) {
          return false
        }
      }
      if from.pointee.waiting > 0, to.pointee.isWritable {
        let went = sr_splice(
          from.pointee.pipe.out, to.pointee.descriptor, UInt(from.pointee.waiting))
        if went > 0 {
          isProgress = true
          budget -= went
          connection.pointee.seenNs = roundNs
          from.pointee.waiting -= went
          account.add(isReply ? SR_REPLY_BYTES : SR_BYTES_OUT, went)
          measure(from, went, account)
        } else if went == -Int(EAGAIN) {
          to.pointee.isWritable = false
        } else {
          return false
        }
      }
    }
    account.seen(connection.pointee.seenNs == roundNs ? roundTimeNs : 0)
    if from.pointee.waiting == 0 {
      if from.pointee.pipe.out >= 0 { pipes.give(&from.pointee.pipe, isEmpty: true) }
      if from.pointee.hasEnded, !from.pointee.isPassedOn {
        from.pointee.isPassedOn = true
        return sr_tcp_finish(to.pointee.descriptor) == 0
      }
    }
    return true
  }

  /// Into the pipe: how many bytes came, 0 at their end, or a negative errno.
  private func read(_ from: End) -> Int {
    var came = sr_splice(
      from.pointee.descriptor, from.pointee.pipe.in, UInt(limits.pipeBytes - from.pointee.waiting))
    if came == -Int(EAGAIN), from.pointee.waiting == 0 {
      if from.pointee.isUrgent {
        from.pointee.isUrgent = false
        came = Int(sr_tcp_take_urgent(from.pointee.descriptor, from.pointee.pipe.in))
      }
      // With bytes in the pipe it may as well be the pipe that takes no more, by its number of pieces.
      if came == -Int(EAGAIN) { from.pointee.isReadable = false }
    }
    if came == 0 { from.pointee.hasEnded = true }
    guard came > 0 else { return came }
    from.pointee.waiting += came
    if from.pointee.markedBytes == 0 {
      from.pointee.markedBytes = from.pointee.waiting
      from.pointee.markedNs = from.pointee.toldNs
    }
    // What comes behind these was not there before.
    from.pointee.toldNs = roundNs
    return came
  }

  /// The residence of a byte that is being followed, once it was written.
  private func measure(_ from: End, _ went: Int, _ account: ProcessAccount) {
    guard from.pointee.markedBytes > 0 else { return }
    from.pointee.markedBytes -= went
    guard from.pointee.markedBytes <= 0 else { return }
    from.pointee.markedBytes = 0
    let now = monotonicNs()
    account.left(residenceNs: now > from.pointee.markedNs ? now - from.pointee.markedNs : 0)
  }

  // MARK: Ends

  /// One of the sockets has failed. What had come from there before still goes to the other as far as that takes it.
  ///
  /// - Parameter end: Where epoll told of it; nil: a call did.
  mutating func fail(_ place: Int, at end: UnsafeMutablePointer<SplitEnd>?) {
    let (source, sink) = (table.source(place), table.sink(place))
    var cause = SR_TCP_RESET
    if let end {
      let error = sr_tcp_error(end.pointee.descriptor)
      if error == 0 { return move(place) }
      // Neither data nor keep-alive were answered.
      if error == ETIMEDOUT { cause = SR_TCP_EXPIRED }
      end.pointee.isReadable = true
    }
    // A socket whose error was taken reads as one that has ended; the other end hears of a reset, and of no end.
    source.pointee.isPassedOn = true
    sink.pointee.isPassedOn = true
    var budget = limits.roundBytes
    if end != sink { _ = move(place, from: source, to: sink, isReply: false, &budget) }
    budget = limits.roundBytes
    if end != source { _ = move(place, from: sink, to: source, isReply: true, &budget) }
    reset(place, cause)
  }

  /// Both directions have ended.
  private mutating func finish(_ place: Int) {
    count(place)
    table[place].pointee.relay!.pointee.account.add(SR_TCP_CLOSED)
    end(place) { _ = close($0) }
  }

  /// Both peers see a reset.
  mutating func reset(_ place: Int, _ cause: sr_counter) {
    if table[place].pointee.state == .open { count(place) }
    table[place].pointee.relay!.pointee.account.add(cause)
    end(place) { sr_tcp_reset($0) }
  }

  mutating func end(_ place: Int, _ close: (Int32) -> Void) {
    table[place].pointee.relay!.pointee.open -= 1
    for number in 2 * place...2 * place + 1 {
      let end = table.end(number)
      if end.pointee.descriptor >= 0 { close(end.pointee.descriptor) }
      if end.pointee.pipe.out >= 0 { pipes.give(&end.pointee.pipe, isEmpty: end.pointee.waiting == 0) }
    }
    table.give(place)
  }
}
