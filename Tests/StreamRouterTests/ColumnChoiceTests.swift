import Testing

@testable import StreamRouter

/// Which columns are shown: read from an option, changed by keys, fitted to a width.
@Suite struct ColumnChoiceTests {
  private static let usual = MonitorColumn.all.filter { $0.importance != nil }.map(\.name)

  @Test func aListIsShownInItsOrder() throws {
    let choice = try ColumnChoice("jitter,stream, ipdv")
    #expect(choice.columns.map(\.name) == ["jitter", "stream", "ipdv"])
    #expect(choice.text == "jitter,stream,ipdv")
    #expect(try ColumnChoice(choice.text) == choice)
  }

  @Test func changesAddToTheUsualAndTakeFromThem() throws {
    #expect(
      try ColumnChoice("+ipdv,-max").columns.map(\.name) == Self.usual.filter { $0 != "max" } + ["ipdv"])
    #expect(ColumnChoice().columns.map(\.name) == Self.usual)
    #expect(try ColumnChoice("all").columns.map(\.name) == MonitorColumn.all.map(\.name))
  }

  @Test(arguments: [
    ("", ColumnChoice.Failure.unknown("")), ("stream,nod", .unknown("nod")), ("+x", .unknown("x")),
    ("stream,stream", .twice("stream")), ("+ipdv,-ipdv", .twice("ipdv")), ("stream,+ipdv", .mixed("stream")),
    (usual.map { "-" + $0 }.joined(separator: ","), .none),
  ])
  func whatIsNoChoiceIsRefused(text: String, failure: ColumnChoice.Failure) {
    #expect(throws: failure) { try ColumnChoice(text) }
  }

  /// What was asked for stays longest, the first the longest of all.
  @Test func whatWasAskedForGivesWayLast() throws {
    let choice = try ColumnChoice("+link-added,+ipdv")
    #expect(choice.fitting(8, gap: 1).map(\.name) == ["link-added"])
    #expect(choice.fitting(14, gap: 1).map(\.name) == ["link-added", "ipdv"])
    #expect(choice.fitting(40, gap: 1).map(\.name).contains("ipdv"))
    // One that does not fit is shown all the same: a table of nothing says nothing.
    #expect(choice.fitting(3, gap: 1).map(\.name) == ["link-added"])
  }

  @Test func keysChangeTheChoice() {
    var choice = ColumnChoice()
    choice.toggle("stream")
    choice.toggle("added")
    choice.move("added", by: -1)
    choice.move("hop", by: -1)
    #expect(!choice.shows("stream"))
    #expect(choice.columns.map(\.name).first == "hop")
    #expect(choice.columns.map(\.name).suffix(2) == ["added", "minute"])
    for name in choice.columns.map(\.name) { choice.toggle(name) }
    #expect(choice.columns.count == 1)
  }

  @Test func oneRuleForTableAndCSV() throws {
    let order = MonitorOrder(sort: nil, filter: "cam1", columns: try ColumnChoice("node,lost,minute,stream"))
    let board = MonitorSample.board()
    let table = TableReport.text(board, order: order, style: MonitorSample.plain)
    #expect(table.hasPrefix("NODE         LOST  STREAM\ncamera          0  cam1\nedge           12  cam1\n"))
    let header = CSVReport.header(order.columns)
    #expect(header == "time,nodeState,staleSeconds,problem,node,packetsLost,stream\n")
    let body = CSVReport.body(board, order: order).split(separator: "\n")
    #expect(body.count == 4)
    #expect(body[1].hasSuffix(",up,,,edge,12,cam1"))
    #expect(body.allSatisfy { $0.split(separator: ",", omittingEmptySubsequences: false).count == 7 })
  }
}

