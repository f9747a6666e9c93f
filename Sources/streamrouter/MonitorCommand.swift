import ArgumentParser
import Foundation
import StreamRouter

/// `streamrouter monitor`: chooses between the live view and a report, and maps how they end to exit codes.
struct MonitorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "monitor",
    abstract: "Show every stream at every hop: rates, loss, jitter and added delay.",
    discussion: """
      On a terminal this is a live view; ? lists its keys. Without one, or with --once, --json, --jsonl or --csv, \
      data goes to standard output and messages to standard error. Rates are over one --interval.

        streamrouter monitor topologies/three-hop.yaml
        streamrouter monitor --once --sort loss
        streamrouter monitor --events
        streamrouter monitor --jsonl --interval 1s --count 60 | jq '.nodes[].relays[].jitterSeconds'
        streamrouter monitor --record evening.srrec
        streamrouter monitor --play evening.srrec

      --record keeps every reading, exactly, in FILE: some 170 bytes for each relay and reading. A FILE that is a \
      recording of the same topology gets another session; any other is refused. Without a terminal and without a \
      format nothing is printed; Ctrl-C ends it. --play shows a recording in its own time (space pauses, [ ] step, \
      { } go a minute, + - change the speed), or prints it at once with --jsonl, --csv or --events; with --once or \
      --json its last interval.

      Exit codes: 0 done, 1 recording failed, 64 wrong usage, 65 the recording is damaged, or of another version, 66 it \
      cannot be read, 69 no node answers, 77 no permission to write it, 128 + n ended by signal n.
      """)

  @Argument(
    help: "The topology file. Without it: the lab that runs here.",
    completion: .file(extensions: ["yaml", "yml"]))
  var file: String?

  @Option(help: "The topology's name, where its file is not at hand or several labs run.")
  var topology: String?

  @Flag(help: "Print one table and exit.")
  var once = false

  @Flag(help: "Print one JSON document and exit.")
  var json = false

  @Flag(help: "Print one JSON object a line for each interval.")
  var jsonl = false

  @Flag(
    help:
      "Print a line for each event: streams that start, stop, lose or restart, broken limits, silent nodes. With --jsonl, objects."
  )
  var events = false

  @Flag(help: "Print comma-separated values.")
  var csv = false

  @Option(
    help: ArgumentHelp("Record all readings in this file, beside what is shown.", valueName: "file"),
    completion: .file())
  var record: String?

  @Option(
    help: ArgumentHelp("Show this recording instead of running nodes.", valueName: "file"),
    completion: .file())
  var play: String?

  @Option(help: "Time between two readings, 250ms to 60s.")
  var interval = Interval(.seconds(1))

  @Option(help: "How many intervals to report; --jsonl and --events go on without it, all others report one.")
  var count: Int?

  @Option(
    help: ArgumentHelp(
      "Sort by a column: \(MonitorColumn.sortable.joined(separator: ", ")).", valueName: "column"),
    completion: .list(MonitorColumn.sortable))
  var sort: String?

  @Option(
    help: ArgumentHelp(
      """
      Columns of live view, table and --csv in their order: a list, or changes to the usual ones (+ipdv,-max), or all. \
      There are \(MonitorColumn.named.joined(separator: ", ")). Without it: STREAMROUTER_COLUMNS.
      """, valueName: "names"))
  var columns: String?

  @Option(
    help: ArgumentHelp(
      """
      Colours by name (\(MonitorTheme.names.joined(separator: ", "))), or as PART=SGR pairs that change the default: \
      good=34,bad=1;35. Without it: STREAMROUTER_THEME.
      """, valueName: "theme"),
    completion: .list(MonitorTheme.names))
  var theme: String?

  @Option(help: "Show relays with this text in their stream, node, engine or state; !text shows the others.")
  var filter = ""

  @Option(help: "Colours: auto, always or never. auto obeys NO_COLOR and TERM.")
  var color: MonitorStyle.Colour = .auto

  @Flag(help: "No characters beyond ASCII.")
  var ascii = false

  func validate() throws {
    let formats = [once, json, jsonl, csv].count { $0 }
    if events, once || json || csv {
      throw ValidationError("--events is a report of its own; --jsonl alone goes with it")
    }
    if formats > 1 { throw ValidationError("--once, --json, --jsonl and --csv exclude each other; give one") }
    if play != nil {
      if record != nil { throw ValidationError("--record and --play exclude each other; give one") }
      if file != nil || topology != nil {
        throw ValidationError("--play: a recording knows its topology; give no file and no --topology with it")
      }
    }
    if let count, count < 1 { throw ValidationError("--count \(count): give 1 or more") }
    if count ?? 1 != 1, once || json {
      throw ValidationError(
        "--count \(count ?? 1): --once and --json report one interval; use --jsonl or --csv")
    }
    _ = try ColumnSetting.choice(columns)
    _ = try chosenTheme()
    if columns != nil, json || jsonl || events {
      throw ValidationError(
        "--columns \(columns ?? ""): JSON and events have every member; use it with the others")
    }
    if let sort, !MonitorColumn.sortable.contains(sort) {
      throw ValidationError(
        "--sort \(sort): no such column; give one of \(MonitorColumn.sortable.joined(separator: ", "))")
    }
  }

  private func chosenTheme() throws -> MonitorTheme {
    try EnvironmentSetting.read("--theme", theme, "STREAMROUTER_THEME", .standard) { try MonitorTheme($0) }
  }

  func run() async throws {
    let columns = try ColumnSetting.choice(columns)
    let environment = ProcessInfo.processInfo.environment
    let isTerminal = isatty(STDOUT_FILENO) == 1
    let style = MonitorStyle(
      environment: environment, isTerminal: isTerminal, colour: color, ascii: ascii, theme: try chosenTheme())
    let isLive =
      format == nil && count == nil && isTerminal && isatty(STDIN_FILENO) == 1
      && !MonitorStyle.isDumb(environment)
    if let play { return try await RecordingExit.translate { try await show(play, isLive, style, columns) } }
    let nodes = try await NodeReference(file: file, topology: topology)
    guard let record else { return try await watch(nodes.source, isLive, style, columns, nil) }
    try await RecordingExit.translate {
      try await RecordingExit.recording(to: record, topology: nodes.name) {
        try await watch(nodes.source, isLive, style, columns, $0)
      }
    }
  }

  private func show(_ path: String, _ isLive: Bool, _ style: MonitorStyle, _ columns: ColumnChoice) async throws
  {
    let recording = try Recording(path: path)
    if isLive {
      try await end(
        LiveMonitor(recording: recording, style: style, sort: sort, filter: filter, columns: columns).run())
    } else {
      signal(SIGPIPE, SIG_IGN)
      let report = MonitorReport(
        recording: recording, format: format ?? .table, count: count, style: style, sort: sort, filter: filter,
        columns: columns)
      _ = try await report.run(write: StandardOutput.write)
    }
  }

  private func watch(
    _ source: any SnapshotSource, _ isLive: Bool, _ style: MonitorStyle, _ columns: ColumnChoice,
    _ recorder: Recorder?
  ) async throws {
    if isLive {
      let monitor = LiveMonitor(
        source: source, interval: interval.duration, style: style, sort: sort, filter: filter,
        columns: columns, recorder: recorder)
      return try end(try await monitor.run())
    }
    // A closed pipe then shows as an error of the write, and ends the command quietly.
    signal(SIGPIPE, SIG_IGN)
    let otherwise: MonitorReport.Format = recorder != nil && count == nil ? .silence : .table
    let report = MonitorReport(
      source: source, format: format ?? otherwise, interval: interval.duration, count: count, style: style,
      sort: sort, filter: filter, columns: columns, recorder: recorder)
    if case .noNodeAnswers(let readings) = try await report.run(write: StandardOutput.write) {
      throw noNodeAnswers(readings)
    }
  }

  private func end(_ end: LiveMonitor.End) throws {
    switch end {
    case .quit: return
    case .signal(let number): throw ExitCode(128 + number)
    case .noNodeAnswers(let readings): throw noNodeAnswers(readings)
    }
  }

  /// nil where none was asked for.
  private var format: MonitorReport.Format? {
    events
      ? (jsonl ? .eventObjects : .events) : json ? .json : jsonl ? .jsonl : csv ? .csv : once ? .table : nil
  }

  private func noNodeAnswers(_ readings: [NodeReading]) -> ExitCode {
    NodeReference.noNodeAnswers(readings, command: "monitor", file: file)
  }
}

