import ArgumentParser
import Foundation
import Identity
import Logging
import StreamRouter

/// `streamrouter token`: who may join.
struct TokenCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "token", abstract: "Let further nodes and operators join, each with a token that works once.",
    subcommands: [Create.self, List.self, Remove.self])

  struct Create: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "create",
      abstract: "Make a token for one node or operator, on the controller's machine.",
      discussion: """
        Printed once, and kept only as a hash. Give it to the node in a file:
          streamrouter token create --node edge > edge.token
          streamrouter node join CONTROLLER --name edge --token-file edge.token      (there)
        """)

    @Option(help: "The node's name.") var node: String?
    @Option(help: ArgumentHelp("The operator's name: who deploys from another machine.", valueName: "name"))
    var `operator`: String?
    @Option(help: "How long it can be used: 1m to 24h.") var ttl = "15m"
    @Option(help: "Where the authority is kept.", completion: .directory) var stateDirectory: String?

    func validate() throws {
      guard (node == nil) != (`operator` == nil) else {
        throw ValidationError("say for whom: --node NAME or --operator NAME")
      }
    }

    func run() async throws {
      guard let role = node.map({ Role.node($0) }) ?? `operator`.map({ Role.operator($0) }) else { return }
      guard let lifetime = TimeText.seconds(ttl) else {
        throw ValidationError("--ttl \(ttl): write a time, as in 15m or 1h")
      }
      try await ControlExit.translate {
        print(
          try await EnrollmentReference.enrollment(stateDirectory).perform {
            try $0.createToken(for: role, lifetime: .seconds(lifetime))
          })
      }
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "Tokens that wait to be used.")

    @Option(help: "Where the authority is kept.", completion: .directory) var stateDirectory: String?

    func run() async throws {
      try await ControlExit.translate {
        var rows = [["FOR", "EXPIRES", "ID"]]
        let pending = try await EnrollmentReference.enrollment(stateDirectory).perform {
          try $0.pendingTokens()
        }
        for token in pending {
          rows.append(["\(token.role)", token.expires.formatted(.iso8601), token.id])
        }
        print(rows.count == 1 ? "no token waits" : AlignedColumns.lines(rows).joined(separator: "\n"))
      }
    }
  }

  struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "remove", abstract: "Take back a token that waits to be used.")

    @Argument(help: "Its id, as 'token list' has it.") var id: String
    @Option(help: "Where the authority is kept.", completion: .directory) var stateDirectory: String?

    func run() async throws {
      try await ControlExit.translate {
        let id = id
        guard
          try await EnrollmentReference.enrollment(stateDirectory).perform({ try $0.removeToken(id: id) })
        else {
          Report.error("no token \(id) waits; 'streamrouter token list' shows those that do")
          throw ControlExit.usage
        }
        print("token \(id) is removed")
      }
    }
  }
}

/// The authority and identity of this machine.
enum EnrollmentReference {
  static func enrollment(_ stateDirectory: String?) -> Enrollment {
    enrollment(stateDirectory.map { StatePaths(.init($0)) } ?? .standard)
  }

  static func enrollment(_ state: StatePaths) -> Enrollment {
    Enrollment(state: state, log: Logger(label: "identity") { _ in SwiftLogNoOpLogHandler() })
  }

  static func revoke(_ role: Role, _ stateDirectory: String?) async throws {
    try await ControlExit.translate {
      let count = try await enrollment(stateDirectory).perform { try $0.revoke(role) }
      print("\(role): \(count == 1 ? "1 certificate" : "\(count) certificates") revoked")
    }
  }
}
