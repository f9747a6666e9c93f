import Testing

@testable import StreamRouter

/// Bytes to keys, and keys to what is on show.
@Suite struct MonitorKeyTests {
  private func decode(_ bytes: [UInt8]) -> [Key] {
    var decoder = KeyDecoder()
    return decoder.feed(bytes)
  }

  @Test(arguments: [
    ("\u{1b}[A", Key.up), ("\u{1b}[B", .down), ("\u{1b}OC", .right), ("\u{1b}[1;5D", .left),
    ("\u{1b}[5~", .pageUp),
    ("\u{1b}[6;2~", .pageDown), ("\u{1b}[H", .home), ("\u{1b}[8~", .end), ("\u{1b}[3~", .delete),
    ("\r", .enter),
    ("\u{1b}OM", .enter), ("\u{7f}", .backspace), ("\t", .tab), ("\u{3}", .control("c")),
    ("j", .character("j")),
    ("é", .character("é")), ("漢", .character("漢")), ("😀", .character("😀")),
  ])
  func sequences(text: String, key: Key) {
    #expect(decode(Array(text.utf8)) == [key])
    // Split at every place, as slow links do.
    var decoder = KeyDecoder()
    let keys = text.utf8.flatMap { decoder.feed([$0]) }
    #expect(keys == [key])
    #expect(!decoder.isWaiting)
  }

  @Test func aLoneEscapeIsAKeyAfterAMoment() {
    var decoder = KeyDecoder()
    #expect(decoder.feed([0x1b]) == [])
    #expect(decoder.isWaiting)
    #expect(decoder.timeout() == [.escape])
    #expect(!decoder.isWaiting)
    #expect(decoder.feed([0x5b]) == [.character("[")])
  }

  @Test func escapeBeforeOtherKeys() {
    #expect(decode([0x1b, 0x1b, 0x5b, 0x41]) == [.escape, .up])
    #expect(decode([0x1b, 0x6a]) == [.escape, .character("j")])
  }

  @Test func whatIsNoKeyIsSwallowed() {
    #expect(decode(Array("\u{1b}[200~a\u{1b}[?1;2cb".utf8)) == [.character("a"), .character("b")])
    #expect(decode([0xff, 0xc3, 0x41]) == [.character("A")])
    var decoder = KeyDecoder()
    #expect(decoder.feed(Array("\u{1b}[".utf8)) == [])
    #expect(decoder.timeout() == [])
    #expect(decoder.feed([UInt8(ascii: "q")]) == [.character("q")])
  }

  /// A sequence without end must not hold keys for ever.
  @Test func endlessSequencesEnd() {
    var decoder = KeyDecoder()
    _ = decoder.feed([0x1b, 0x5b] + Array(repeating: UInt8(ascii: "1"), count: 100))
    #expect(!decoder.isWaiting)
  }

  private func press(_ state: inout MonitorState, _ keys: Key...) { for key in keys { _ = state.press(key) } }

  private func names(_ state: MonitorState) -> [String] { state.rows.map { "\($0.relay.stream)@\($0.node)" } }

  @Test func quitting() {
    var state = MonitorSample.state(columns: 80, rows: 24)
    #expect(state.press(.character("q")) == .quit(keepScreen: false))
    #expect(state.press(.character("Q")) == .quit(keepScreen: true))
    #expect(state.press(.control("c")) == .quit(keepScreen: false))
    #expect(state.press(.escape) == .none)
  }

  @Test func selectionStaysOnItsRelay() {
    var state = MonitorSample.state(columns: 120, rows: 24)
    #expect(state.selected == 0)
    press(&state, .down, .character("j"), .character("j"))
    #expect(state.selected == 3)
    #expect(names(state)[3] == "telemetry@camera")
    press(&state, .character("r"))
    #expect(names(state)[state.selected!] == "telemetry@camera")
    press(&state, .character("g"), .up)
    #expect(state.selected == 0)
    press(&state, .character("G"), .down)
    #expect(state.selected == 4)
    press(&state, .character("k"), .up, .up)
    #expect(state.selected == 1)
  }

  @Test func scrollingKeepsTheSelectionOnTheScreen() {
    let relays = (0..<100).map { MonitorSample.relay("s\(1000 + $0)", hop: 0, seconds: 1) }
    var state = MonitorState(size: .init(columns: 80, rows: 14))
    state.take([MonitorSample.node("edge", seconds: 1, relays: relays)], timeNs: MonitorSample.time(1))
    let visible = state.layout.rows
    #expect(visible == 10)
    for key: Key in [.pageDown, .down, .down, .end, .up, .pageUp, .home, .control("f")] {
      press(&state, key)
      #expect((state.top..<state.top + visible).contains(state.selected!))
    }
    press(&state, .end)
    #expect(state.top == 90)
    state.resize(.init(columns: 80, rows: 64))
    #expect(state.top == 40)
  }

