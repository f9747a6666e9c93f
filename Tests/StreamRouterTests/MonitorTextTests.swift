import Testing

@testable import StreamRouter

/// Figures, widths, bars, styles, and what is written to the terminal.
@Suite struct MonitorTextTests {
  @Test(arguments: [
    (0.0, "0"), (7, "7"), (0.5, "0.50"), (49.84, "49.8"), (999, "999"), (999.6, "1.00k"), (4980, "4.98k"),
    (99_960, "100k"), (12_345_678, "12.3M"), (9.1e9, "9.10G"),
  ])
  func scaled(value: Double, text: String) { #expect(Figure.scaled(value) == text) }

  @Test(arguments: [
    (0.0, "0"), (8.5e-7, "850ns"), (9.999e-7, "1.00us"), (1.23e-5, "12.3us"), (3.523e-3, "3.52ms"),
    (0.9999, "1.00s"), (240, "240s"),
  ])
  func durations(seconds: Double, text: String) { #expect(Figure.duration(seconds: seconds) == text) }

  /// One packet in a million must not look like none.
  @Test(arguments: [(0.0, "0"), (1e-6, "<0.01"), (0.0012, "0.12"), (0.123, "12.3"), (1, "100")])
  func percents(ratio: Double, text: String) { #expect(Figure.percent(ratio) == text) }

  @Test func otherFigures() {
    #expect(Figure.grouped(0) == "0")
    #expect(Figure.grouped(1_234_567) == "1 234 567")
    #expect(Figure.grouped(123_456) == "123 456")
    #expect(Figure.age(seconds: 12.9) == "12s")
    #expect(Figure.age(seconds: 7199) == "119m")
    #expect(Figure.age(seconds: 90_000) == "25h")
    #expect(Figure.age(seconds: 1e6) == "11d")
    #expect(Figure.clock(timeNs: MonitorSample.startNs) == "15:09:26")
  }

  @Test func namesWithNumbersCountUp() {
    let ordered = ["", "7", "10", "cam", "cam-1", "cam1", "cam02", "cam2", "cam2b", "cam10", "dec"]
    #expect(ordered.reversed().sorted(by: NaturalOrder.isLess) == ordered)
    for name in ordered { #expect(!NaturalOrder.isLess(name, name)) }
  }

  @Test func widths() {
    #expect(TextWidth.cells("cam-1") == 5)
    #expect(TextWidth.cells("漢字") == 4)
    #expect(TextWidth.cells("e\u{301}") == 1)
    #expect(TextWidth.cells("▁█…") == 3)
    #expect(TextWidth.cells("😀") == 2)
    #expect(TextWidth.cut("studio-main", to: 8, mark: "…") == "studio-…")
    #expect(TextWidth.cut("漢字漢字", to: 4, mark: "~") == "漢~")
    #expect(TextWidth.fit("漢字漢字", to: 4, mark: "~") == "漢~ ")
    #expect(TextWidth.fit("42", to: 5, mark: "~", alignRight: true) == "   42")
    #expect(TextWidth.cut("ab", to: 0, mark: "~") == "")
  }

  @Test func sparklines() {
    #expect(Sparkline.text([0, 1, 2, 3, 4, 5, 6, 7], cells: 8, unicode: true) == "▁▂▃▄▅▆▇█")
    #expect(Sparkline.text([nil, 0, 7], cells: 8, unicode: false) == " _#")
    #expect(Sparkline.text([0, 0], cells: 2, unicode: true) == "▁▁")
    // A spike stays when four values share a bar.
    #expect(Sparkline.text([0, 0, 9, 0, 1, 0, 0, 0], cells: 2, unicode: true) == "█▂")
    #expect(Sparkline.text([], cells: 5, unicode: true) == "")
    #expect(Sparkline.bar(share: 0.001, cells: 10, unicode: false) == "#")
    #expect(Sparkline.bar(share: 0, cells: 10, unicode: false) == "")
  }

  @Test func styleFollowsTheEnvironment() {
    func style(
      _ environment: [String: String], isTerminal: Bool = true, colour: MonitorStyle.Colour = .auto,
      ascii: Bool = false
    ) -> MonitorStyle {
      MonitorStyle(environment: environment, isTerminal: isTerminal, colour: colour, ascii: ascii)
    }
    let xterm = ["TERM": "xterm-256color", "LANG": "en_US.UTF-8"]
    #expect(style(xterm) == MonitorStyle(colour: true, unicode: true))
    #expect(!style(xterm, isTerminal: false).colour)
    #expect(!style(xterm, colour: .never).colour)
    #expect(style(xterm.merging(["NO_COLOR": ""]) { $1 }).colour)
    #expect(!style(xterm.merging(["NO_COLOR": "1"]) { $1 }).colour)
    #expect(style(xterm.merging(["NO_COLOR": "1"]) { $1 }, isTerminal: false, colour: .always).colour)
    #expect(!style(["TERM": "dumb"]).colour)
    #expect(!style(xterm.merging(["LC_ALL": "C"]) { $1 }).unicode)
    #expect(style(["LC_ALL": "", "LC_CTYPE": "C.utf8", "LANG": "C"]).unicode)
    #expect(!style(xterm, ascii: true).unicode)
    #expect(MonitorStyle.isDumb([:]) && MonitorStyle.isDumb(["TERM": "dumb"]) && !MonitorStyle.isDumb(xterm))
  }

  @Test func colourIsNeverAlone() {
    var line = StyledLine("a ", .plain)
    line.append("drop", .bad)
    #expect(line.rendered(MonitorStyle(colour: true, unicode: true)) == "a \u{1b}[1;31mdrop\u{1b}[0m")
    #expect(line.rendered(MonitorStyle(colour: false, unicode: true)) == "a \u{1b}[1mdrop\u{1b}[0m")
    var state = MonitorSample.state(columns: 120, rows: 20)
    _ = state.press(.down)
    let frame = MonitorView(state: state, style: MonitorSample.plain).frame()
    let output = frame.map { $0.rendered(MonitorSample.plain) }.joined()
    // ECMA-48 colours are 30 to 49.
    #expect(!output.contains(/\u{1b}\[(?:[0-9]+;)*[34][0-9]m/))
    #expect(output.contains("\u{1b}[7m"))
  }

  @Test func linesAreCutAcrossPieces() {
    var line = StyledLine("abc")
    line.append("def", .good)
    line.append("ghi")
    #expect(line.cut(to: 9, mark: "~").text == "abcdefghi")
    #expect(line.cut(to: 7, mark: "~").text == "abcdef~")
    #expect(line.cut(to: 4, mark: "~").text == "abc~")
    #expect(line.cut(to: 0, mark: "~").text == "")
  }

  @Test func onlyChangedLinesAreWritten() {
    var writer = FrameWriter()
    let style = MonitorSample.plain
    func update(_ lines: [String], columns: Int = 10) -> String {
      writer.update(to: lines.map { StyledLine($0) }, columns: columns, style: style)
    }
    #expect(update(["one", "", "three"]) == "\u{1b}[0m\u{1b}[2J\u{1b}[1;1Hone\u{1b}[3;1Hthree")
    #expect(update(["one", "", "three"]) == "")
    #expect(update(["one", "two", "three"]) == "\u{1b}[2;1Htwo\u{1b}[K")
    // A line that fills the width must not be followed by an erase: it would take the last cell.
    #expect(update(["one", "two", "0123456789"]) == "\u{1b}[3;1H0123456789")
    #expect(update(["one", "two", "0123456789"], columns: 11).hasPrefix("\u{1b}[0m\u{1b}[2J\u{1b}[1;1Hone"))
    writer.reset()
    #expect(update(["one"], columns: 11) == "\u{1b}[0m\u{1b}[2J\u{1b}[1;1Hone")
  }
}
