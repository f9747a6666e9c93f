import JitterStats
import TestSupport
import Testing

/// Sync bytes and continuity counters, case by case of ISO/IEC 13818-1 section 2.4.3.3 and ETSI TR 101 290 5.2.1.
@Suite struct TransportStreamAccountTests {
  typealias Bytes = TransportStreamBytes

  private static func report(_ datagrams: [[UInt8]]) throws -> TransportStreamReport {
    var account = TransportStreamAccount()
    for (place, datagram) in datagrams.enumerated() {
      account.receive(datagram.span.bytes, arrivalNs: UInt64(place) * 10_000_000)
    }
    return try #require(account.report)
  }

  /// - Returns: continuity errors, lost, duplicates.
  private static func counts(_ packets: [[UInt8]]) throws -> [UInt64] {
    let report = try report(packets)
    return [report.continuityErrors, report.lost, report.duplicates]
  }

  private static func packets(in bytes: [UInt8]) -> Int { TransportStreamAccount.packets(in: bytes.span.bytes) }

  private static func packets(_ counters: [Int]) -> [[UInt8]] {
    counters.map { Bytes.packet(pid: 256, counter: $0, fill: UInt8($0 % 100)) }
  }

  @Test func countersOverTheWrap() throws {
    #expect(try Self.counts(Self.packets(Array(0..<40))) == [0, 0, 0])
    #expect(try Self.counts(Self.packets([14, 15, 16, 17])) == [0, 0, 0])
  }

  @Test("what a jump leaves out is lost, modulo 16") func jumps() throws {
    #expect(try Self.counts(Self.packets([0, 1, 3, 4])) == [1, 1, 0])
    #expect(try Self.counts(Self.packets([0, 1, 9, 10])) == [1, 7, 0])
    #expect(try Self.counts(Self.packets([0, 1, 17 + 4, 17 + 5])) == [1, 3, 0], "19 were lost, 3 are known")
    #expect(try Self.counts(Self.packets([0, 1, 17])) == [1, 15, 0], "the same counter, but another payload")
    // 2 comes late: 2 is missing at 3, 14 between 3 and 2, one between 2 and 4.
    #expect(try Self.counts(Self.packets([1, 3, 2, 4])) == [3, 1 + 14 + 1, 0])
  }

  @Test("twice is a duplicate, three times an error (2.4.3.3; TR 101 290 1.4)") func duplicates() throws {
    let one = Self.packets([1])[0]
    #expect(try Self.counts([one, one] + Self.packets([2])) == [0, 0, 1])
    #expect(try Self.counts([one, one, one] + Self.packets([2])) == [1, 0, 1])
    // A duplicate may have a later clock reference.
    let clocked = (0..<2).map { Bytes.packet(pid: 256, counter: 5, clockTicks: 27_000 * UInt64($0)) }
    #expect(try Self.counts(clocked + Self.packets([6])) == [0, 0, 1])
  }

  @Test("without payload the counter stands still") func withoutPayload() throws {
    func empty(_ counter: Int) -> [UInt8] { Bytes.packet(pid: 256, counter: counter, hasPayload: false) }
    let (one, two) = (Self.packets([1])[0], Self.packets([2])[0])
    #expect(try Self.counts([one, empty(1), empty(1), two]) == [0, 0, 0])
    #expect(try Self.counts([one, empty(2), two]) == [2, 1 + 15, 0])
  }

  @Test("discontinuity_indicator lets the counter jump") func announced() throws {
    let jump = Bytes.packet(pid: 256, counter: 9, isDiscontinuous: true)
    #expect(try Self.counts(Self.packets([0, 1]) + [jump] + Self.packets([10])) == [0, 0, 0])
    #expect(try Self.counts(Self.packets([0, 1]) + [jump] + Self.packets([12])) == [1, 2, 0])
  }

  @Test("null packets, damaged ones and impossible ones have no counter") func leftOut() throws {
    let packets =
      Self.packets([0]) + [0, 7, 3].map { Bytes.packet(pid: 0x1fff, counter: $0) }
      + [Bytes.packet(pid: 256, counter: 11, isErrored: true)] + Self.packets([1])
    var impossible = Bytes.packet(pid: 256, counter: 12)
    impossible[3] &= 0x0f
    var long = Bytes.packet(pid: 256, counter: 2, clockTicks: 1)
    long[4] = 200
    let report = try Self.report(packets + [impossible, long])
    #expect(report.continuityErrors == 0 && report.nullPackets == 3 && report.transportErrors == 1)
    #expect(report.malformedPackets == 2 && report.clocks.isEmpty)
    #expect(report.pids.map(\.pid) == [256] && report.pids.map(\.packets) == [3])
  }