  @Test func filterIsTypedAndCleared() {
    var state = MonitorSample.state(columns: 120, rows: 24)
    press(&state, .character("/"), .character("E"), .character("d"), .character("q"), .backspace)
    #expect(state.isEditingFilter)
    #expect(names(state) == ["cam1@edge", "telemetry@edge"])
    #expect(MonitorSample.text(state).contains("/Ed_"))
    press(&state, .enter)
    #expect(!state.isEditingFilter)
    #expect(MonitorSample.text(state).contains("2 of 5 relays  filter Ed"))
    press(&state, .escape)
    #expect(state.rows.count == 5)
    press(&state, .character("/"), .character("!"), .character("c"), .character("a"), .character("m"), .enter)
    #expect(names(state) == ["telemetry@edge"])
    press(&state, .character("/"), .escape)
    #expect(state.order.filter.isEmpty)
    press(&state, .character("/"), .character("x"), .character("y"))
    #expect(MonitorSample.text(state).contains("no relay matches the filter"))
    #expect(state.selected == nil)
  }

  @Test func sortGoesThroughTheColumnsOnShow() {
    var state = MonitorSample.state(columns: 60, rows: 24)
    press(&state, .character(">"), .character(">"), .character(">"))
    #expect(state.order.column == "pps")
    #expect(state.order.isDescending)
    #expect(names(state).prefix(2) == ["telemetry@camera", "telemetry@edge"])
    press(&state, .character("r"))
    #expect(names(state).first == "cam1@edge")
    press(&state, .character("<"), .left, .left, .left)
    #expect(state.order.column == "p99")
    press(&state, .right)
    #expect(state.order.column == "stream")
  }

  @Test func rowsWithoutAValueStandLastEitherWay() {
    var state = MonitorSample.state(columns: 120, rows: 24)
    while state.order.column != "loss" { press(&state, .character(">")) }
    #expect(
      names(state) == ["cam1@edge", "cam1@camera", "cam1@studio-main", "telemetry@camera", "telemetry@edge"])
    press(&state, .character("r"))
    #expect(names(state).suffix(2) == ["telemetry@camera", "telemetry@edge"])
  }

  @Test func freezingHoldsThePictureAndMissesNothing() {
    var state = MonitorSample.state(columns: 120, rows: 24)
    press(&state, .character(" "))
    let frozen = MonitorSample.text(state)
    #expect(frozen.contains("FROZEN 15:10:11 UTC"))
    state.take(MonitorSample.readings(seconds: 46), timeNs: MonitorSample.time(46))
    state.take(MonitorSample.readings(seconds: 47), timeNs: MonitorSample.time(47))
    #expect(MonitorSample.text(state) == frozen)
    press(&state, .character(" "))
    #expect(MonitorSample.text(state).contains(" 15:10:13 UTC"))
    #expect(!MonitorSample.text(state).contains("FROZEN"))
    #expect(state.rows[0].history.jitter.seconds.suffix(2).allSatisfy { $0 != nil })
  }

  @Test func detailScrollsWithinItsText() {
    var state = MonitorSample.state(columns: 80, rows: 12)
    press(&state, .down, .enter)
    #expect(state.page == .detail(.init(stream: "cam1", hop: 1, node: "edge")))
    press(&state, .up)
    #expect(state.scroll == 0)
    press(&state, .end)
    let last = MonitorSample.text(state)
    #expect(last.contains("< 16.4us"))
    press(&state, .down)
    #expect(MonitorSample.text(state) == last)
    press(&state, .character("?"))
    #expect(state.page == .help)
    #expect(state.scroll == 0)
    press(&state, .escape)
    #expect(state.page == .table)
  }

  @Test func detailOfARelayThatIsGone() {
    var state = MonitorSample.state(columns: 80, rows: 12)
    press(&state, .enter)
    var readings = MonitorSample.readings(seconds: 46)
    readings[0].snapshot?.relays = []
    state.take(readings, timeNs: MonitorSample.time(46))
    #expect(MonitorSample.text(state).contains("stream cam1, hop 0 on node camera  no longer deployed"))
  }
}
