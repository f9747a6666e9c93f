import Foundation
import Synchronization
import Testing

@testable import StreamRouter

/// What goes to stdout without a live view.
@Suite struct MonitorReportTests {
  /// Reports of one run, a quarter of a second apart.
  private func run(
    _ format: MonitorReport.Format, count: Int? = nil, source: any SnapshotSource = SampleSource(),
    filter: String = "", readerLeavesAfter: Int = .max
  ) async throws -> (end: MonitorReport.End, texts: [String]) {
    let texts = Mutex<[String]>([])
    let report = MonitorReport(
      source: source, format: format, interval: .milliseconds(10), count: count, style: MonitorSample.plain,
      filter: filter)
    let end = try await report.run { text in
      texts.withLock {
        $0.append(text)
        return $0.count < readerLeavesAfter
      }
    }
    return (end, texts.withLock { $0 })
  }

  private func object(_ text: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  @Test func oneTableByDefault() async throws {
    let (end, texts) = try await run(.table)
    #expect(end == .done)
    #expect(texts.count == 1)
    #expect(texts[0].hasPrefix("STREAM"))
    #expect(texts[0].contains("4.80M"))
    #expect(!texts[0].contains("\u{1b}"))
  }

  @Test func jsonIsOneValidDocument() async throws {
    let (_, texts) = try await run(.json)
    #expect(texts.count == 1)
    let document = try object(texts[0])
    #expect(document["topology"] as? String == "studio")
    let time = try #require(document["time"] as? String)
    #expect(time.contains(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/))
    let nodes = try #require(document["nodes"] as? [[String: Any]])
    #expect(nodes.map { $0["state"] as? String } == ["up", "up", "up", "down"])
    #expect(nodes[3]["problem"] as? String == "connection refused")
    #expect(nodes[3]["load"] is NSNull)
    #expect((nodes[0]["load"] as? [String: Any])?["softirqShare"] as? Double == 0.125)
    let relays = try #require(nodes[0]["relays"] as? [[String: Any]])
    #expect(relays[0]["packetsPerSecond"] as? Double == 500)
    #expect(relays[0]["bitsPerSecond"] as? Double == 4_800_000)
    #expect(relays[0]["intervalSeconds"] as? Double == 1)
    #expect(relays[0]["hop"] as? Int == 0)
    #expect(relays[0]["lossRatio"] as? Double == 0)
    #expect(relays[1]["lossRatio"] is NSNull)
    let counters = try #require(relays[0]["counters"] as? [String: Any])
    #expect(Set(counters.keys) == Set(Counter.relay.map(\.name)))
    #expect(counters["packets_in"] as? UInt64 == 1000)
    for column in MonitorColumn.all where column.isSortable {
      #expect(relays[0][column.key] != nil, "\(column.key)")
    }
  }

  /// Rates of a silent node are null, its age is said, and its last counters stay.
  @Test func jsonOfAStaleNodeHasNoZeros() throws {
    var board = MonitorSample.board()
    var readings = MonitorSample.readings(seconds: 46)
    readings[1].snapshot = MonitorSample.readings(seconds: 45)[1].snapshot
    readings[1].staleSeconds = 12.5
    readings[1].problem = "timed out"
    board.take(readings, timeNs: MonitorSample.time(58))
    let document = try object(try MonitorDocument(board, order: MonitorOrder()).json(pretty: true))
    let node = try #require((document["nodes"] as? [[String: Any]])?[1])
    #expect(node["state"] as? String == "stale")
    #expect(node["staleSeconds"] as? Double == 12.5)
    let relay = try #require((node["relays"] as? [[String: Any]])?.first)
    for key in ["packetsPerSecond", "jitterSeconds", "lossRatio", "residenceP99Seconds", "intervalSeconds"] {
      #expect(relay[key] is NSNull, "\(key)")
    }
    #expect((relay["counters"] as? [String: Any])?["packets_in"] as? UInt64 == 22_488)
  }

  @Test func jsonlIsOneObjectALine() async throws {
    let (end, texts) = try await run(.jsonl, count: 3)
    #expect(end == .done)
    #expect(texts.count == 3)
    for text in texts {
      #expect(text.hasSuffix("}\n") && text.filter(\.isNewline).count == 1)
      #expect(try object(text)["version"] as? Int == 1)
    }
  }

  @Test func jsonlGoesOnUntilItsReaderLeaves() async throws {
    let (end, texts) = try await run(.jsonl, readerLeavesAfter: 5)
    #expect(end == .outputClosed)
    #expect(texts.count == 5)
  }

  @Test func namesThatNeedEscapesStayValidJSON() throws {
    var board = MonitorBoard()
    board.take([NodeReading(node: "a\"b\\\n\u{1}", snapshot: nil, problem: "☠ \u{2028}")], timeNs: 0)
    let document = try object(try MonitorDocument(board, order: MonitorOrder()).json(pretty: false))
    let node = try #require((document["nodes"] as? [[String: Any]])?.first)
    #expect(node["node"] as? String == "a\"b\\\n\u{1}")
    #expect(document["topology"] is NSNull)
  }

  @Test func csvHasOneHeaderAndEqualFields() async throws {
    let (_, texts) = try await run(.csv, count: 2, filter: "cam")
    let lines = texts.joined().split(separator: "\n")
    #expect(lines.count { $0.hasPrefix("time,") } == 1)
    // cam1 at three hops, telemetry on camera, and the node that never answered; twice.
    #expect(lines.count == 1 + 2 * 5)
    let fields = lines[0].split(separator: ",").count
    for line in lines { #expect(line.split(separator: ",", omittingEmptySubsequences: false).count == fields) }
  }

  @Test func csvQuoting() {
    #expect(CSVReport.quoted("plain text") == "plain text")
    #expect(CSVReport.quoted("a,b") == "\"a,b\"")
    #expect(CSVReport.quoted("say \"x\"") == "\"say \"\"x\"\"\"")
    #expect(CSVReport.quoted("a\r\nb") == "\"a\r\nb\"")
    #expect(CSVReport.quoted("") == "")
  }

  private struct SilentSource: SnapshotSource {
    func read() async -> [NodeReading] {
      [NodeReading(node: "edge", snapshot: nil, problem: "no such file or directory")]
    }
  }

  @Test(arguments: MonitorReport.Format.allCases)
  func noNodeAnswers(_ format: MonitorReport.Format) async throws {
    let (end, texts) = try await run(format, source: SilentSource())
    guard case .noNodeAnswers(let readings) = end else {
      Issue.record("\(end)")
      return
    }
    #expect(readings.map(\.problem) == ["no such file or directory"])
    #expect(texts.isEmpty)
  }

  @Test func columnsAreTheSameEverywhere() {
    let all = MonitorColumn.all
    #expect(Set(all.map(\.name)).count == all.count)
    #expect(Set(all.map(\.key)).count == all.count)
    let importances = all.compactMap(\.importance)
    #expect(Set(importances).count == importances.count)
    #expect(Set(MonitorColumn.sortable) == Set(all.filter(\.isSortable).map(\.name)))
    for column in all where column.importance != nil {
      #expect(column.title.count <= column.width.lowerBound, "\(column.name)")
    }
  }
}
