#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The live view: reads the nodes at an interval, answers keys at once, draws, and gives the terminal back
/// whichever way it ends.
public struct LiveMonitor: Sendable {
  /// How it ended.
  public enum End: Hashable, Sendable {
    /// By a key, or because the terminal was closed.
    case quit
    /// By a signal; the shell expects 128 and its number as exit code.
    case signal(Int32)
    /// No node answered at the beginning; nothing was drawn.
    case noNodeAnswers([NodeReading])
  }

  private enum Event: Sendable {
    case readings([NodeReading], timeNs: UInt64, MonitorState.RecordingState)
    /// Time to see whether a recording has a reading that is due.
    case tick
    case input(TerminalInput.Event)
    case failed(any Error)
  }

  /// Where the readings come from.
  private enum Origin: Sendable {
    case live(any SnapshotSource, interval: Duration, Recorder?)
    case recording(Recording)
  }

  private let origin: Origin
  private let style: MonitorStyle
  private let order: MonitorOrder
  private let input: Int32
  private let output: Int32

  /// `sort` is one of ``MonitorColumn/sortable``; `input` and `output` are descriptors of one terminal. What the view
  /// reads is recorded where a recorder is given.
  public init(
    source: any SnapshotSource, interval: Duration, style: MonitorStyle, sort: String? = nil,
    filter: String = "", columns: ColumnChoice = ColumnChoice(), recorder: Recorder? = nil,
    input: Int32 = STDIN_FILENO, output: Int32 = STDOUT_FILENO
  ) {
    origin = .live(source, interval: interval, recorder)
    self.style = style
    self.input = input
    self.output = output
    order = MonitorOrder(sort: sort, filter: filter, columns: columns)
  }

  /// Plays a recording.
  public init(
    recording: Recording, style: MonitorStyle, sort: String? = nil, filter: String = "",
    columns: ColumnChoice = ColumnChoice(), input: Int32 = STDIN_FILENO, output: Int32 = STDOUT_FILENO
  ) {
    origin = .recording(recording)
    self.style = style
    self.input = input
    self.output = output
    order = MonitorOrder(sort: sort, filter: filter, columns: columns)
  }

  /// Runs until a key or a signal ends it. Throws ``TerminalError`` and ``RecordingError``, with the terminal given back.
  public func run() async throws -> End {
    var first: TimedReadings?
    var playback: Playback?
    var board = MonitorBoard()
    var recording = MonitorState.RecordingState.none
    switch origin {
    case .live(let source, _, let recorder):
      let readings = await source.read()
      let timed = TimedReadings(timeNs: MonitorClock.nowNs(), readings: readings)
      await recorder?.record(timed.readings, timeNs: timed.timeNs)
      guard readings.contains(where: \.isFresh) else { return .noNodeAnswers(readings) }
      first = timed
      if let recorder { recording = await recorder.problem == nil ? .running : .stopped }
    case .recording(let recording):
      playback = Playback(recording)
      // Before the terminal changes: a damaged file is told as any error.
      board = try playback?.update(board) ?? board
    }
    if let first { board.take(first) }
    let terminal = try Terminal(input: input, output: output)
    let keys = try TerminalInput(input: input)
    var session = Session(terminal: terminal, style: style, order: order, playback: playback)
    let result: Result<End, any Error>
    do {
      try session.begin(board, recording)
      result = .success(try await run(&session, keys))
    } catch {
      result = .failure(error)
    }
    session.end()
    await keys.stop()
    return try result.get()
  }

  /// How often a playing recording is looked at.
  private static let tick = Duration.milliseconds(50)

  /// Brings readings, or the moments to look for them, until it is cancelled.
  private static func feed(_ origin: Origin, _ events: AsyncStream<Event>.Continuation) async throws {
    guard case .live(let source, let interval, let recorder) = origin else {
      while true {
        try await Task.sleep(for: tick)
        events.yield(.tick)
      }
    }
    while true {
      try await Task.sleep(for: interval)
      let readings = await source.read()
      let timeNs = MonitorClock.nowNs()
      await recorder?.record(readings, timeNs: timeNs)
      let problem = await recorder?.problem
      let state: MonitorState.RecordingState =
        recorder == nil ? .none : problem == nil ? .running : .stopped
      events.yield(.readings(readings, timeNs: timeNs, state))
    }
  }

