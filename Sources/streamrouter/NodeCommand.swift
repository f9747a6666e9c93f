import ArgumentParser
import Foundation
import Logging
import StreamRouter
import Topology

/// `streamrouter node`: the daemon of one node.
struct NodeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "node",
    abstract: "Run the relays of one node of a topology.",
    subcommands: [Run.self, Remove.self, Init.self, Join.self, Revoke.self], defaultSubcommand: Run.self)

  /// `streamrouter node run`.
  struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Run a node's daemon in the foreground.",
      discussion: """
        With a file, the node runs its part of it, and SIGHUP reads it again. Without, the node is one that joined, and \
        runs what its controller deploys. SIGTERM ends the daemon. Relays of engine sandbox run in the kernel and go on \
        without it: the next daemon takes them over, 'streamrouter node remove' ends them.
        """)

    @Argument(
      help: "The topology file; left out by a node that joined.",
      completion: .file(extensions: ["yaml", "yml"]))
    var file: String?
    @Option(help: "The node's name in the file.")
    var name: String?
    @Option(help: "Where a node that joined keeps its identity and its part.", completion: .directory)
    var stateDirectory: String?
    @Option(help: "Relays that the tables of engine sandbox hold.")
    var relayCapacity = 4096
    @Option(
      help: "The log's format on stderr: \(NodeLog.Format.allCases.map(\.rawValue).joined(separator: " or ")).")
    var logFormat = NodeLog.Format.text

    @Option(
      help: ArgumentHelp(
        "Answer /metrics, /healthz and /readyz by HTTP on this port of 127.0.0.1, or on ADDRESS:PORT.",
        discussion: "Left out, there is no such port. fd:N is a listening socket that is open already.",
        valueName: "port"))
    var metrics: MetricsEndpoint?

    func validate() throws {
      guard (1...1_000_000).contains(relayCapacity) else {
        throw ValidationError("--relay-capacity takes 1 to 1000000")
      }
      guard (file == nil) == (name == nil) else {
        throw ValidationError(
          file == nil
            ? "--name goes with a topology file" : "say with --name which node of \(file ?? "") this is")
      }
      guard file == nil || stateDirectory == nil else {
        throw ValidationError("--state-directory is for a node that joined, which takes no topology file")
      }
      if let obstacle = metrics?.obstacle { throw ValidationError("--metrics: \(obstacle)") }
    }

    func run() async throws {
      let format = logFormat
      guard let file, let name else {
        let log = Logger(label: "node") { NodeLog(label: $0, format: format) }
        return try await ControlExit.translate {
          try await MemberDaemon(
            configuration: .init(
              state: stateDirectory.map { StatePaths(.init($0)) } ?? .standard, relayCapacity: relayCapacity,
              metrics: metrics), log: log
          ).run()
        }
      }
      let log = Logger(label: name) { NodeLog(label: $0, format: format) }
      do {
        try await NodeDaemon(
          configuration: .init(file: file, node: name, relayCapacity: relayCapacity, metrics: metrics), log: log
        ).run()
      } catch let error as TopologyError {
        tell(error, log)
        throw ExitCode(64)
      } catch let error as NodeError {
        tell(error, log)
        if case .unknownNode = error { throw ExitCode(64) }
        throw ExitCode(1)
      } catch let error as EngineError {
        tell(error, log)
        if case .unsupported = error { throw ExitCode(77) }
        throw ExitCode(1)
      }
    }

    /// Whoever reads the log by machine has the end in it too.
    private func tell(_ error: any CustomStringConvertible, _ log: Logger) {
      if logFormat == .json || NodeLog.stderrIsJournal {
        log.critical("\(error.description)")
      } else {
        Report.error(error.description)
      }
    }
  }

  /// `streamrouter node remove`.
  struct Remove: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Remove the relays that a node's daemon left in the kernel.")

    @Argument(help: "The topology file.", completion: .file(extensions: ["yaml", "yml"]))
    var file: String
    @Option(help: "The node's name in the file.")
    var name: String

    func run() throws {
      do {
        let topology = try Topology.load(path: file)
        guard topology.node(name) != nil else {
          throw NodeError.unknownNode(name: name, file: file, known: topology.nodes.map(\.name))
        }
        let paths = NodePaths(topology: topology.name, node: name)
        SandboxEngine.removeAll(pins: paths.pins.string, store: paths.extensions.string)
        guard SandboxEngine.isRemoved(pins: paths.pins.string) else {
          Report.error("\(paths.pins) cannot be removed: run as root, or as the user who runs the node")
          throw ExitCode(77)
        }
      } catch let code as ExitCode {
        throw code
      } catch {
        Report.error("\(error)")
        throw ExitCode(64)
      }
    }
  }
}