  @Test("PIDs count each by itself, in a datagram too") func pids() throws {
    let mixed = (0..<20).flatMap { (counter: Int) -> [UInt8] in
      let third = counter > 9 ? counter + 2 : counter
      return Bytes.packet(pid: 17, counter: counter) + Bytes.packet(pid: 256, counter: counter)
        + Bytes.packet(pid: 257, counter: third)
    }
    let report = try Self.report([mixed])
    #expect(report.pids.map(\.pid) == [17, 256, 257] && report.pids.map(\.lost) == [0, 0, 2])
    #expect(report.datagrams == 1 && report.packets == 60 && report.cutDatagrams == 0)
  }

  @Test("sync is lost after two corrupt bytes in a row and back after five good ones (TR 101 290 1.1, 1.2)")
  func sync() throws {
    func report(_ corrupt: Set<Int>) throws -> TransportStreamReport {
      try Self.report(
        (0..<20).map {
          var packet = Bytes.packet(pid: 256, counter: $0)
          if corrupt.contains($0) { packet[0] = 0x46 }
          return packet
        })
    }
    let one = try report([3, 7])
    #expect(one.syncByteErrors == 2 && one.syncLosses == 0 && one.lost == 2)
    let two = try report([3, 4, 8, 9])
    #expect(two.syncByteErrors == 4 && two.syncLosses == 1, "four good ones between")
    let three = try report([3, 4, 10, 11])
    #expect(three.syncLosses == 2, "five good ones between")
  }

  @Test("datagrams that end within a packet, packets of 204 bytes, nothing at all") func layouts() throws {
    let datagram = Bytes.datagram(counter: 0)
    let cut = try Self.report([datagram, Bytes.datagram(counter: 7).dropLast(10)])
    #expect(cut.cutDatagrams == 1 && cut.packets == 13 && cut.lost == 0)
    let coded = (0..<7).flatMap { Bytes.packet(pid: 256, counter: $0) + [UInt8](repeating: 0x47, count: 16) }
    #expect(Self.packets(in: coded) == 7)
    var damaged = (7..<14).flatMap { Bytes.packet(pid: 256, counter: $0) + [UInt8](repeating: 0, count: 16) }
    damaged[204] = 0
    let both = try Self.report([coded, damaged])
    #expect(both.packets == 14 && both.syncByteErrors == 1 && both.lost == 1 && both.cutDatagrams == 0)
    let nothing = try Self.report([[], [0x47]])
    #expect(nothing.packets == 0 && nothing.cutDatagrams == 1 && nothing.deliveryIndex.intervals <= 1)
    #expect(Self.packets(in: []) == 0 && Self.packets(in: datagram.dropLast()) == 0)
    #expect(TransportStreamAccount().report == nil)
  }

  @Test("more PIDs and clocks than there is room for are counted") func bounds() throws {
    let report = try Self.report((0..<100).map { Bytes.packet(pid: $0, counter: 0, clockTicks: 0) })
    #expect(report.pids.count == TransportStreamAccount.pidsLimit && report.unlistedPackets == 36)
    #expect(report.clocks.count == TransportStreamAccount.clocksLimit && report.unlistedClocks == 84)
  }

