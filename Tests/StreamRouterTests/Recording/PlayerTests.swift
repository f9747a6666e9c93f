import Testing

@testable import StreamRouter

/// A recording moves in its own time, and as keys have it.
@Suite struct PlayerTests {
  private static let second: UInt64 = 1_000_000_000

  /// Readings at these seconds; a negative one begins a session.
  private func player(_ seconds: [Int]) -> Player {
    var session: Int64 = 1
    return Player(
      seconds.enumerated().map { index, second in
        if second < 0 { session += 1 }
        return Recording.Entry(
          id: Int64(index), session: session, timeNs: MonitorSample.time(abs(second)), isFull: index == 0)
      })
  }

  @Test func timeMovesAtTheRecordedPace() {
    var player = player([10, 11, 12, 15, 16])
    var now: UInt64 = 500
    player.tick(nowNs: now)
    // With two readings there is an interval to show.
    #expect(player.position == 1)
    var seen: [Int] = []
    for _ in 0..<60 {
      now += Self.second / 10
      player.tick(nowNs: now)
      seen.append(player.position)
    }
    #expect([seen[8], seen[10], seen[38], seen[41], seen[59]] == [1, 2, 2, 3, 4])
    #expect(player.isAtEnd)
  }

  @Test func keysStepJumpPauseAndHurry() {
    var player = player(Array(0...200))
    player.tick(nowNs: 0)
    func press(_ key: Character) { player.obey(Player.Command(.character(key))!) }
    press("}")
    #expect(player.position == 61)
    press("{")
    #expect(player.position == 1)
    press("]")
    #expect(player.position == 2 && player.isPaused)
    press("[")
    press("[")
    press("[")
    #expect(player.position == 0, "no further than the first")
    player.tick(nowNs: 30 * Self.second)
    #expect(player.position == 0, "paused")
    press(" ")
    press("+")
    press("=")
    player.tick(nowNs: 31 * Self.second + 1)
    #expect(player.position == 4 && player.speed == 4)
    for _ in 0..<20 { press("-") }
    #expect(player.speed == 0.125)
    for _ in 0..<20 { press("+") }
    #expect(player.speed == 1024)
    for _ in 0..<9 { press("}") }
    #expect(player.isAtEnd && player.position == 200)
    #expect(Player.Command(.character("q")) == nil)
  }

  /// The hours between two sessions pass at once, and a clock that was set back does not stop it.
  @Test func gapsAndClocksSetBack() {
    var player = player([0, 1, -5000, 5001, 4000, 4001])
    var now: UInt64 = 0
    var seen: [Int] = []
    player.tick(nowNs: now)
    for _ in 0..<40 {
      now += Self.second / 10
      player.tick(nowNs: now)
      seen.append(player.position)
    }
    #expect(player.isAtEnd, "\(seen)")
  }

  @Test func oneReadingIsAllThereIs() {
    var player = player([3])
    player.tick(nowNs: 0)
    player.tick(nowNs: 60 * Self.second)
    player.obey(.step(1))
    player.obey(.jump(seconds: -60))
    #expect(player.position == 0 && player.isAtEnd)
  }

  /// Wherever one goes, the board is the one that was live at that moment.
  @Test func theBoardFollowsThePlayer() async throws {
    let path = RecordingSample.path()
    let readings = RecordingSample.readings(0...75)
    try await RecordingSample.record(readings, to: path)
    var playback = Playback(try Recording(path: path))
    var board = MonitorBoard()
    for command in [
      Player.Command.step(3), .jump(seconds: 60), .step(-1), .step(1), .step(1), .jump(seconds: -60),
    ] {
      playback.obey(command)
      board = try playback.update(board)
      let position = playback.player.position
      var live = MonitorBoard()
      for reading in readings[...position] { live.take(reading) }
      #expect(board.rows.map(\.rates) == live.rows.map(\.rates), "at \(position)")
      #expect(board.rows.map(\.relay) == live.rows.map(\.relay))
      #expect(board.timeNs == live.timeNs && !playback.isDue)
    }
  }

  @Test func theHeaderSaysWhatIsPlayed() {
    var state = MonitorSample.state(columns: 120, rows: 12)
    var player = player([0, 1, 2, 3])
    player.obey(.faster)
    state.player = player
    let text = MonitorSample.text(state)
    #expect(text.split(separator: "\n")[0].hasSuffix("PLAY x2 2/4 2026-03-14 15:09:27 UTC"), "\(text)")
    #expect(text.contains("space pause"))
    #expect(state.press(.character(" ")) == .play(.pause))
    #expect(state.press(.character("[")) == .play(.step(-1)))
    #expect(!state.isFrozen)
    _ = state.press(.character("?"))
    #expect(
      MonitorSample.text(state).contains("Keys") && HelpView.lines(playing: true).count > HelpView.lines().count
    )
    _ = state.press(.escape)
    state.player = nil
    state.recording = .stopped
    #expect(MonitorSample.text(state).contains("NOT RECORDING"))
    #expect(state.press(.character("[")) == .none)
  }
}
