import ArgumentParser
import Foundation
import Identity
import Logging
import StreamRouter

/// `streamrouter controller`: what is wanted, and who may take part.
struct ControllerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "controller",
    abstract: "Run the controller, which nodes join and 'deploy' speaks to.",
    subcommands: [Run.self, Init.self], defaultSubcommand: Run.self)

  /// `streamrouter controller run`.
  struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "run",
      abstract: "Run the controller in the foreground, on the machine where 'node init' was said.",
      discussion: """
        It relays nothing itself. Killed or stopped, every stream goes on, and the next one takes up what it left.

        With --store etcd://HOST:PORT,... what is wanted is kept in etcd, with tokens, certificates and revocations, and \
        several controllers may run: one is at work, and where it ends another takes over within some six seconds, and \
        nodes come to it. 'streamrouter controller init' prepares the machine of a further one.
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
    @Option(
      help: ArgumentHelp(
        "Where nodes and operators reach this controller; by default where it listens, if that is one address.",
        discussion: "With --store etcd://... all of them hear of it, and come to it where another one ends.",
        valueName: "address:port"))
    var advertise: String?
    @OptionGroup(title: "Where what is wanted is kept") var store: StoreOptions
    @Option(
      help: ArgumentHelp(
        "How long the certificates are good that it gives: 1h to 365d. Each is renewed at two thirds of that.",
        valueName: "time"))
    var certificateLifetime = "30d"
    @Option(
      help: "The log's format on stderr: \(NodeLog.Format.allCases.map(\.rawValue).joined(separator: " or ")).")
    var logFormat = NodeLog.Format.text

    private var lifetime: Duration {
      get throws {
        guard let seconds = TimeText.seconds(certificateLifetime),
          IdentityLimits.lifetime.contains(.seconds(seconds))
        else { throw ValidationError("--certificate-lifetime takes 1h to 365d") }
        return .seconds(seconds)
      }
    }

    func validate() throws {
      _ = try lifetime
      for (option, text) in [
        ("--listen", listen), ("--join", join == "none" ? listen : join), ("--advertise", advertise ?? listen),
      ]
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
            operators: socket.map { .init($0) } ?? ControllerDaemon.operatorSocket, store: store.choice,
            certificateLifetime: lifetime, advertise: advertise.flatMap { ControllerAddress($0) }), log: log
        ).run()
      }
    }
  }
  /// `streamrouter controller init`.
  struct Init: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "init",
      abstract: "Make this machine one on which a further controller can run, with --store etcd://...",
      discussion: """
        Bring the authority's folder here first, over a way that is as safe as its key must be; then:
          scp -rp root@FIRST:/var/lib/streamrouter/authority /var/lib/streamrouter/
          streamrouter controller init --name NODE --controller HERE:7117,FIRST:7117
          streamrouter controller run --store etcd://... --advertise HERE:7117
        The first controller must have run with --store etcd://... before: since then its records are there.
        """)

    @Option(help: "The name of this machine's node, as topologies have it; it may have joined before.")
    var name: String
    @Option(
      help: ArgumentHelp(
        "Where this machine's node finds controllers, with commas between.", valueName: "address:port,..."))
    var controller = "127.0.0.1:\(ControllerAddress.defaultPort)"
    @Option(help: "Where identity and authority are kept.", completion: .directory) var stateDirectory: String?

    func run() async throws {
      guard let addresses = ControllerAddress.list(controller) else {
        throw ValidationError("--controller \(controller): write ADDRESS:PORT[,ADDRESS:PORT...], or unix:PATH")
      }
      try await ControlExit.translate {
        try await EnrollmentReference.enrollment(stateDirectory).addController(node: name, addresses: addresses)
        print(
          "a controller can run here, as node \(name)\nnext:\n  streamrouter controller run --store etcd://... --advertise ADDRESS:PORT"
        )
      }
    }
  }
}