  @Test("parts that are joined give what the whole gives") func merge() throws {
    var random = SeededRandom()
    let seed = random.seed
    var datagrams: [(bytes: [UInt8], arrivalNs: UInt64)] = []
    for place in 0..<300 where !random.once(in: 30) {
      let ticks = UInt64(place) * 270_000
      let late = UInt64.random(in: 0..<4_000_000, using: &random)
      datagrams.append(
        (
          Bytes.datagram(counter: place * 4 % 16, clockTicks: place % 3 == 0 ? ticks : nil).prefix(188 * 4)
            + Bytes.datagram(pid: 300, counter: place * 7), UInt64(place) * 10_000_000 + late
        ))
    }
    func account(_ part: ArraySlice<(bytes: [UInt8], arrivalNs: UInt64)>) -> TransportStreamAccount {
      var account = TransportStreamAccount()
      for datagram in part { account.receive(datagram.bytes.span.bytes, arrivalNs: datagram.arrivalNs) }
      return account
    }
    let whole = try #require(account(datagrams[...]).report)
    for cut in [0, 1, 2, 140, datagrams.count - 1, datagrams.count] {
      var joined = account(datagrams[..<cut])
      joined.merge(account(datagrams[cut...]))
      let report = try #require(joined.report)
      #expect(report.pids == whole.pids, "seed \(seed), cut at \(cut)")
      #expect(report.lost == whole.lost && report.packets == whole.packets && whole.lost > 0)
      let (ours, theirs) = (report.clocks[0], whole.clocks[0])
      #expect(ours.count == theirs.count && ours.discontinuityErrors == theirs.discontinuityErrors)
      #expect(ours.maxIntervalSeconds == theirs.maxIntervalSeconds && ours.restarts == 0)
      #expect(ours.stepJitter.maxSeconds == theirs.stepJitter.maxSeconds)
      #expect(
        abs(ours.overallJitterSeconds - theirs.overallJitterSeconds) < 1e-8, "seed \(seed), cut at \(cut)")
      #expect(abs(ours.overallJitterAtSeconds - theirs.overallJitterAtSeconds) < 1e-8)
      #expect(abs((ours.driftPpm ?? 0) - (theirs.driftPpm ?? 1)) < 1e-3)
      #expect(report.deliveryIndex.intervals >= whole.deliveryIndex.intervals)
      #expect(report.durationSeconds == whole.durationSeconds)
      // 20 datagrams more are taken by the joined account itself.
      guard cut < 280 else { continue }
      var going = account(datagrams[..<cut])
      going.merge(account(datagrams[cut..<(datagrams.count - 20)]))
      for datagram in datagrams.suffix(20) {
        going.receive(datagram.bytes.span.bytes, arrivalNs: datagram.arrivalNs)
      }
      let goingOn = try #require(going.report)
      #expect(goingOn.pids == whole.pids && goingOn.clocks[0].count == whole.clocks[0].count, "seed \(seed)")
      let rates = (goingOn.deliveryIndex.mediaRateBitsPerSecond, whole.deliveryIndex.mediaRateBitsPerSecond)
      #expect(rates.0 > rates.1 * 0.8 && rates.0 < rates.1 * 1.2, "seed \(seed), cut at \(cut): \(rates)")
    }
  }

  @Test("whatever is in a datagram, nothing traps and every packet is counted once") func hostile() throws {
    var random = SeededRandom()
    let seed = random.seed
    var account = TransportStreamAccount()
    var packets: UInt64 = 0
    for _ in 0..<20_000 {
      var bytes = random.bytes(Int.random(in: 0..<1500, using: &random))
      for start in stride(from: 0, to: bytes.count, by: 188) where !random.once(in: 8) {
        bytes[start] = 0x47
        // Few PIDs, so that their counters and clocks meet.
        if start + 6 < bytes.count {
          bytes[start + 1] &= 0x80
          bytes[start + 2] &= 3
          if random.once(in: 2) { (bytes[start + 4], bytes[start + 5]) = (7, bytes[start + 5] | 0x10) }
        }
      }
      // Not what could be packets of 204 bytes.
      if bytes.count % 204 == 0 { bytes.append(0) }
      packets += UInt64(bytes.count / 188)
      account.receive(bytes.span.bytes, arrivalNs: random.once(in: 100) ? random.next() : random.next() >> 30)
    }
    let report = try #require(account.report)
    #expect(report.packets == packets, "seed \(seed)")
    let known = report.pids.reduce(0) { $0 + $1.packets } + report.nullPackets + report.syncByteErrors
    #expect(known + report.transportErrors + report.unlistedPackets <= packets, "seed \(seed)")
    for clock in report.clocks {
      let drift = clock.driftPpm ?? 0
      #expect(
        clock.overallJitterSeconds.isFinite && drift.isFinite && clock.maxIntervalSeconds.isFinite,
        "seed \(seed)")
    }
    let index = report.deliveryIndex
    #expect(index.maxDelayFactorSeconds.isFinite && index.mediaRateBitsPerSecond.isFinite, "seed \(seed)")
    var joined = account
    joined.merge(account)
    #expect(joined.report?.packets == packets * 2)
  }
}
