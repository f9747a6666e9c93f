/// Reads the RTCP of one relay or capture, datagram by datagram, and keeps the latest of each sender and of each pair of
/// reporter and subject, in a bounded number.
///
/// Round trips take two steps, as a time stamp and its answer may pass in different relays: all that is new is received,
/// then ``resolve(_:)`` looks for the time stamps that answers name.
public struct PeerReports: Sendable {
  /// Senders that are kept, and pairs: a peer that invents SSRCs must not take all memory.
  public let capacity: Int
  private var account = PeerAccount()
  /// By the place of the report: an answer whose time stamp has not been looked for.
  private var answers: [Answer?] = []

  private struct Answer: Hashable, Sendable {
    var key: PassingTimes.Key
    var delayNs: UInt64
    var timeNs: UInt64
  }

  /// - Parameter capacity: at least 1.
  public init(capacity: Int = 8) {
    precondition(capacity >= 1, "An account without room for a report has nothing to say.")
    self.capacity = capacity
  }

  /// Whether something waits for ``resolve(_:)``.
  public var hasAnswers: Bool { answers.contains { $0 != nil } }

  /// What is known, with jitter in seconds where `clockRate` knows the rate of an SSRC in Hz.
  public func account(clockRate: (UInt32) -> UInt32? = { _ in nil }) -> PeerAccount {
    var account = account
    for place in account.reports.indices {
      guard let units = account.reports[place].reception?.jitterUnits,
        let rate = clockRate(account.reports[place].subject), rate > 0
      else { continue }
      account.reports[place].reception?.jitterSeconds = Double(units) / Double(rate)
    }
    return account
  }

  /// Takes in one RTCP datagram.
  /// - Parameters:
  ///   - length: bytes of the whole datagram where `payload` is only its beginning.
  ///   - timeNs: when it arrived, nanoseconds since 1970.
  ///   - times: where time stamps that pass are noted.
  public mutating func receive(
    _ payload: RawSpan, length: Int? = nil, timeNs: UInt64, times: inout PassingTimes
  ) {
    guard let compound = RTCPCompound(payload, length: length) else {
      account.unreadable += 1
      return
    }
    account.packets += 1
    account.skipped += compound.skipped
    for sender in compound.senders {
      take(sender, timeNs)
      times.note(ssrc: sender.ssrc, ntpTime: sender.ntpTime, passedNs: timeNs)
    }
    for time in compound.receiverTimes {
      times.note(ssrc: time.ssrc, ntpTime: time.ntpTime, passedNs: timeNs)
    }
    var seen: Set<Int> = []
    for block in compound.blocks {
      let place = row(block.reporter, block.subject, timeNs, &seen)
      account.reports[place].reception = block.figures.reception
      answers[place] = answer(block.figures.echo, block.subject, timeNs)
      account.reports[place].roundTripFromHereSeconds = nil
    }
    for echo in compound.receiverEchoes {
      let place = row(echo.reporter, echo.subject, timeNs, &seen)
      if let found = answer(echo.figures, echo.subject, timeNs) {
        answers[place] = found
        account.reports[place].roundTripFromHereSeconds = nil
      }
    }
    for statistics in compound.statistics {
      let place = row(statistics.reporter, statistics.subject, timeNs, &seen)
      account.reports[place].statistics = statistics.figures
    }
    for voice in compound.voice {
      let place = row(voice.reporter, voice.subject, timeNs, &seen)
      account.reports[place].voice = voice.figures
    }
    for ssrc in compound.leaving {
      for place in account.senders.indices where account.senders[place].ssrc == ssrc {
        account.senders[place].hasLeft = true
      }
      for place in account.reports.indices where account.reports[place].reporter == ssrc {
        account.reports[place].hasLeft = true
      }
    }
  }

  /// So many datagrams passed that could not be read.
  public mutating func missed(_ count: UInt64) { account.unread &+= count }

  /// Computes the round trips of the answers that came since the last time, where their time stamps passed here.
  public mutating func resolve(_ times: PassingTimes) {
    for place in answers.indices {
      guard let answer = answers[place] else { continue }
      answers[place] = nil
      guard let passedNs = times.passedNs(answer.key) else { continue }
      let tookNs = Int64(bitPattern: answer.timeNs &- passedNs) &- Int64(answer.delayNs)
      // A clock that was set, or a delay that is none: no round trip.
      guard tookNs >= 0, tookNs <= Int64(PeerAccount.presentNs) else { continue }
      account.reports[place].roundTripFromHereSeconds = Double(tookNs) / 1e9
    }
  }

  private func answer(_ echo: RTCPCompound.Echo, _ subject: UInt32, _ timeNs: UInt64) -> Answer? {
    guard echo.ntpMiddle != 0 else { return nil }
    return Answer(
      key: PassingTimes.Key(ssrc: subject, ntpMiddle: echo.ntpMiddle), delayNs: echo.delayNs, timeNs: timeNs)
  }

  private mutating func take(_ sender: RTCPCompound.Sender, _ timeNs: UInt64) {
    let found = account.senders.firstIndex { $0.ssrc == sender.ssrc }
    let latest = PeerSender(
      ssrc: sender.ssrc, timeNs: timeNs, reports: (found.map { account.senders[$0].reports } ?? 0) + 1,
      sentPackets: sender.packets, sentPayloadBytes: sender.payloadBytes,
      clockNs: PeerSender.unixNs(ntpTime: sender.ntpTime), rtpTimestamp: sender.rtpTimestamp, hasLeft: false)
    if let found {
      account.senders[found] = latest
      return
    }
    if account.senders.count >= capacity,
      let silent = account.senders.indices.min(by: { account.senders[$0].timeNs < account.senders[$1].timeNs })
    {
      account.senders.remove(at: silent)
      account.displaced += 1
    }
    account.senders.append(latest)
  }

  /// Where a pair stands, which may be new. Counts one report of it for each datagram; `seen` has the places that this
  /// one has counted.
  private mutating func row(
    _ reporter: UInt32, _ subject: UInt32, _ timeNs: UInt64, _ seen: inout Set<Int>
  ) -> Int {
    let place: Int
    if let found = account.reports.firstIndex(where: { $0.reporter == reporter && $0.subject == subject }) {
      place = found
    } else {
      let fresh = PeerReport(
        reporter: reporter, subject: subject, timeNs: timeNs, reports: 0, hasLeft: false)
      if account.reports.count < capacity {
        account.reports.append(fresh)
        answers.append(nil)
        place = account.reports.count - 1
      } else {
        // In its place, so that the places that were counted stay what they are.
        place = account.reports.indices.min { account.reports[$0].timeNs < account.reports[$1].timeNs }!
        account.reports[place] = fresh
        answers[place] = nil
        seen.remove(place)
        account.displaced += 1
      }
    }
    account.reports[place].timeNs = timeNs
    account.reports[place].hasLeft = false
    if seen.insert(place).inserted { account.reports[place].reports += 1 }
    return place
  }
}
