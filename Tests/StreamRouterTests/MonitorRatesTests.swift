import Testing

@testable import StreamRouter

@Suite struct MonitorRatesTests {
  private let startNs = MonitorSample.startNs

  private func rates(
    _ earlier: RelaySnapshot, _ later: RelaySnapshot, seconds: Double = 1
  ) throws -> RelayRates {
    try #require(
      RelayRates(from: earlier, at: startNs, to: later, at: startNs + UInt64(seconds * 1_000_000_000)))
  }

  @Test func ratesAreOfTheInterval() throws {
    let rates = try rates(
      MonitorSample.relay("s", hop: 0, seconds: 10), MonitorSample.relay("s", hop: 0, seconds: 12, lost: 10),
      seconds: 2)
    #expect(rates.intervalSeconds == 2)
    #expect(rates.packetsPerSecond == 495)
    #expect(rates.packetsOutPerSecond == 495)
    #expect(rates.bitsPerSecond == 495 * 1200 * 8)
    #expect(rates.rtpLost == 10)
    #expect(rates.lossRatio == 0.01)
    #expect(!rates.restarted)
    #expect(rates.residence?.packets == 990)
  }

  @Test func dropsAreSummedOverAllCauses() throws {
    let earlier = MonitorSample.relay("s", hop: 0, seconds: 1)
    var later = MonitorSample.relay("s", hop: 0, seconds: 2)
    for (index, counter) in Counter.drops.enumerated() { later.counters[counter.name] = UInt64(index + 1) }
    let count = UInt64(Counter.drops.count)
    #expect(try rates(earlier, later).dropped == count * (count + 1) / 2)
  }

  /// What was counted lost may come late in the next interval.
  @Test func lossIsNeverNegative() throws {
    let earlier = MonitorSample.relay("s", hop: 0, seconds: 1, lost: 5)
    var later = MonitorSample.relay("s", hop: 0, seconds: 2, lost: 5)
    later.counters["rtp_late"] = 4
    let rates = try rates(earlier, later)
    #expect(rates.rtpLost == 0)
    #expect(rates.lossRatio == 0)
  }

  @Test func duplicatesAreNotReceivedTwice() throws {
    let earlier = MonitorSample.relay("s", hop: 0, seconds: 1)
    var later = MonitorSample.relay("s", hop: 0, seconds: 2)
    later.counters["rtp_duplicates"] = 400
    later.counters["rtp_missing"] = 100
    #expect(try rates(earlier, later).lossRatio == 0.5)
  }

  @Test func udpHasNoLoss() throws {
    let rates = try rates(
      MonitorSample.relay("s", hop: 0, seconds: 1, transport: .udp),
      MonitorSample.relay("s", hop: 0, seconds: 2, transport: .udp))
    #expect(rates.rtpLost == nil)
    #expect(rates.lossRatio == nil)
    #expect(rates.packetsPerSecond == 500)
  }

  @Test func countersThatBeganAgainCountFromZero() throws {
    let rates = try rates(
      MonitorSample.relay("s", hop: 0, seconds: 100, lost: 50),
      MonitorSample.relay("s", hop: 0, seconds: 1, lost: 3))
    #expect(rates.restarted)
    #expect(rates.packetsPerSecond == 497)
    #expect(rates.rtpLost == 3)
    #expect(rates.residence?.packets == 497)
  }

  @Test func noIntervalNoRates() {
    let relay = MonitorSample.relay("s", hop: 0, seconds: 1)
    #expect(RelayRates(from: relay, at: 5, to: relay, at: 5) == nil)
    #expect(RelayRates(from: relay, at: 5, to: relay, at: 4) == nil)
    #expect(RelayRates(from: relay, at: 5, to: MonitorSample.relay("s", hop: 1, seconds: 2), at: 6) == nil)
  }

  @Test func idleIntervalHasNoResidence() throws {
    let relay = MonitorSample.relay("s", hop: 0, seconds: 1)
    let rates = try rates(relay, relay)
    #expect(rates.residence == nil)
    #expect(rates.lossRatio == nil)
    #expect(rates.packetsPerSecond == 0)
  }

  /// The histogram's maximum is of all time; that of the interval is known exactly only where it rose.
  @Test func residenceMaximumIsOfTheInterval() throws {
    var earlier = MonitorSample.relay("s", hop: 0, seconds: 1)
    earlier.residence.maxNs = 5_000_000
    var later = earlier
    later.residence.counts[28] += 10
    let bound = Double(ResidenceHistogram.upperBoundNs(bucket: 28)) / 1e9
    #expect(try rates(earlier, later).residence?.maxSeconds == bound)
    #expect(try rates(earlier, later).residence?.p99Seconds == bound)
    later.residence.maxNs = 7_000_000
    #expect(try rates(earlier, later).residence?.maxSeconds == 0.007)
  }

  @Test func softirqShareOfANode() throws {
    let earlier = try #require(MonitorSample.node("n", seconds: 10, relays: []).snapshot)
    let later = try #require(MonitorSample.node("n", seconds: 12, relays: []).snapshot)
    let rates = try #require(NodeRates(from: earlier, to: later))
    #expect(rates.intervalSeconds == 2)
    #expect(rates.softirqShare == 0.125)
    #expect(rates.datapathPacketsPerSecond == 1000)
    #expect(NodeRates(from: later, to: earlier) == nil)
    var rebooted = try #require(MonitorSample.node("n", seconds: 1, relays: []).snapshot)
    rebooted.timeNs = later.timeNs + 1_000_000_000
    #expect(NodeRates(from: later, to: rebooted)?.softirqShare == 0.125)
    #expect(NodeRates(from: later, to: rebooted)?.datapathPacketsPerSecond == 1000)
  }

  /// The same answer twice, as when the interval is shorter than the node's own, keeps the rates it had.
  @Test func aRepeatedAnswerKeepsItsRates() {
    var board = MonitorSample.board()
    let rates = board.rows.map(\.rates)
    board.take(MonitorSample.readings(seconds: 45), timeNs: MonitorSample.time(46))
    #expect(board.rows.map(\.rates) == rates)
  }

  @Test func aRelayThatCameNewHasNoRates() throws {
    var board = MonitorSample.board()
    var readings = MonitorSample.readings(seconds: 46)
    readings[0].snapshot?.relays.append(MonitorSample.relay("new", hop: 0, seconds: 1))
    board.take(readings, timeNs: MonitorSample.time(46))
    let row = try #require(board.rows.first { $0.relay.stream == "new" })
    #expect(row.condition == .new)
    #expect(row.rates == nil)
  }

  @Test func historyKeepsTheLargestOfEachSecond() {
    var history = MinuteSeries()
    history.record(0.5, timeNs: 100_200_000_000)
    history.record(0.2, timeNs: 100_700_000_000)
    #expect(history.seconds.suffix(1) == [0.5])
    history.record(nil, timeNs: 101_000_000_000)
    history.record(0.1, timeNs: 103_000_000_000)
    #expect(history.seconds.suffix(4) == [0.5, nil, nil, 0.1])
    #expect(history.seconds.count == MinuteSeries.length)
    history.record(0.3, timeNs: 50_000_000_000)
    #expect(history.seconds.suffix(1) == [0.3])
    history.record(0.4, timeNs: 500_000_000_000)
    #expect(history.seconds.compactMap { $0 } == [0.4])
  }
}
