import Foundation
import Testing
import Topology

@testable import StreamRouter

/// Who broke a limit, and why: the hop that first did, and none behind it.
///
///     source --> camera ---- edge ---- studio
struct LimitJudgeTests {
  /// What differs at a hop from a stream that is well.
  private struct Hop {
    var lost: UInt64 = 0
    var drops: [String: UInt64] = [:]
    var jitterSeconds = 0.000_1
    var variationNs: UInt64 = 100_000
    /// Of one packet in ten; the others stay 9 us.
    var slowestNs: UInt64 = 9_000
    var packetsPerSecond: UInt64 = 500
    var runnable = 1
  }

  private static let nodes = ["camera", "edge", "studio"]

  private static func histogram(_ ns: UInt64, _ count: UInt64) -> ResidenceHistogram {
    var histogram = ResidenceHistogram()
    let bucket =
      (0..<ResidenceHistogram.bucketCount).first { ResidenceHistogram.upperBoundNs(bucket: $0) > ns } ?? 0
    histogram.counts[bucket] = count
    histogram.maxNs = ns
    return histogram
  }

  private static func reading(_ place: Int, _ hop: Hop, second: Int, transport: StreamProtocol) -> NodeReading {
    let packets = UInt64(second) * hop.packetsPerSecond
    var relay = MonitorSample.relay(
      "cam", hop: place, seconds: second, packetsPerSecond: hop.packetsPerSecond,
      lost: hop.lost * UInt64(second),
      transport: transport)
    relay.counters["packets_in"]! -= (hop.drops["drop_queue"] ?? 0) * UInt64(second)
    relay.counters.merge(hop.drops.mapValues { $0 * UInt64(second) }) { $1 }
    relay.counters["packets_out"] = relay.counters["packets_in"]! - relay.dropped
    (relay.jitterSeconds, relay.jitterMaxSeconds) = (hop.jitterSeconds, hop.jitterSeconds)
    relay.ipdv = VariationHistogram(durations: histogram(hop.variationNs, packets))
    relay.pdv = VariationHistogram(durations: histogram(hop.variationNs, packets))
    relay.residence = histogram(9_000, packets * 9 / 10)
    let slow = histogram(hop.slowestNs, packets / 10)
    for bucket in slow.counts.indices { relay.residence.counts[bucket] += slow.counts[bucket] }
    relay.residence.maxNs = hop.slowestNs
    relay.sinks[0].name = place + 1 < nodes.count ? nodes[place + 1] : "player"
    if place == nodes.count - 1 { relay.sinks[0].kind = .host }
    var reading = MonitorSample.node(nodes[place], seconds: second, relays: [relay])
    reading.snapshot?.load.runnableThreads = hop.runnable
    return reading
  }

  private static func board(
    _ limits: [StreamLimit], _ hops: [Hop], transport: StreamProtocol = .rtp, seconds: Int = 3
  ) -> MonitorBoard {
    var board = MonitorBoard(limits: ["cam": StreamLimits(limits)])
    for second in 0..<seconds {
      board.take(
        hops.enumerated().map { reading($0.offset, $0.element, second: second, transport: transport) },
        timeNs: MonitorSample.time(second))
    }
    return board
  }

  private static let loss = StreamLimit(.loss, atMost: 0.01)

  @Test func aStreamThatIsWellBreaksNothing() {
    let all = StreamLimit.all.map { limit in
      var limit = limit
      limit.atMost = limit.figure == .rate ? 8e6 : limit.figure == .loss ? 0 : 0.001
      return limit
    }
    let board = Self.board(all, [Hop(), Hop(), Hop()])
    #expect(board.breaches == [] && board.rows.map(\.condition) == [.ok, .ok, .ok])
  }

  @Test func theLinkThatLosesIsNamedAndNoHopBehindIt() throws {
    let board = Self.board([Self.loss], [Hop(), Hop(lost: 50), Hop(lost: 50)])
    #expect(board.breaches.map(\.node) == ["edge"])
    let breach = try #require(board.breaches.first)
    #expect(breach.place == .link(from: "camera", to: "edge") && abs(breach.measured - 0.1) < 0.01)
    #expect(breach.description == "loss is 10.0%, expected at most 1.00%: lost on link camera -> edge")
    #expect(board.rows.map(\.condition) == [.ok, .limit, .ok])
  }

  @Test func lossBeforeTheOverlayIsNoLinksFault() {
    let board = Self.board([Self.loss], [Hop(lost: 50), Hop(lost: 50), Hop(lost: 50)], seconds: 4)
    #expect(board.breaches.map(\.node) == ["camera"] && board.breaches.first?.place == .beforeOverlay)
    #expect(board.breaches.first?.cause == "lost before the overlay, on the way to node camera")
  }