  /// Two children bring events, this task takes them: all state is in one place.
  private func run(_ session: inout Session, _ keys: TerminalInput) async throws -> End {
    let (events, continuation) = AsyncStream.makeStream(of: Event.self)
    return try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { [origin] in try await Self.feed(origin, continuation) }
      group.addTask {
        var decoder = KeyDecoder()
        while !Task.isCancelled {
          do {
            let next = try await keys.next(decoder)
            decoder = next.decoder
            for event in next.events { continuation.yield(.input(event)) }
          } catch {
            continuation.yield(.failed(error))
            return
          }
        }
      }
      defer {
        // The terminal first: a node that is slow to answer must not hold it.
        session.end()
        group.cancelAll()
        keys.interrupt()
      }
      for await event in events {
        if let end = try session.handle(event) { return end }
      }
      return .quit
    }
  }

  /// What the running view holds: its state, the terminal, and what is on it.
  private struct Session {
    private var terminal: Terminal
    private var state: MonitorState
    private var writer = FrameWriter()
    private let firstStyle: MonitorStyle
    /// nil: the nodes are read.
    private var playback: Playback?

    init(terminal: Terminal, style: MonitorStyle, order: MonitorOrder, playback: Playback?) {
      self.terminal = terminal
      self.firstStyle = style
      self.playback = playback
      self.state = MonitorState(size: terminal.size, order: order, theme: style.theme)
    }

    mutating func begin(_ board: MonitorBoard, _ recording: MonitorState.RecordingState) throws {
      state.recording = recording
      state.player = playback?.player
      state.show(board)
      try terminal.enter()
      try draw()
    }

    mutating func end() { terminal.leave() }

    /// nil goes on.
    mutating func handle(_ event: Event) throws -> End? {
      switch event {
      case .readings(let readings, let timeNs, let recording):
        state.recording = recording
        state.take(readings, timeNs: timeNs)
      case .tick:
        playback?.tick(nowNs: monotonicNs())
        guard playback?.isDue == true else { return nil }
        try play()
      case .input(.key(let key)):
        switch state.press(key) {
        case .none: break
        case .quit(let keepScreen):
          terminal.leave()
          if keepScreen { try printFrame() }
          return .quit
        case .play(let command):
          playback?.obey(command)
          try play()
        }
      case .input(.signal(let number)):
        if TerminalSignals.ending.contains(number) { return .signal(number) }
        try handle(signal: number)
      case .input(.closed): return .quit
      case .failed(let error): throw error
      }
      try draw()
      return nil
    }

    /// Shows the reading that the player stands at.
    private mutating func play() throws {
      guard var playback else { return }
      if playback.isDue { state.show(try playback.update(state.board)) }
      state.player = playback.player
      self.playback = playback
    }

    private mutating func handle(signal number: Int32) throws {
      switch number {
      case SIGTSTP:
        terminal.leave()
        TerminalSignals.stopHere()
        try restart()
      case SIGCONT:
        // Stopped without asking (SIGSTOP): a shell may have changed the modes and the screen meanwhile.
        terminal.leave()
        try restart()
      default: state.resize(terminal.size)
      }
    }

    private mutating func restart() throws {
      try terminal.enter()
      writer.reset()
      state.resize(terminal.size)
    }

    /// The theme may have been changed by a key.
    private var style: MonitorStyle {
      var style = firstStyle
      style.theme = state.theme
      return style
    }

    private mutating func draw() throws {
      let frame = MonitorView(state: state, style: style).frame()
      let changes = writer.update(to: frame, columns: state.size.columns, style: style)
      if !changes.isEmpty { try terminal.write(changes) }
    }

    /// The picture on the ordinary screen, for `Q`.
    private func printFrame() throws {
      let frame = MonitorView(state: state, style: style).frame()
      try terminal.write(frame.map { $0.rendered(style) + "\n" }.joined())
    }
  }
}
