import ArgumentParser

/// The command `streamrouter`.
@main
struct StreamRouterCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "streamrouter",
    abstract: "A media overlay: relays that run at interrupt time, and the account of what they do.",
    version: "0.1.0",
    subcommands: [
      ValidateCommand.self, GraphCommand.self, LabCommand.self, NodeCommand.self, MonitorCommand.self,
      BenchCommand.self, ExtensionCommand.self,
    ])
}
