import ArgumentParser
import Foundation
import Identity
import StreamRouter

/// How a node comes into an installation, and out of it.
extension NodeCommand {
  /// `streamrouter node init`.
  struct Init: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "init",
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
      help: ArgumentHelp(
        "Where this machine's node finds the controller; several with commas between.",
        valueName: "address:port,..."))
    var controller = "127.0.0.1:\(ControllerAddress.defaultPort)"
    @Option(help: "Where identity and authority are kept.", completion: .directory) var stateDirectory: String?

    func run() async throws {
      guard let addresses = ControllerAddress.list(controller) else {
        throw ValidationError("--controller \(controller): write ADDRESS:PORT[,ADDRESS:PORT...], or unix:PATH")
      }
      try await ControlExit.translate {
        try EnrollmentReference.enrollment(stateDirectory).initialize(node: name, addresses: addresses)
        print(
          "node \(name) has the authority\nnext:\n  streamrouter controller run\n  streamrouter node run\n  streamrouter token create --node NAME"
        )
      }
    }
  }

  /// `streamrouter node join`.
  struct Join: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "join",
      abstract: "Join this machine's node to an installation, with a token.",
      discussion: """
        The controller must show the authority that the token names before the token's secret is sent. A token is read \
        from a file or standard input, never from the command line, which others on this machine can see.
        """)

    @OptionGroup var joining: JoinOptions
    @Option(help: "The node's name, as the token was made for.") var name: String
    @Option(help: "Where the identity is kept.", completion: .directory) var stateDirectory: String?

    func run() async throws {
      try await joining.join(.node(name), EnrollmentReference.enrollment(stateDirectory))
      print("node \(name) has joined\nnext:\n  streamrouter node run")
    }
  }

  /// `streamrouter node leave`.
  struct Leave: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "leave",
      abstract: "Take this machine's node out of its installation: its relays end, its identity is removed.",
      discussion: """
        Stop its daemon before. The controller does not hear of it: 'streamrouter node revoke NAME' there ends what was \
        signed for it.
        """)

    @Option(help: "Where its identity and its part are kept.", completion: .directory) var stateDirectory:
      String?

    func run() async throws {
      try await ControlExit.translate {
        let name = try EnrollmentReference.enrollment(stateDirectory).leave()
        print(
          "node \(name) has left, nothing of it is kept here\nnext, on the controller's machine:\n  streamrouter node revoke \(name)"
        )
      }
    }
  }

  /// `streamrouter node list`.
  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list",
      abstract: "Who holds certificates, and until when, on the controller's machine.",
      discussion: "'streamrouter status' says who is connected.")

    @Flag(help: "Print one JSON document.") var json = false
    @Option(help: "Where the authority is kept.", completion: .directory) var stateDirectory: String?

    func run() async throws {
      try await ControlExit.translate {
        let document = HolderDocument(
          try await EnrollmentReference.enrollment(stateDirectory).perform { try $0.holders() })
        if json { try LabExit.printJSON(document) } else { print(document.text) }
      }
    }
  }

  /// `streamrouter node revoke`.
  struct Revoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "revoke",
      abstract: "Shut a node out, on the controller's machine: its certificates and tokens count no more.",
      discussion:
        "Its session ends within a second, its relays go on until the node is stopped. It may join again with a new token."
    )

    @Argument(help: "The node's name.") var name: String
    @Option(help: "Where the authority is kept.", completion: .directory) var stateDirectory: String?

    func run() async throws {
      try await EnrollmentReference.revoke(.node(name), stateDirectory)
    }
  }
}