@Suite struct MonitorThemeTests {
  @Test func everyThemeIsFoundByItsName() throws {
    for name in MonitorTheme.names { #expect(try MonitorTheme(name).name == name) }
    var theme = MonitorTheme.standard
    for _ in MonitorTheme.names { theme = theme.next }
    #expect(theme == .standard)
  }

  @Test func pairsChangeTheDefault() throws {
    let theme = try MonitorTheme("good=34,bad=1;38;5;208,faint=")
    #expect(theme.code(.good) == "34")
    #expect(theme.code(.bad) == "1;38;5;208")
    #expect(theme.code(.faint) == "")
    #expect(theme.code(.warning) == MonitorTheme.standard.code(.warning))
    #expect(theme.next == .standard)
  }

  /// What the user writes goes to the terminal.
  @Test(arguments: [
    ("nice", MonitorTheme.Failure.unknown("nice")), ("nice=1", .unknownPart("nice")),
    ("good=red", .noCode(part: "good", code: "red")),
    ("good=1m\u{1b}[2J", .noCode(part: "good", code: "1m\u{1b}[2J")),
    ("good=1;;2", .noCode(part: "good", code: "1;;2")), ("good=256", .noCode(part: "good", code: "256")),
  ])
  func whatIsNoThemeIsRefused(text: String, failure: MonitorTheme.Failure) {
    #expect(throws: failure) { try MonitorTheme(text) }
  }

  /// Without colours a theme changes nothing.
  @Test func withoutColourAllThemesAreOne() throws {
    var line = StyledLine("a", .good)
    line.append("b", .bad)
    line.isSelected = true
    let frames = Set(
      try MonitorTheme.names.map {
        line.rendered(MonitorStyle(colour: false, unicode: true, theme: try MonitorTheme($0)))
      })
    #expect(frames == ["\u{1b}[7ma\u{1b}[1mb\u{1b}[0m\u{1b}[7m\u{1b}[0m"])
  }
}

@Suite struct StreamPathTests {
  private func row(_ node: String, _ hop: Int, _ sinks: [(RelaySinkKind, String)]) -> MonitorRow {
    var relay = MonitorSample.relay("s", hop: hop, seconds: 1)
    relay.sinks = sinks.map { kind, name in
      var sink = relay.sinks[0]
      sink.kind = kind == .node ? .node : .host
      sink.name = name
      return sink
    }
    return MonitorRow(node: node, relay: relay)
  }

  private enum RelaySinkKind { case node, host }

  private func drawn(_ path: StreamPath) -> [String] {
    path.steps.map { step in
      let text =
        switch step.place {
        case .entry(let to): "> \(path.rows[to].node)"
        case .link(let from, let to): "\(path.rows[from].node)-\(path.rows[to].node)"
        case .hop(let index): path.rows[index].node
        case .sink(let sink, let from): "\(path.rows[from].node)=\(sink.name)"
        case .unknownHop(let sink, let from): "\(path.rows[from].node)?\(sink.name)"
        }
      return String(repeating: " ", count: step.depth) + text
    }
  }

  @Test func branchesAreIndentedAndTheLastGoesOn() {
    let rows = [
      row("c", 2, [(.host, "x")]), row("a", 0, [(.node, "b"), (.node, "c")]), row("b", 1, [(.host, "y")]),
    ]
    #expect(
      drawn(StreamPath(stream: "s", rows: rows)) == [
        "> a", "a", " a-b", " b", " b=y", "a-c", "c", "c=x",
      ])
  }

  /// Snapshots of different moments may contradict each other: a circle ends, and nothing is left out.
  @Test func circlesAndGapsAreDrawnOnce() {
    let rows = [
      row("a", 0, [(.node, "b")]), row("b", 1, [(.node, "a")]), row("d", 3, [(.node, "gone")]),
    ]
    let steps = drawn(StreamPath(stream: "s", rows: rows))
    #expect(steps == ["> d", "d", "d?gone", "> a", "a", "a-b", "b", "b-a"])
    #expect(StreamPath(stream: "other", rows: rows).steps.isEmpty)
  }
}

@Suite struct ChartTests {
  @Test func barsStandOverSeveralLines() {
    #expect(
      Chart.lines([0, 1, 2, nil, 4], cells: 5, height: 2, unicode: true) == ["    █", "▁▄█ █"])
    #expect(Chart.lines([0, 1, 2, nil, 4], cells: 5, height: 2, unicode: false) == ["    #", "_.# #"])
  }

  /// A spike is not hidden where there are more values than cells.
  @Test func aSpikeIsKept() {
    let values: [Double?] = (0..<60).map { $0 == 31 ? 9 : 0 }
    #expect(Chart.lines(values, cells: 10, height: 1, unicode: true) == ["▁▁▁▁▁█▁▁▁▁"])
    #expect(Chart.lines([], cells: 10, height: 1, unicode: true) == [])
  }

  @Test func aSumAddsUpWithinASecond() {
    var series = MinuteSeries(.sum)
    for ns: UInt64 in [5_000_000_000, 5_500_000_000, 6_000_000_000] { series.record(2, timeNs: ns) }
    #expect(series.seconds.suffix(2) == [4, 2])
    #expect(series.largest == 4)
  }
}
