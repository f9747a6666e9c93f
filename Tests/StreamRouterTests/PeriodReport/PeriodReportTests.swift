import Foundation
import Testing
import Topology

#if canImport(FoundationXML)
  import FoundationXML
#endif

@testable import StreamRouter

/// What a report says of a span of time, in each of its forms.
@Suite struct PeriodReportTests {
  private func report(_ readings: [TimedReadings], limits: [String: StreamLimits]? = nil) -> PeriodReport {
    var board = MonitorBoard(limits: limits)
    var builder = PeriodBuilder(intervals: readings.count - 1)
    for (index, reading) in readings.enumerated() {
      board.take(reading)
      builder.take(board, beginsAnew: index == 0 || reading.beginsAnew)
    }
    return builder.result()
  }

  /// 50 seconds in which 12 packets of cam1 were lost before the edge, and 7 of telemetry were dropped there.
  private var sample: PeriodReport { report(RecordingSample.readings(0...50)) }

  private func hop(_ report: PeriodReport, _ stream: String, _ hop: Int) throws -> PeriodHop {
    try #require(report.streams.first { $0.name == stream }?.hops.first { $0.row.relay.hop == hop })
  }

  private func object(_ text: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  @Test func figuresAreThoseOfTheWholeTime() throws {
    let report = self.sample
    #expect(report.streams.map(\.name) == ["cam1", "telemetry"])
    #expect(report.seconds == 50 && report.readings == 51)
    let edge = try hop(report, "cam1", 1)
    #expect(edge.row.rates?.counters["packets_in"] == 50 * 500 - 12)
    #expect(edge.row.rates?.rtpLost == 12)
    #expect(edge.row.rates?.lossRatio == 12.0 / 25_000)
    #expect(edge.row.rates?.packetsPerSecond == 24_988.0 / 50)
    #expect(edge.maxPacketsPerSecond == 500)
    #expect(edge.residence.total == 24_988)
    let dropping = try hop(report, "telemetry", 1)
    #expect(dropping.drops.map(\.counter.name) == ["drop_neighbour"] && dropping.drops.map(\.packets) == [7])
    #expect(dropping.row.condition == .drop)
    #expect(report.events.contains { $0.kind == .dropsBegan && $0.node == "edge" })
    // A node that never answered: how long, and no figure.
    let spare = try #require(report.nodes.first { $0.name == "spare" })
    #expect(spare.condition == .down && spare.silentSeconds == 50 && spare.softirqShare.mean == nil)
    #expect(report.gaps.count == 1 && report.gaps[0].contains("spare"))
    let camera = try #require(report.nodes.first)
    #expect(camera.silentSeconds == 0 && camera.softirqShare.mean == 0.125)
  }

  /// The same as the difference of the first and the last reading, where nothing began anew.
  @Test func sumsOfIntervalsAreTheDifference() throws {
    let readings = (0...40).map { second in
      TimedReadings(
        timeNs: MonitorSample.time(second),
        readings: RecordingSample.busy(nodes: 2, relays: 3, second: second + 1), beginsAnew: second == 0)
    }
    let report = self.report(readings)
    for node in 0..<2 {
      for relay in 0..<3 {
        let first = readings[0].readings[node].snapshot!.relays[relay]
        let last = readings[40].readings[node].snapshot!.relays[relay]
        let found = try #require(
          report.streams.first { $0.name == "stream\(relay)" }?.hops.first { $0.row.node == "node\(node)" })
        #expect(found.residence.counts == last.residence.since(first.residence).counts)
        #expect(found.ipdv.counts == last.ipdv.durations.since(first.ipdv.durations).counts)
        #expect(found.pdv.sumNs == last.pdv.durations.sumNs - first.pdv.durations.sumNs)
        for (name, value) in last.counters {
          #expect(found.row.rates?.counters[name] == value - first.counters[name]!)
        }
      }
    }
  }

  /// A relay whose counters begin anew counts what it had before, too.
  @Test func restartsAreRespected() throws {
    var readings = RecordingSample.readings(0...20)
    for index in 11...20 {
      readings[index].readings[0] = MonitorSample.readings(seconds: index - 10)[0]
      readings[index].readings[0].snapshot?.timeNs = MonitorSample.time(index)
    }
    let camera = try hop(report(readings), "cam1", 0)
    #expect(camera.restarts == 1)
    #expect(camera.row.rates?.counters["packets_in"] == 5000 + 5000)
    #expect(camera.residence.total == 10_000)
  }

