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
    case readings([NodeReading], timeNs: UInt64)
    case input(TerminalInput.Event)
    case failed(any Error)
  }

  private let source: any SnapshotSource
  private let interval: Duration
  private let style: MonitorStyle
  private let order: MonitorOrder
  private let input: Int32
  private let output: Int32

  /// `sort` is one of ``MonitorColumn/sortable``; `input` and `output` are descriptors of one terminal.
  public init(
    source: any SnapshotSource, interval: Duration, style: MonitorStyle, sort: String? = nil,
    filter: String = "", columns: ColumnChoice = ColumnChoice(),
    input: Int32 = STDIN_FILENO, output: Int32 = STDOUT_FILENO
  ) {
    self.source = source
    self.interval = interval
    self.style = style
    self.input = input
    self.output = output
    order = MonitorOrder(sort: sort, filter: filter, columns: columns)
  }

  /// Runs until a key or a signal ends it. Throws ``TerminalError``, with the terminal given back.
  public func run() async throws -> End {
    let first = await source.read()
    let timeNs = MonitorClock.nowNs()
    guard first.contains(where: \.isFresh) else { return .noNodeAnswers(first) }
    let terminal = try Terminal(input: input, output: output)
    let keys = try TerminalInput(input: input)
    var session = Session(terminal: terminal, style: style, order: order)
    let result: Result<End, any Error>
    do {
      try session.begin(first, timeNs: timeNs)
      result = .success(try await run(&session, keys))
    } catch {
      result = .failure(error)
    }
    session.end()
    await keys.stop()
    return try result.get()
  }

  /// Two children bring events, this task takes them: all state is in one place.
  private func run(_ session: inout Session, _ keys: TerminalInput) async throws -> End {
    let (events, continuation) = AsyncStream.makeStream(of: Event.self)
    return try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { [source, interval] in
        while true {
          try await Task.sleep(for: interval)
          continuation.yield(.readings(await source.read(), timeNs: MonitorClock.nowNs()))
        }
      }
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

    init(terminal: Terminal, style: MonitorStyle, order: MonitorOrder) {
      self.terminal = terminal
      self.firstStyle = style
      self.state = MonitorState(size: terminal.size, order: order, theme: style.theme)
    }

    mutating func begin(_ readings: [NodeReading], timeNs: UInt64) throws {
      state.take(readings, timeNs: timeNs)
      try terminal.enter()
      try draw()
    }

    mutating func end() { terminal.leave() }

    /// nil goes on.
    mutating func handle(_ event: Event) throws -> End? {
      switch event {
      case .readings(let readings, let timeNs): state.take(readings, timeNs: timeNs)
      case .input(.key(let key)):
        if case .quit(let keepScreen) = state.press(key) {
          terminal.leave()
          if keepScreen { try printFrame() }
          return .quit
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
