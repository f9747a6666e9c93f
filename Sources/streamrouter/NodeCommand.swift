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
    subcommands: [Run.self, Remove.self, Init.self, Join.self, Leave.self, List.self, Revoke.self],
    defaultSubcommand: Run.self)

  /// `streamrouter node run`.
  struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "run",
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
      help: ArgumentHelp(
        "TCP connections that the tables of engine sandbox hold; one more takes the place of the longest silent."
      ))
    var connectionCapacity = 8192
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
      guard (256...4_000_000).contains(connectionCapacity) else {
        throw ValidationError("--connection-capacity takes 256 to 4000000")
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

    private var capacity: SandboxCapacity {
      SandboxCapacity(relays: relayCapacity, connections: connectionCapacity)
    }

    func run() async throws {
      let format = logFormat
      guard let file, let name else {
        let log = Logger(label: "node") { NodeLog(label: $0, format: format) }
        return try await ControlExit.translate {
          try await MemberDaemon(
            configuration: .init(
              state: stateDirectory.map { StatePaths(.init($0)) } ?? .standard, capacity: capacity,
              metrics: metrics), log: log
          ).run()
        }
      }
      let log = Logger(label: name) { NodeLog(label: $0, format: format) }
      do {
        try await NodeDaemon(
          configuration: .init(file: file, node: name, capacity: capacity, metrics: metrics), log: log
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
      commandName: "remove",
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
        UpcallEngine.removeAll(owner: paths.pins.string)
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

extension NodeLog.Format: ExpressibleByArgument {}

extension MetricsEndpoint: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}