extension NodeCommand {
  /// `streamrouter node init`.
  struct Init: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract:
        "Make this machine the first of an installation: the authority, and the identity of its own node.",
      discussion: """
        The controller runs here. Afterwards:
          streamrouter controller run &
          streamrouter node run &
          streamrouter token create --node NEXT
        """)

    @Option(help: "This node's name, as topologies have it.") var name: String
    @Option(
      help: ArgumentHelp("Where this machine's node finds the controller.", valueName: "address:port"))
    var controller = "127.0.0.1:\(ControllerAddress.defaultPort)"
    @Option(help: "Where identity and authority are kept.", completion: .directory) var stateDirectory: String?

    func run() async throws {
      guard let address = ControllerAddress(controller) else {
        throw ValidationError("--controller \(controller): write ADDRESS:PORT, or unix:PATH")
      }
      try await ControlExit.translate {
        try EnrollmentReference.enrollment(stateDirectory).initialize(node: name, address: address)
        print(
          "node \(name) has the authority\nnext:\n  streamrouter controller run\n  streamrouter node run\n  streamrouter token create --node NAME"
        )
      }
    }
  }

  /// `streamrouter node join`.
  struct Join: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Join this machine's node to an installation, with a token.",
      discussion: """
        The controller must show the authority that the token names before the token's secret is sent. A token is read \
        from a file or standard input, never from the command line, which others on this machine can see.
        """)

    @Argument(help: ArgumentHelp("Where the controller lets nodes join.", valueName: "address"))
    var address: String
    @Option(help: "The node's name, as the token was made for.") var name: String
    @Option(help: "The token's file; - is standard input.", completion: .file()) var tokenFile: String
    @Option(
      help: ArgumentHelp(
        "Where the controller listens for nodes that have joined; by default the port before the one to join at.",
        valueName: "address:port"))
    var controller: String?
    @Option(help: "Where the identity is kept.", completion: .directory) var stateDirectory: String?

    func run() async throws {
      let text = address.contains(":") ? address : "\(address):\(ControllerAddress.defaultPort + 1)"
      guard let join = ControllerAddress(text) else {
        throw ValidationError("\(address): write ADDRESS:PORT, or unix:PATH")
      }
      let session: ControllerAddress? = if let controller { ControllerAddress(controller) } else { join.before }
      guard let session else {
        throw ValidationError("--controller \(controller ?? ""): write ADDRESS:PORT, or unix:PATH")
      }
      guard
        let token = tokenFile == "-" ? readLine() : (try? String(contentsOfFile: tokenFile, encoding: .utf8))
      else {
        Report.error("cannot read the token from \(tokenFile)")
        throw ControlExit.usage
      }
      try await ControlExit.translate {
        try await EnrollmentReference.enrollment(stateDirectory).join(
          name: name, token: token.trimmingCharacters(in: .whitespacesAndNewlines), join: join,
          controller: session)
        print("node \(name) has joined\nnext:\n  streamrouter node run")
      }
    }
  }

  /// `streamrouter node revoke`.
  struct Revoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Shut a node out, on the controller's machine: its certificates and tokens count no more.",
      discussion: "Its relays go on until the node is stopped. It may join again with a new token.")

    @Argument(help: "The node's name.") var name: String
    @Option(help: "Where the authority is kept.", completion: .directory) var stateDirectory: String?

    func run() async throws {
      try await ControlExit.translate {
        let count = try EnrollmentReference.enrollment(stateDirectory).revoke(node: name)
        print("node \(name): \(count == 1 ? "1 certificate" : "\(count) certificates") revoked")
      }
    }
  }
}

extension NodeLog.Format: ExpressibleByArgument {}

extension MetricsEndpoint: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}
