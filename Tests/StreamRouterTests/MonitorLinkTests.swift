import Foundation
import Testing
import Topology

@testable import StreamRouter

/// Links in the monitor: state, window, clocks, events, and what recordings keep.
@Suite struct MonitorLinkTests {
  private static func link(
    _ peer: String, second: Int, lost: UInt64 = 0, silentSeconds: Int = 0, offsetNs: Int64? = nil,
    errorNs: UInt64 = 10_000, problem: String? = nil
  ) -> LinkSnapshot {
    var link = LinkSnapshot(
      peer: peer, local: IPAddress("10.0.0.1")!, remote: Endpoint("10.0.0.2:8622")!, intervalMs: 200)
    link.sent = UInt64(second) * 5
    link.answered = UInt64(max(0, second - silentSeconds)) * 5 - lost
    link.lostBackward = lost
    link.lostEither = UInt64(min(second, silentSeconds)) * 5
    for _ in 0..<link.answered {
      link.roundTrip.record(300_000)
      link.ipdvForward.record(20_000, atNs: 1)
    }
    if link.answered > 0 {
      link.lastAnswerNs = MonitorSample.startNs + UInt64(second - silentSeconds) * 1_000_000_000
    }
    link.clockOffsetNs = offsetNs
    link.clockErrorNs = offsetNs == nil ? nil : errorNs
    link.problem = problem
    return link
  }

  private static func node(_ name: String, second: Int, _ links: LinkSnapshot...) -> NodeReading {
    var reading = MonitorSample.node(name, seconds: second, relays: [])
    reading.snapshot?.links = links
    return reading
  }

  private static func board(_ seconds: ClosedRange<Int>, _ readings: (Int) -> [NodeReading]) -> MonitorBoard {
    var board = MonitorBoard()
    for second in seconds {
      board.take(readings(second), timeNs: MonitorSample.startNs + UInt64(second) * 1_000_000_000)
    }
    return board
  }

  @Test func figuresAreOverTheWindow() throws {
    let board = Self.board(1...100) { second in
      [Self.node("camera", second: second, Self.link("edge", second: second, lost: second > 20 ? 6 : 0))]
    }
    let link = try #require(board.links.first)
    #expect(link.condition == .ok, "what was lost 80 s ago is no loss of now")
    let rates = try #require(link.rates)
    #expect((27...30).contains(rates.intervalSeconds))
    #expect(rates.lossRatio == 0 && link.snapshot.lostBackward == 6)
    #expect(abs(try #require(rates.roundTrip).p50Seconds - 300e-6) < 80e-6)
    let lossy = Self.board(1...30) { second in
      [Self.node("camera", second: second, Self.link("edge", second: second, lost: second > 20 ? 6 : 0))]
    }
    #expect(lossy.links.first?.condition == .loss)
  }

  @Test func silenceIsToldOnceAndItsEnd() {
    let board = Self.board(1...40) { second in
      let silent = second > 10 && second < 30 ? second - 10 : 0
      return [Self.node("camera", second: second, Self.link("edge", second: second, silentSeconds: silent))]
    }
    let kinds = board.events.map(\.kind)
    #expect(kinds == [.linkSilent, .linkAnswers])
    #expect(board.events[0].text.contains("link to edge") && board.events[0].node == "camera")
    let silent = Self.board(1...20) { second in
      [Self.node("camera", second: second, Self.link("edge", second: second, silentSeconds: min(second, 10)))]
    }
    #expect(silent.links.first?.condition == .silent)
  }

  @Test func whyALinkFailsIsSaid() {
    let board = Self.board(1...5) { second in
      [
        Self.node(
          "camera", second: second,
          Self.link("edge", second: second, silentSeconds: second, problem: "nobody answers"))
      ]
    }
    #expect(board.links.first?.condition == .failed)
    let lines = LinksView(
      links: board.links, columns: 80, style: MonitorStyle(colour: false, unicode: false)
    ).lines()
    #expect(lines.contains { $0.text.contains("nobody answers") })
    #expect(lines.allSatisfy { TextWidth.cells($0.text) <= 120 })
  }