extension MonitorStyle.Colour: ExpressibleByArgument {}

/// Time between two readings, as the command line writes it: `250ms`, `1s`, `1.5s`, or seconds without a unit.
struct Interval: ExpressibleByArgument, CustomStringConvertible {
  let duration: Duration

  init(_ duration: Duration) { self.duration = duration }

  /// nil where it is no time, or none from 250 ms to 60 s.
  init?(argument: String) {
    let isMilliseconds = argument.hasSuffix("ms")
    let digits =
      isMilliseconds ? argument.dropLast(2) : argument.hasSuffix("s") ? argument.dropLast() : argument[...]
    guard let number = Double(digits) else { return nil }
    let milliseconds = isMilliseconds ? number : number * 1000
    guard milliseconds >= 250, milliseconds <= 60_000 else { return nil }
    duration = .milliseconds(Int(milliseconds.rounded()))
  }

  var defaultValueDescription: String { description }
  var description: String {
    let milliseconds = duration / .milliseconds(1)
    return milliseconds < 1000 ? "\(Int(milliseconds))ms" : "\(String(format: "%g", milliseconds / 1000))s"
  }
}

/// Data for whoever reads the command.
enum StandardOutput {
  /// All of the text; false once the reader is gone.
  @Sendable
  static func write(_ text: String) throws -> Bool {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Foundation.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else if errno == EPIPE {
        return false
      } else if errno != EINTR {
        throw StandardOutputError(errno: errno)
      }
    }
    return true
  }
}

/// Why data could not be written; another case than a reader that left.
struct StandardOutputError: Error, CustomStringConvertible {
  let errno: Int32

  var description: String {
    "writing to standard output failed: \(String(cString: strerror(errno))); check what it is redirected to"
  }
}
