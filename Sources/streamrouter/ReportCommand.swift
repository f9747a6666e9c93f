import ArgumentParser
import Foundation
import StreamRouter
import Topology

/// `streamrouter report`: what the streams did over a span of time.
struct ReportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Report what every stream did over a span of time, hop by hop.",
    discussion: """
      Watches the nodes for a while, or reads a recording of 'monitor --record': packets, rates, loss on each link, drops \
      by cause, jitter and how delays spread at each hop, limits and how long they were broken, how busy the nodes were, \
      and what happened. Text for people, or one of --json, --csv and --html: a page with charts that needs neither \
      network nor scripts. Ctrl-C ends the watching with the report so far.

        streamrouter report topologies/three-hop.yaml --for 30s
        streamrouter report --for 10m --html --output streams.html
        streamrouter report --play evening.srrec --from 20:15 --to 20:30 --json

      Exit codes: 0 done, whatever the report says ('check' judges), 1 the output could not be written, 64 wrong usage or \
      no reading lies in that time, 65 the recording is damaged, or of another version, 66 it cannot be read, 69 no node \
      answers, 77 no permission to write the output.
      """)

  @Argument(
    help: "The topology file, whose limits count. Without it: the lab that runs here.",
    completion: .file(extensions: ["yaml", "yml"]))
  var file: String?

  @Option(help: "The topology's name, where its file is not at hand or several labs run.")
  var topology: String?

  @Option(name: .customLong("for"), help: ArgumentHelp("How long; 30s by default.", valueName: "time"))
  var duration: TimeSpan?

  @Option(help: "Time between two readings, 250ms to 60s; 1s by default.")
  var interval: Interval?

  @Option(help: ArgumentHelp("Report this recording.", valueName: "file"), completion: .file())
  var play: String?

  @Option(
    help: ArgumentHelp(
      "With --play: readings from then on; 2026-03-14T15:09:26Z, 15:09 (UTC), or 90s after its beginning.",
      valueName: "time"))
  var from: PeriodBound?

  @Option(help: ArgumentHelp("With --play: readings until then.", valueName: "time"))
  var to: PeriodBound?

  @Flag(help: "One JSON document.") var json = false
  @Flag(help: "Comma-separated values, a line for each hop.") var csv = false
  @Flag(help: "One page of HTML with charts.") var html = false

  @Option(
    help: ArgumentHelp(
      """
      Columns of the tables and --csv, as of 'monitor --columns'. Without it: STREAMROUTER_COLUMNS.
      """, valueName: "names"))
  var columns: String?

  @Option(
    help: ArgumentHelp("Write to this file instead of standard output.", valueName: "file"), completion: .file()
  )
  var output: String?

  func validate() throws {
    if [json, csv, html].count(where: { $0 }) > 1 {
      throw ValidationError("--json, --csv and --html exclude each other; give one")
    }
    _ = try ColumnSetting.choice(columns)
    if columns != nil, json {
      throw ValidationError("--columns \(columns ?? ""): JSON has every member; use it with the others")
    }
    if play != nil {
      if file != nil || topology != nil {
        throw ValidationError("--play: a recording knows its topology; give no file and no --topology with it")
      }
      if duration != nil || interval != nil {
        throw ValidationError("--for and --interval are of running nodes; with --play give --from and --to")
      }
    } else if from != nil || to != nil {
      throw ValidationError("--from and --to are of a recording; give --play FILE, or --for instead")
    }
  }

  func run() async throws {
    try await RecordingExit.translate {
      guard let play else { return try await watch() }
      let recording = try Recording(path: play)
      let run = PeriodRun(
        recording: recording, fromNs: from?.ns(startNs: recording.startNs),
        toNs: to?.ns(startNs: recording.startNs))
      guard case .done(let report) = try await run.run() else { return }
      try write(report)
    }
  }

  private func watch() async throws {
    let nodes = try await NodeReference(file: file, topology: topology)
    let run = PeriodRun(
      source: nodes.source, limits: nodes.topology?.limits, interval: interval?.duration ?? .seconds(1),
      seconds: duration?.seconds ?? 30)
    switch try await run.run() {
    case .done(let report): try write(report)
    case .noNodeAnswers(let readings):
      throw NodeReference.noNodeAnswers(readings, command: "report", file: file)
    }
  }

  private func write(_ made: PeriodReport) throws {
    var report = made
    report.columns = try ColumnSetting.choice(columns)
    let text = json ? try report.json() : csv ? report.csv() : html ? report.html() : report.text()
    if let output {
      do {
        // In place: renaming a file over it would replace a device such as /dev/null.
        try Data(text.utf8).write(to: URL(filePath: output))
      } catch {
        let isPermission = (error as? CocoaError)?.code == .fileWriteNoPermission
        Report.error("\(output) could not be written: \(error.localizedDescription); give another --output")
        throw ExitCode(isPermission ? EX_NOPERM : EXIT_FAILURE)
      }
    } else {
      signal(SIGPIPE, SIG_IGN)
      _ = try StandardOutput.write(text)
    }
    for gap in report.gaps { Report.error(gap) }
  }
}

extension PeriodBound: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}