  /// Offsets add up along the links with the smallest errors.
  @Test func clocksOfAllNodesFollowFromTheLinks() throws {
    let board = Self.board(1...3) { second in
      [
        Self.node(
          "a", second: second, Self.link("b", second: second, offsetNs: 1_000_000, errorNs: 500),
          Self.link("c", second: second, offsetNs: 9_000_000, errorNs: 5_000_000)),
        Self.node("b", second: second, Self.link("c", second: second, offsetNs: -3_000_000, errorNs: 700)),
        Self.node("c", second: second),
        Self.node("d", second: second),
      ]
    }
    let clocks = board.nodes.map(\.clock)
    #expect(clocks[0] == NodeClock(offsetNs: 0, errorNs: 0))
    #expect(clocks[1] == NodeClock(offsetNs: 1_000_000, errorNs: 500))
    #expect(clocks[2] == NodeClock(offsetNs: -2_000_000, errorNs: 1200))
    #expect(clocks[3] == nil)
    #expect(clocks[2]?.text == "-2.00ms +-1.20us")
  }

  @Test func documentsHaveTheLinks() throws {
    let board = Self.board(1...10) { second in
      [
        Self.node("a", second: second, Self.link("b", second: second, lost: 1, offsetNs: 5000)),
        Self.node("b", second: second),
      ]
    }
    let json = try MonitorDocument(board, order: MonitorOrder()).json(pretty: false)
    let root = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
    let nodes = try #require(root["nodes"] as? [[String: Any]])
    let link = try #require((nodes[0]["links"] as? [[String: Any]])?.first)
    #expect(link["peer"] as? String == "b" && (link["backward"] as? [String: Any])?["lost"] as? Int == 1)
    #expect(nodes[1]["clockOffsetSeconds"] as? Double == 5e-6)
    let table = TableReport.text(
      board, order: MonitorOrder(), style: MonitorStyle(colour: false, unicode: false))
    #expect(table.contains("RTT99") && table.contains("+5.00us"))
  }

  /// A recording is exact, and small: test packets are but figures.
  @Test func readingsPassThroughTheCoder() throws {
    var (coder, decoder) = (ReadingCoder(), ReadingDecoder())
    var shapes: [Int64: String] = [:]
    for second in 1...30 {
      var reading = Self.node(
        "a", second: second,
        Self.link(
          "b", second: second, lost: UInt64(second / 10), offsetNs: second > 3 ? -70 * Int64(second) : nil))
      if second > 20 { reading.snapshot?.links[0].problem = "nobody answers" }
      let coded = try coder.encode([reading], isFull: second % 10 == 1)
      for shape in coded.shapes { shapes[shape.id] = shape.json }
      let decoded = try decoder.decode(coded.bytes, isFull: second % 10 == 1) { shapes[$0] }
      #expect(decoded == [reading], "second \(second)")
      if second > 5, second % 10 != 1, second != 21 { #expect(coded.bytes.count < 90) }
    }
    #expect(shapes.count == 3)
  }

  @Test func snapshotsFromBeforeLinksWereProbedAreRead() throws {
    let reading = Self.node("a", second: 1, Self.link("b", second: 1))
    let encoded = try JSONEncoder().encode(try #require(reading.snapshot))
    #expect(try JSONDecoder().decode(NodeSnapshot.self, from: encoded) == reading.snapshot)
    var object = try #require(try JSONSerialization.jsonObject(with: encoded) as? [String: Any])
    object["links"] = nil
    let former = try JSONDecoder().decode(
      NodeSnapshot.self, from: try JSONSerialization.data(withJSONObject: object))
    #expect(former.links.isEmpty && former.node == "a")
  }

  /// The whole time as one interval; a daemon that begins anew counts on both sides.
  @Test func reportsTellOfLinks() throws {
    var (board, builder) = (MonitorBoard(), PeriodBuilder(intervals: 40))
    for second in 1...40 {
      // Anew at second 21; no answer from second 31 on.
      let own = second > 20 ? second - 20 : second
      let silent = max(0, second - 30)
      let reading = Self.node(
        "a", second: second,
        Self.link("b", second: own, lost: own > 5 ? 2 : 0, silentSeconds: silent))
      board.take([reading], timeNs: MonitorSample.startNs + UInt64(second) * 1_000_000_000)
      builder.take(board, beginsAnew: second == 1)
    }
    let report = builder.result()
    let link = try #require(report.links.first)
    #expect(link.way == "a -> b" && report.links.count == 1)
    #expect(link.sent == 19 * 5 + 20 * 5)
    #expect(link.lostBackward == 4 && link.lostForward == 0)
    #expect(link.roundTrip.total >= 100 && link.silentSeconds > 0)
    #expect(report.text().contains("a -> b"))
    #expect(report.html().contains("<h2>Links</h2>"))
    let json = try #require(
      try JSONSerialization.jsonObject(with: Data(try report.json().utf8)) as? [String: Any])
    let object = try #require((json["links"] as? [[String: Any]])?.first)
    #expect(object["peer"] as? String == "b" && object["sent"] as? Int == 195)
  }
}