  @Test func twoLinksThatEachLoseTooMuchAreBothNamed() {
    let board = Self.board([Self.loss], [Hop(), Hop(lost: 50), Hop(lost: 150)])
    #expect(board.breaches.map(\.node) == ["edge", "studio"])
  }

  /// Neither link breaks the limit of 3 % by itself.
  @Test func theHopWhereTheSumBreaksItIsNamed() {
    let board = Self.board([StreamLimit(.loss, atMost: 0.03)], [Hop(), Hop(lost: 10), Hop(lost: 20)])
    #expect(board.breaches.map(\.node) == ["studio"])
    #expect(board.breaches.first.map { abs($0.measured - 0.04) < 0.002 } == true)
  }

  @Test func whatANodeDropsIsNamedByItsCounter() {
    let hops = [Hop(drops: ["drop_route": 40, "drop_mtu": 5]), Hop(lost: 45), Hop(lost: 45)]
    let breaches = Self.board([Self.loss], hops).breaches
    #expect(breaches.map(\.place) == [.node("camera")])
    #expect(breaches.first?.cause == "dropped at node camera (drop_route, drop_mtu)")
  }

  @Test func aFullQueueIsTheNodesOwnLoss() {
    let full = Hop(lost: 20, drops: ["drop_queue": 20])
    for place in 0...1 {
      var hops = [Hop(), Hop(), Hop(lost: 20)]
      hops[place] = full
      if place == 0 { hops[1].lost = 20 }
      let breaches = Self.board([Self.loss], hops).breaches
      #expect(breaches.map(\.place) == [.node(Self.nodes[place])], "\(breaches)")
      #expect(breaches.first?.cause.contains("drop_queue") == true)
    }
  }

  @Test func strangersAndExtensionsAreNoLoss() {
    let hops = [Hop(drops: ["drop_source": 300, "drop_extension": 100]), Hop(lost: 100), Hop(lost: 100)]
    #expect(Self.board([StreamLimit(.loss, atMost: 0)], hops).breaches == [])
  }

