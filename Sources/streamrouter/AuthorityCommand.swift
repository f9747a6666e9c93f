import ArgumentParser
import Foundation
import Identity
import StreamRouter

/// `streamrouter authority`: the key that signs everyone's certificates.
struct AuthorityCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "authority", abstract: "The authority that signs the certificates of an installation.",
    subcommands: [Rotate.self])

  /// `streamrouter authority rotate`.
  struct Rotate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "rotate",
      abstract: "Exchange the authority for a new one, on the controller's machine, step by step.",
      discussion: """
        begin makes the next authority, and has everyone trust both; switch has the next one sign, and everyone renew; \
        finish drops the former. Nodes that are connected follow within seconds, operators with the next command that \
        they give after a day. A step that would shut someone out is refused with the names: status shows them. No \
        stream notices, and each step may be said twice.
        """,
      subcommands: [Begin.self, Switch.self, Finish.self, Status.self])
  }
}

extension AuthorityCommand.Rotate {
  struct Begin: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "begin", abstract: "Make the next authority, and have both trusted.")
    @Option(help: "Where the authority is kept.", completion: .directory) var stateDirectory: String?

    func run() async throws {
      try await RotationReference.step(.begin, force: false, stateDirectory)
      print(
        "both authorities are trusted\nnext, when nobody is behind:\n  streamrouter authority rotate status\n  streamrouter authority rotate switch"
      )
    }
  }

  struct Switch: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "switch", abstract: "Have the next authority sign.")
    @Flag(help: "Also where someone does not trust it yet, who must join again then.") var force = false
    @Option(help: "Where the authority is kept.", completion: .directory) var stateDirectory: String?

    func run() async throws {
      try await RotationReference.step(.switch, force: force, stateDirectory)
      print(
        "the next authority signs\nnext, when nobody is behind:\n  streamrouter authority rotate status\n  streamrouter authority rotate finish"
      )
    }
  }

  struct Finish: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "finish", abstract: "Drop the former authority.")
    @Flag(help: "Also where someone's certificate is its, who must join again then.") var force = false
    @Option(help: "Where the authority is kept.", completion: .directory) var stateDirectory: String?

    func run() async throws {
      try await RotationReference.step(.finish, force: force, stateDirectory)
      print("the former authority is not trusted any more")
    }
  }

  struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "status",
      abstract: "How far the exchange is, and who is not ready for its next step.")
    @Flag(help: "Print one JSON document.") var json = false
    @Option(help: "Where the authority is kept.", completion: .directory) var stateDirectory: String?

    func run() async throws {
      try await ControlExit.translate {
        let document = RotationDocument(
          try await EnrollmentReference.enrollment(stateDirectory).perform { try $0.rotation() })
        if json { try LabExit.printJSON(document) } else { print(document.text) }
      }
    }
  }
}

enum RotationReference {
  static func step(_ step: Enrollment.RotationStep, force: Bool, _ stateDirectory: String?) async throws {
    try await ControlExit.translate {
      try await EnrollmentReference.enrollment(stateDirectory).perform { try $0.rotate(step, force: force) }
    }
  }
}
