import ArgumentParser
import Foundation
import StreamRouter

/// `streamrouter plan FILE`.
struct PlanCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Show what 'deploy' would change, on every node, and change nothing.",
    discussion: """
      Exit status: 0 nothing would change, 2 something would, 64 the file is not valid, 69 the controller cannot be \
      reached, 77 no permission.
      """,
    aliases: ["diff"])

  @Argument(help: "The topology file.", completion: .file(extensions: ["yaml", "yml"])) var file: String
  @OptionGroup var options: ControlOptions

  func run() async throws {
    try await ControlExit.translate {
      let wanted = try ControllerClient.File(path: file)
      let plan = try await options.client(wanted.topology).plan(.file(wanted))
      if options.json { try LabExit.printJSON(plan) } else { print(plan.text) }
      if plan.hasChanges { throw ControlExit.hasChanges }
    }
  }
}

/// How a deploy is carried out.
struct DeployOptions: ParsableArguments {
  @Flag(help: "Go on without nodes that are not connected; they follow when they are back.") var partial = false
  @Option(
    help: ArgumentHelp(
      "Go back unless 'streamrouter confirm' comes in this time: 60s, 5m.",
      discussion:
        "For changes over the very network that they change. A node that is cut off goes back by itself.",
      valueName: "time"))
  var confirm: String?
  @OptionGroup var control: ControlOptions

  func validate() throws { _ = try confirmSeconds }

  private var confirmSeconds: UInt32 {
    get throws {
      guard let confirm else { return 0 }
      guard let time = TimeText.seconds(confirm), (5...86_400).contains(time) else {
        throw ValidationError("--confirm takes 5s to 24h, as in 60s or 5m")
      }
      return UInt32(time)
    }
  }

  func run(_ wanted: ControllerClient.Wanted, topology: String? = nil) async throws {
    let done = try await control.client(topology).deploy(
      wanted, .init(partial: partial, confirmSeconds: confirmSeconds), progress: ControlExit.progress())
    if control.json { try LabExit.printJSON(done) } else { print(done.text) }
  }
}

/// `streamrouter deploy FILE`.
struct DeployCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "deploy",
    abstract: "Put a topology on its nodes: what runs changes as little as it can, and loses no packet.",
    discussion: """
      All nodes prepare first, and only when all have does any of them change; where one refuses, all stay as they were. \
      Relays begin at the far end of each stream, and what is not wanted any more ends last. A stream that flowed before \
      must arrive at every hop afterwards, or everything goes back.

      Examples:
        streamrouter plan topologies/three-hop.yaml
        streamrouter deploy topologies/three-hop.yaml
        streamrouter deploy topologies/three-hop.yaml --confirm 60s

      Exit status: 0 done, 1 it failed and everything is as it was, 64 the file is not valid, 69 a node or the controller \
      cannot be reached, 77 no permission.
      """,
    aliases: ["apply"])

  @Argument(help: "The topology file.", completion: .file(extensions: ["yaml", "yml"])) var file: String
  @OptionGroup var options: DeployOptions

  func run() async throws {
    try await ControlExit.translate {
      let wanted = try ControllerClient.File(path: file)
      try await options.run(.file(wanted), topology: wanted.topology)
    }
  }
}

/// `streamrouter rollback`.
struct RollbackCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rollback",
    abstract: "Deploy a former revision again; without a number, the one that was in force before.",
    discussion: "'streamrouter history' lists them. It becomes a new revision.")

  @Argument(help: "The revision's number.") var revision: UInt64?
  @OptionGroup var options: DeployOptions

  func run() async throws {
    try await ControlExit.translate {
      var wanted = revision
      if wanted == nil {
        let history = try await options.control.client().history()
        wanted =
          history.revisions.drop { $0.outcome != "in force" }.dropFirst().first { $0.outcome == "kept" }?.number
      }
      guard let wanted else {
        Report.error("there is no revision before the one in force; 'streamrouter history' lists them")
        throw ControlExit.usage
      }
      try await options.run(.revision(wanted))
    }
  }
}

/// `streamrouter destroy`.
struct DestroyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "destroy",
    abstract: "Remove all relays from all nodes. The nodes stay joined.")

  @Flag(name: .shortAndLong, help: "Do not ask.") var yes = false
  @OptionGroup var options: DeployOptions

  func run() async throws {
    try await ControlExit.translate {
      if !yes {
        let status = try await options.control.client().status()
        guard isatty(STDIN_FILENO) == 1 else {
          Report.error(
            "'destroy' ends all streams of \(status.topology ?? "this installation"); say --yes where nobody can be asked"
          )
          throw ControlExit.usage
        }
        Report.note("This ends all streams of \(status.topology ?? "this installation"). Its name, to go on:")
        guard let answer = readLine(), answer == status.topology else {
          Report.note("nothing was changed")
          throw ExitCode.failure
        }
      }
      try await options.run(.nothing)
    }
  }
}

/// `streamrouter confirm`.
struct ConfirmCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "confirm", abstract: "Keep a revision that was deployed with --confirm.")

  @OptionGroup var options: ControlOptions

  func run() async throws {
    try await ControlExit.translate {
      let revision = try await options.client().confirm()
      if options.json {
        try LabExit.printJSON(["revision": revision])
      } else {
        print("revision \(revision) is kept")
      }
    }
  }
}
