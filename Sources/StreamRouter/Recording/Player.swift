/// Where the playing of a recording stands, and how fast it goes: a state machine without clock or file.
struct Player: Sendable {
  /// What a key asks of it.
  enum Command: Hashable, Sendable {
    case pause
    /// To the reading that many on, or back.
    case step(Int)
    case jump(seconds: Int)
    case faster, slower

    /// nil for keys that mean nothing to it.
    init?(_ key: Key) {
      switch key {
      case .character(" "): self = .pause
      case .character("]"): self = .step(1)
      case .character("["): self = .step(-1)
      case .character("}"): self = .jump(seconds: 60)
      case .character("{"): self = .jump(seconds: -60)
      case .character("+"), .character("="): self = .faster
      case .character("-"): self = .slower
      default: return nil
      }
    }
  }

  private static let speeds = 0.125...1024.0

  private let entries: [Recording.Entry]
  /// Index of the reading on show.
  private(set) var position: Int
  /// Recorded seconds in a second.
  private(set) var speed = 1.0
  private(set) var isPaused = false
  /// The moment of the recording that is played, nanoseconds since 1970; between two readings most of the time.
  private var playedNs: Double
  private var lastTickNs: UInt64?

  /// - Parameter entries: At least one.
  init(_ entries: [Recording.Entry]) {
    self.entries = entries
    // With the second there is an interval to show.
    position = entries.count > 1 && entries[1].session == entries[0].session ? 1 : 0
    playedNs = Double(entries[position].timeNs)
  }

  var count: Int { entries.count }
  var timeNs: UInt64 { entries[position].timeNs }
  var isAtEnd: Bool { position == entries.count - 1 }

  /// Lets time pass; `nowNs` is of a clock that nobody sets. Changes ``position`` where a reading is due.
  mutating func tick(nowNs: UInt64) {
    let passed = lastTickNs.map { nowNs > $0 ? nowNs - $0 : 0 } ?? 0
    lastTickNs = nowNs
    guard !isPaused, !isAtEnd else { return }
    playedNs += Double(passed) * speed
    while !isAtEnd {
      let (now, next) = (entries[position], entries[position + 1])
      // Nothing happens between two runs of the recorder; and where its clock was set back, the next one is due.
      if next.session == now.session, next.timeNs >= now.timeNs, Double(next.timeNs) > playedNs { return }
      if next.session != now.session || next.timeNs < now.timeNs { playedNs = Double(next.timeNs) }
      position += 1
    }
  }

  mutating func obey(_ command: Command) {
    switch command {
    case .pause: isPaused.toggle()
    case .step(let count):
      isPaused = true
      move(to: position + count)
    case .jump(let seconds): jump(seconds)
    case .faster: speed = min(Self.speeds.upperBound, speed * 2)
    case .slower: speed = max(Self.speeds.lowerBound, speed / 2)
    }
  }

  private mutating func move(to index: Int) {
    position = max(0, min(entries.count - 1, index))
    playedNs = Double(entries[position].timeNs)
  }

  /// By readings, not by their times alone, so that a clock that was set back cannot trap the player.
  private mutating func jump(_ seconds: Int) {
    let target = Double(timeNs) + Double(seconds) * 1e9
    var index = position
    let step = seconds < 0 ? -1 : 1
    while entries.indices.contains(index + step) {
      let next = Double(entries[index + step].timeNs)
      index += step
      if step > 0 ? next >= target : next <= target { break }
    }
    move(to: index)
  }
}

/// The recording as the live view shows it: what is on show, and what comes next.
struct Playback: Sendable {
  private(set) var player: Player
  private var cursor: RecordingCursor
  /// The reading that the board shows; nil before the first.
  private var shown: Int?

  init(_ recording: Recording) {
    player = Player(recording.entries)
    cursor = recording.cursor()
  }

  /// Whether the board is behind the player.
  var isDue: Bool { shown != player.position }

  mutating func tick(nowNs: UInt64) { player.tick(nowNs: nowNs) }
  mutating func obey(_ command: Player.Command) { player.obey(command) }

  /// Brings a board to where the player is: forward by the readings between, or anew from before the target.
  ///
  /// - Throws: ``RecordingError``.
  mutating func update(_ board: MonitorBoard) throws -> MonitorBoard {
    var board = board
    if let shown, shown <= player.position, player.position - shown <= Self.longestRun {
      while cursor.index <= player.position, let next = try cursor.next() { board.take(next) }
    } else {
      board = MonitorBoard()
      for passed in try cursor.seek(player.position) { board.take(passed) }
      if let next = try cursor.next() { board.take(next) }
    }
    shown = player.position
    return board
  }

  /// Readings that are rather read all than jumped over.
  private static let longestRun = 120
}
