import ArgumentParser
import StreamRouter

/// The command `streamrouter`.
struct StreamRouterCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "streamrouter",
    abstract: "A media overlay: relays that run at interrupt time, and the account of what they do.",
    version: Version.current,
    subcommands: [
      ValidateCommand.self, GraphCommand.self, LabCommand.self, PlanCommand.self, DeployCommand.self,
      ConfirmCommand.self, RollbackCommand.self, DestroyCommand.self, StatusCommand.self, HistoryCommand.self,
      EventsCommand.self, NodeCommand.self, ControllerCommand.self, TokenCommand.self, OperatorCommand.self,
      AuthorityCommand.self, MonitorCommand.self,
      CheckCommand.self, ReportCommand.self, SendCommand.self, ReceiveCommand.self, SDPCommand.self,
      CaptureCommand.self,
      ReplayCommand.self, AnalyzeCommand.self,
      BenchCommand.self, ExtensionCommand.self,
    ])
}

@main
enum Start {
  /// On the main actor, so that nothing has left the first thread yet: the keeper of a worker has one thread.
  @MainActor static func main() async {
    if CommandLine.arguments.dropFirst().starts(with: WorkerKeeper.arguments) { WorkerKeeper.main() }
    await StreamRouterCommand.main()
  }
}
