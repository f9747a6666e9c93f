import CStreamRouter

/// What the kernel tells of connections (TCP_INFO), in the relay's account.
extension SplitLoop {
  /// The beginning: what the handshakes took is counted, and their repeated segments are none with payload.
  func greet(_ place: Int) {
    for number in 2 * place...2 * place + 1 {
      let end = table.end(number)
      var state = sr_tcp_state()
      guard sr_tcp_state(end.pointee.descriptor, &state) == 0 else { continue }
      end.pointee.counted.retransmitted = state.retransmitted
      add(state.round_trip_us, place, isSink: end == table.sink(place))
    }
  }

  /// Takes in what is new since it was last asked.
  func count(_ place: Int) {
    let account = table[place].pointee.relay!.pointee.account
    for number in 2 * place...2 * place + 1 {
      let end = table.end(number)
      let isSink = end == table.sink(place)
      var state = sr_tcp_state()
      guard sr_tcp_state(end.pointee.descriptor, &state) == 0 else { continue }
      let former = end.pointee.counted
      // The kernel's own counters have 32 bits.
      let cameIn = Int(state.segments_in &- former.segments_in)
      let wentOut = Int(state.segments_out &- former.segments_out)
      let again = Int(state.retransmitted &- former.retransmitted)
      account.add(isSink ? SR_REPLY_PACKETS : SR_PACKETS_IN, cameIn)
      account.add(isSink ? SR_TCP_RETRANSMITTED : SR_TCP_REPLY_RETRANSMITTED, again)
      if isSink { account.add(SR_PACKETS_OUT, max(0, wentOut - again)) }
      // A round trip is measured by what is sent.
      if wentOut > 0 { add(state.round_trip_us, place, isSink: isSink) }
      end.pointee.counted = state
    }
  }

  private func add(_ roundTripUs: UInt32, _ place: Int, isSink: Bool) {
    guard roundTripUs > 0 else { return }
    let variations = table[place].pointee.relay!.pointee.variations
    let ns = UInt64(roundTripUs) * 1000
    if isSink {
      sr_variation_add(&variations.pointee.ipdv, ns, roundTimeNs)
    } else {
      sr_variation_add(&variations.pointee.pdv, ns, roundTimeNs)
    }
  }

  /// Takes in what is new of the connections from this place on, some at a time. Returns where to go on; nil: all were
  /// asked.
  func countConnections(from place: Int) -> Int? {
    var asked = 0
    for next in place..<max(place, table.used) where table[next].pointee.state == .open {
      if asked == limits.readingCount { return next }
      count(next)
      asked += 1
    }
    return nil
  }
}
