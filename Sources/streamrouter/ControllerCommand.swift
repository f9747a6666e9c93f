import ArgumentParser
import Foundation
import Logging
import StreamRouter

/// `streamrouter controller`: what is wanted, and who may take part.
struct ControllerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "controller",
    abstract: "Run the controller, which nodes join and 'deploy' speaks to.",
    subcommands: [Run.self], defaultSubcommand: Run.self)

  /// `streamrouter controller run`.
  struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Run the controller in the foreground, on the machine where 'node init' was said.",
      discussion: """
        It relays nothing itself. Killed or stopped, every stream goes on, and the next one takes up what it left.

        With --store etcd://HOST:PORT,... what is wanted is kept in etcd, and several controllers may run: one is at \
        work, and where it ends another takes over within some six seconds.
        """)

    @Option(
      help: ArgumentHelp(
        "Where nodes connect with their certificates.", valueName: "address:port"))
    var listen = "0.0.0.0:\(ControllerAddress.defaultPort)"
    @Option(
      help: ArgumentHelp(
        "Where nodes join with a token; 'none': nowhere.", valueName: "address:port"))
    var join = "0.0.0.0:\(ControllerAddress.defaultPort + 1)"
    @Option(help: "Where identity, authority and revisions are kept.", completion: .directory)
    var stateDirectory: String?
    @Option(help: ArgumentHelp("The unix socket of this machine's operators.", valueName: "path"))
    var socket: String?
    @OptionGroup(title: "Where what is wanted is kept") var store: StoreOptions
    @Option(
      help: "The log's format on stderr: \(NodeLog.Format.allCases.map(\.rawValue).joined(separator: " or ")).")
    var logFormat = NodeLog.Format.text

    func validate() throws {
      for (option, text) in [("--listen", listen), ("--join", join == "none" ? listen : join)]
      where ControllerAddress(text) == nil {
        throw ValidationError("\(option) \(text): write ADDRESS:PORT, or unix:PATH")
      }
    }

    func run() async throws {
      let format = logFormat
      let log = Logger(label: "controller") { NodeLog(label: $0, format: format) }
      try await ControlExit.translate {
        guard let address = ControllerAddress(listen) else { throw ControlExit.usage }
        try await ControllerDaemon(
          configuration: .init(
            state: stateDirectory.map { StatePaths(.init($0)) } ?? .standard, listen: address,
            join: join == "none" ? nil : ControllerAddress(join),
            operators: socket.map { .init($0) } ?? ControllerDaemon.operatorSocket, store: store.choice),
          log: log
        ).run()
      }
    }
  }
}

/// `streamrouter token`: who may join.
struct TokenCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "token", abstract: "Let further nodes join, each with a token that works once.",
    subcommands: [Create.self, List.self])

  struct Create: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a token for one node, on the controller's machine.",
      discussion: """
        Printed once, and kept only as a hash. Give it to the node in a file:
          streamrouter token create --node edge > edge.token
          streamrouter node join CONTROLLER --name edge --token-file edge.token      (there)
        """)

    @Option(help: "The node's name.") var node: String
    @Option(help: "How long it can be used: 1m to 24h.") var ttl = "15m"
    @Option(help: "Where the authority is kept.", completion: .directory) var stateDirectory: String?

    func run() async throws {
      guard let lifetime = TimeText.seconds(ttl) else {
        throw ValidationError("--ttl \(ttl): write a time, as in 15m or 1h")
      }
      try await ControlExit.translate {
        print(
          try EnrollmentReference.enrollment(stateDirectory).createToken(
            node: node, lifetime: .seconds(lifetime)))
      }
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Tokens that wait to be used.")

    @Option(help: "Where the authority is kept.", completion: .directory) var stateDirectory: String?

    func run() async throws {
      try await ControlExit.translate {
        var rows = [["FOR", "EXPIRES", "ID"]]
        for token in try EnrollmentReference.enrollment(stateDirectory).pendingTokens() {
          rows.append(["\(token.role)", token.expires.formatted(.iso8601), token.id])
        }
        print(rows.count == 1 ? "no token waits" : AlignedColumns.lines(rows).joined(separator: "\n"))
      }
    }
  }
}

/// The authority and identity of this machine.
enum EnrollmentReference {
  static func enrollment(_ stateDirectory: String?) -> Enrollment {
    Enrollment(
      state: stateDirectory.map { StatePaths(.init($0)) } ?? .standard,
      log: Logger(label: "identity") { _ in SwiftLogNoOpLogHandler() })
  }
}
