import ArgumentParser
import StreamRouter

/// `streamrouter status`.
struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "What is deployed, and how each node stands to it.",
    discussion:
      "Exit status: 0 every node runs what is wanted, 1 some do not, 69 the controller cannot be reached.",
    aliases: ["inspect"])

  @OptionGroup var options: ControlOptions

  func run() async throws {
    try await ControlExit.translate {
      let status = try await options.client().status()
      if options.json { try LabExit.printJSON(status) } else { print(status.text) }
      if !status.isWhole { throw ExitCode.failure }
    }
  }
}

/// `streamrouter history`.
struct HistoryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "history", abstract: "The revisions that were deployed, the latest first.")

  @OptionGroup var options: ControlOptions

  func run() async throws {
    try await ControlExit.translate {
      let history = try await options.client().history()
      if options.json { try LabExit.printJSON(history) } else { print(history.text) }
    }
  }
}

/// `streamrouter events`.
struct EventsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "events",
    abstract: "What happens to nodes and deploys, as it happens; one JSON object a line with --json.")

  @Option(help: "How many that have happened to show first.") var past: UInt32 = 20
  @Flag(help: "End after those.") var noFollow = false
  @OptionGroup var options: ControlOptions

  func run() async throws {
    try await ControlExit.translate {
      let json = options.json
      try await options.client().events(past: past, follow: !noFollow) { event in
        if json { try? ControlExit.printLine(event) } else { print(event.line) }
      }
    }
  }
}