  /// What a node counted while it was silent stands in its next answer; the silence is told.
  @Test func silenceIsNeverZero() throws {
    var readings = RecordingSample.readings(0...20)
    for index in 5...14 {
      readings[index].readings[1] = readings[4].readings[1]
      readings[index].readings[1].staleSeconds = Double(index - 4)
      readings[index].readings[1].problem = "no answer"
    }
    let report = self.report(readings)
    let edge = try hop(report, "cam1", 1)
    #expect(edge.row.rates?.counters["packets_in"] == 10_000 && edge.seconds == 20)
    #expect(edge.parts[4...13].allSatisfy { $0 == nil }, "the chart has a gap")
    #expect(report.nodes[1].silentSeconds == 10)
    #expect(report.text().contains("node edge did not answer for 10.0s (no answer)"))
    // Silent to the end: nothing but that is known.
    for index in 1...20 {
      readings[index].readings[1] = readings[0].readings[1]
      readings[index].readings[1].staleSeconds = Double(index)
    }
    let silent = self.report(readings)
    #expect(try hop(silent, "cam1", 1).row.rates == nil)
    let document = try object(try silent.json())
    let hops = try #require((document["streams"] as? [[String: Any]])?[0]["hops"] as? [[String: Any]])
    #expect(
      hops[1]["packets"] is NSNull && hops[1]["packetsPerSecond"] is NSNull
        && hops[1]["state"] as? String == "stale")
  }

  @Test func limitsTellHowLongTheyWereBroken() throws {
    let limits = ["cam1": StreamLimits([StreamLimit(.loss, atMost: 0.01), StreamLimit(.rate, atLeast: 1e6)])]
    let report = self.report(RecordingSample.readings(0...50), limits: limits)
    let stream = try #require(report.streams.first)
    #expect(stream.broken.count == 1)
    #expect(stream.broken[0].seconds == 1 && stream.broken[0].worst.node == "edge")
    #expect(report.text().contains("BROKEN at hop 1, node edge, for 1.00s"))
    #expect(try hop(report, "cam1", 1).row.condition == .limit)
  }

  @Test func sessionsAreAddedAndTheirGapIsNot() throws {
    let report = self.report(RecordingSample.readings(0...10) + RecordingSample.readings(100...110))
    let camera = try hop(report, "cam1", 0)
    #expect(camera.seconds == 20 && camera.row.rates?.counters["packets_in"] == 10_000)
    #expect(camera.parts.count == 21 && camera.parts[10] == nil)
  }

  /// Hours are drawn in parts.
  @Test func longTimesBecomeParts() throws {
    let report = self.report(RecordingSample.readings(0...1000))
    #expect(report.timesNs.count == 200)
    let camera = try hop(report, "cam1", 0)
    #expect(camera.parts.allSatisfy { $0?.packetsPerSecond == 500 })
  }

  @Test func columnsAreThoseOfTheMonitor() throws {
    var report = self.sample
    let lines = report.csv().split(separator: "\n")
    let header = lines[0].split(separator: ",").map(String.init)
    for column in MonitorColumn.all where column.isSortable {
      #expect(header.contains(column.key), "\(column.key)")
    }
    #expect(Set(header).count == header.count, "no name twice")
    // cam1 at three hops, telemetry at two, and the node of which nothing is known.
    #expect(lines.count == 1 + 5 + 1)
    for line in lines {
      #expect(line.split(separator: ",", omittingEmptySubsequences: false).count == header.count)
    }
    let document = try object(try report.json())
    #expect(document["version"] as? Int == 1)
    let hops = try #require((document["streams"] as? [[String: Any]])?[0]["hops"] as? [[String: Any]])
    for column in PeriodHop.columns { #expect(hops[0][column.key] != nil, "\(column.key)") }
    #expect(hops[1]["packetsLost"] as? Int == 12 && hops[1]["from"] as? String == "camera")
    report.columns = try ColumnChoice("node,loss,pdv")
    #expect(report.csv().hasPrefix("start,end,nodeState,silentSeconds,node,lossRatio,pdvP99Seconds\n"))
    #expect(report.text().contains("WAY") && report.text().contains("LOSS%  PDV99"))
  }

  // MARK: HTML

  private func parse(_ html: String) throws -> XMLDocument {
    // The parser knows no document type of HTML 5.
    try XMLDocument(xmlString: html.replacing("<!DOCTYPE html>\n", with: ""))
  }

  @Test func htmlIsWellFormedAndHoldsTheFigures() throws {
    let report = self.sample
    let html = report.html()
    let document = try parse(html)
    let cells = try document.nodes(forXPath: "//*[local-name()='td']").compactMap(\.stringValue)
    for stream in report.streams {
      for hop in stream.hops {
        #expect(cells.contains(hop.way))
        for column in PeriodHop.textColumns { #expect(cells.contains(column.text(hop)), "\(column.key)") }
      }
    }
    // A line for each hop in each of four charts, and bars.
    #expect(try document.nodes(forXPath: "//*[local-name()='svg'][@role='img']").count == 2 * 5)
    #expect(try document.nodes(forXPath: "//*[local-name()='path']").count == 4 * 3 + 3 * 2)
    #expect(try document.nodes(forXPath: "//*[local-name()='rect']").count == 5)
    // Nothing from anywhere else, and nothing that runs.
    for word in ["<script", "src=", "url(", "@import", "javascript:", "onload"] {
      #expect(!html.contains(word), "\(word)")
    }
    let links = try document.nodes(forXPath: "//@href").compactMap(\.stringValue)
    #expect(links.allSatisfy { $0.hasPrefix("#") })
    #expect(html.matches(of: /https?:/).count == 1, "the namespace of XHTML alone")
    #expect(html.contains("prefers-color-scheme: dark"))
  }

  /// Names come from files and from other machines.
  @Test func hostileNamesAreText() throws {
    let evil = "</title><script>alert('x')</script>\"&\u{0}\u{1b}[2J\u{202e}\u{ffff}"
    let start = RecordingSample.readings(0...3)
    let readings = start.map { timed in
      var timed = timed
      for index in timed.readings.indices {
        timed.readings[index].node = evil + "\(index)"
        timed.readings[index].problem = timed.readings[index].snapshot == nil ? evil : nil
        timed.readings[index].snapshot?.topology = evil
        for relay in timed.readings[index].snapshot?.relays.indices ?? 0..<0 {
          timed.readings[index].snapshot?.relays[relay].stream = evil + "\(relay)"
          timed.readings[index].snapshot?.relays[relay].sinks[0].name = evil + "\(index + 1)"
        }
      }
      return timed
    }
    let report = self.report(readings)
    let html = report.html()
    #expect(!html.contains("<script") && !html.contains("\u{1b}") && !html.contains("\u{202e}"))
    let title = try parse(html).nodes(forXPath: "//*[local-name()='h1']").first?.stringValue
    #expect(title == "</title><script>alert('x')</script>\"&??[2J??")
    #expect(!report.text().contains("\u{1b}"))
    _ = try object(try report.json())
  }

  @Test func nothingAtAllIsAReportToo() throws {
    let empty = PeriodBuilder(intervals: 0).result()
    #expect(empty.text().contains("0 readings"))
    _ = try parse(empty.html())
    _ = try object(try empty.json())
    let one = self.report(RecordingSample.readings(3...3))
    _ = try parse(one.html())
    #expect(try hop(one, "cam1", 0).row.rates == nil)
  }

  // MARK: Times

  @Test func timesOfTheCommandLine() throws {
    let start = MonitorSample.startNs + 500_000_000  // 15:09:26.5
    func seconds(_ text: String) throws -> Double {
      let ns = try #require(PeriodBound(text)).ns(startNs: start)
      return (Double(ns) - Double(start)) / 1e9
    }
    #expect(try seconds("90s") == 90)
    #expect(try seconds("5m") == 300)
    #expect(try abs(seconds("15:10") - 33.5) < 0.001)
    #expect(try abs(seconds("15:09:26") + 0.5) < 0.001)
    #expect(try abs(seconds("15:09") - (86_400 - 26.5)) < 0.001, "the next day")
    #expect(try abs(seconds("2026-03-14T15:09:30Z") - 3.5) < 0.001)
    for text in ["", "25:00", "12:60", "1:2", "yesterday", "-5s", "12:00:00:00", "2026-13-01T00:00:00Z"] {
      #expect(PeriodBound(text) == nil, "\(text)")
    }
  }

  @Test func spansOfARecording() async throws {
    let path = RecordingSample.path()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try await RecordingSample.record(RecordingSample.readings(0...50), to: path)
    let recording = try Recording(path: path)
    let run = PeriodRun(recording: recording, fromNs: MonitorSample.time(10), toNs: MonitorSample.time(20))
    guard case .done(let report) = try await run.run() else {
      Issue.record("no report")
      return
    }
    #expect(report.readings == 11 && report.seconds == 10)
    #expect(try hop(report, "cam1", 0).row.rates?.counters["packets_in"] == 5000)
    guard case .done(let whole) = try await PeriodRun(recording: recording).run() else {
      Issue.record("no report")
      return
    }
    #expect(try whole.json() == sample.json(), "the recording tells what the nodes told")
    await #expect(throws: RecordingError.self) {
      try await PeriodRun(recording: recording, fromNs: MonitorSample.time(60)).run()
    }
  }
}