  @Test func delayThatANodeAddsIsNamedWithItsLoad() throws {
    let limit = StreamLimit(.residence, .p999, atMost: 0.000_2)
    let breaches = Self.board([limit], [Hop(), Hop(slowestNs: 4_000_000, runnable: 9), Hop()]).breaches
    #expect(breaches.map(\.place) == [.node("edge")])
    #expect(
      breaches.first?.cause
        == "added delay at node edge, engine sandbox, under CPU load: 9 threads ready to run on 2 processors")
  }

  @Test(arguments: [StreamLimit(.jitter, atMost: 0.001), StreamLimit(.ipdv, .p99, atMost: 0.001)])
  func variationIsOfTheWayBeforeTheFirstHopThatShowsIt(_ limit: StreamLimit) {
    let uneven = Hop(jitterSeconds: 0.005, variationNs: 5_000_000)
    #expect(Self.board([limit], [uneven, uneven, uneven]).breaches.map(\.place) == [.beforeOverlay])
    let link = Self.board([limit], [Hop(), uneven, uneven]).breaches
    #expect(link.map(\.place) == [.link(from: "camera", to: "edge")])
    #expect(link.first?.cause.hasPrefix("it came in over link camera -> edge, with ") == true)
  }

  /// Packets that wait at the edge for a while come unevenly to the studio: that is the edge's doing.
  @Test func variationThatANodeAddsIsItsOwn() {
    let uneven = Hop(variationNs: 5_000_000)
    let breaches = Self.board(
      [StreamLimit(.pdv, .p999, atMost: 0.001)], [Hop(), Hop(slowestNs: 5_000_000, runnable: 9), uneven]
    ).breaches
    #expect(breaches.map(\.node) == ["edge"] && breaches.map(\.hop) == [1])
    #expect(breaches.first?.place == .node("edge"))
    #expect(breaches.first?.cause.contains("9 threads ready") == true)
  }

  /// A source that is uneven already hides no link that is much worse.
  @Test func whatMoreThanDoublesItIsNamedToo() {
    let limit = StreamLimit(.ipdv, .p99, atMost: 0.001)
    let source = Hop(variationNs: 2_000_000)
    let breaches = Self.board([limit], [source, Hop(variationNs: 9_000_000), Hop(variationNs: 11_000_000)])
      .breaches
    #expect(breaches.map(\.node) == ["camera", "edge"])
  }

  @Test func ratesAreJudgedBothWays() {
    let limit = StreamLimit(.rate, atMost: 8e6, atLeast: 1e6)
    let (slow, fast) = (Hop(packetsPerSecond: 50), Hop(packetsPerSecond: 5000))
    #expect(Self.board([limit], [slow, slow, slow]).breaches.map(\.place) == [.beforeOverlay])
    #expect(Self.board([limit], [fast, fast, fast]).breaches.map(\.place) == [.beforeOverlay])
    let cut = Self.board([limit], [Hop(), Hop(lost: 450), Hop(lost: 450)]).breaches
    #expect(cut.map(\.place) == [.link(from: "camera", to: "edge")])
    #expect(cut.first?.cause == "lost on link camera -> edge")
    let dropped = Self.board([limit], [Hop(), Hop(drops: ["drop_extension": 450]), Hop(packetsPerSecond: 50)])
    #expect(dropped.breaches.map(\.place) == [.node("edge")])
    #expect(dropped.breaches.first?.cause.contains("drop_extension") == true)
  }

  @Test func anIdleStreamBreaksOnlyItsLeastRate() {
    let idle = Hop(jitterSeconds: 1, packetsPerSecond: 0)
    let limits = [StreamLimit(.jitter, atMost: 0.001), Self.loss, StreamLimit(.rate, atLeast: 1e6)]
    #expect(Self.board(limits, [idle, idle, idle]).breaches.map(\.limit.name) == ["rate"])
  }

  @Test func udpIsJudgedByCounts() {
    let breaches = Self.board([Self.loss], [Hop(), Hop(lost: 50), Hop(lost: 50)], transport: .udp).breaches
    #expect(breaches.map(\.place) == [.link(from: "camera", to: "edge")])
  }

  /// The studio's figures say that it came from the edge, which does not answer.
  @Test func aStaleHopIsNotJudgedAndNotAccused() {
    let uneven = Hop(jitterSeconds: 0.005)
    var board = Self.board([StreamLimit(.jitter, atMost: 0.001)], [Hop(), uneven, uneven])
    var readings = [0, 1, 2].map { Self.reading($0, $0 == 0 ? Hop() : uneven, second: 3, transport: .rtp) }
    readings[1].snapshot = nil
    readings[1].problem = "timed out"
    board.take(readings, timeNs: MonitorSample.time(3))
    #expect(board.breaches.map(\.place) == [.link(from: "edge", to: "studio")])
    #expect(board.rows[1].condition == .stale)
  }

  @Test func whatTheNodesSayCountsWithoutAFile() {
    var board = MonitorBoard()
    for second in 0...2 {
      var reading = Self.reading(0, Hop(lost: 50), second: second, transport: .rtp)
      reading.snapshot?.relays[0].limits = StreamLimits([Self.loss])
      board.take([reading], timeNs: MonitorSample.time(second))
    }
    #expect(board.breaches.count == 1)
  }

  /// A daemon from before there were limits.
  @Test func snapshotsWithoutLimitsAreRead() throws {
    let relay = MonitorSample.relay("cam", hop: 0, seconds: 1)
    var object = try #require(
      try JSONSerialization.jsonObject(with: try JSONEncoder().encode(relay)) as? [String: Any])
    #expect(object["limits"] == nil)
    object["limits"] = nil
    let read = try JSONDecoder().decode(
      RelaySnapshot.self, from: try JSONSerialization.data(withJSONObject: object))
    #expect(read == relay)
  }

  // MARK: Shown

  @Test func theDetailPageAndJSONShowLimitsAndBreaches() throws {
    let board = Self.board([Self.loss], [Hop(), Hop(lost: 50), Hop(lost: 50)])
    let row = board.rows[1]
    let detail = DetailView(
      id: row.id, row: row, path: StreamPath(stream: "", rows: []), node: board.nodes[1], timeNs: board.timeNs,
      columns: 120, style: MonitorSample.plain
    )
    let text = detail.lines().map(\.text).joined(separator: "\n")
    #expect(text.contains("loss at most 1.00%"))
    #expect(text.contains("lost on link camera -> edge"))
    let document = try MonitorDocument(board, order: MonitorOrder()).json(pretty: false)
    let object = try #require(try JSONSerialization.jsonObject(with: Data(document.utf8)) as? [String: Any])
    let relays = try #require((object["nodes"] as? [[String: Any]])?[1]["relays"] as? [[String: Any]])
    #expect(relays[0]["state"] as? String == "limit")
    let breaches = try #require(relays[0]["breaches"] as? [[String: Any]])
    #expect(breaches.first?["cause"] as? String == "lost on link camera -> edge")
    let limits = try #require(relays[0]["limits"] as? [[String: Any]])
    #expect(limits.first?["atMost"] as? Double == 0.01 && limits.first?["unit"] as? String == "ratio")
  }
}
