import ArgumentParser
import Foundation
import Identity
import StreamRouter

/// `streamrouter operator`: who may deploy from another machine than the controller's.
struct OperatorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "operator", abstract: "Deploy from another machine than the controller's.",
    subcommands: [Join.self, Revoke.self])

  /// `streamrouter operator join`.
  struct Join: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "join",
      abstract: "Get an operator's certificate, with a token.",
      discussion: """
        On the controller's machine, then here:
          streamrouter token create --operator ada > ada.token
          streamrouter operator join CONTROLLER --name ada --token-file ada.token
          streamrouter status
        """)

    @OptionGroup var joining: JoinOptions
    @Option(help: "The operator's name, as the token was made for.") var name: String
    @Option(
      help: "Where the certificate is kept; by default in the user's configuration.", completion: .directory)
    var identity: String?

    func run() async throws {
      let folder = identity.map { StatePaths(.init($0)) } ?? StatePaths(OperatorIdentity.standardFolder)
      try await joining.join(.operator(name), EnrollmentReference.enrollment(folder))
      print("operator \(name) has joined\nnext:\n  streamrouter status")
    }
  }

  /// `streamrouter operator revoke`.
  struct Revoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "revoke",
      abstract: "Shut an operator out, on the controller's machine: certificates and tokens count no more.")

    @Argument(help: "The operator's name.") var name: String
    @Option(help: "Where the authority is kept.", completion: .directory) var stateDirectory: String?

    func run() async throws {
      try await EnrollmentReference.revoke(.operator(name), stateDirectory)
    }
  }
}

/// Where and with what to join.
struct JoinOptions: ParsableArguments {
  @Argument(
    help: ArgumentHelp(
      "Where the controller lets in who has a token; where several run, any of them: ADDRESS,ADDRESS...",
      valueName: "address"))
  var address: String
  @Option(help: "The token's file; - is standard input.", completion: .file()) var tokenFile: String
  @Option(
    help: ArgumentHelp(
      "Where the controller listens for those that have joined; by default the port before the one to join at.",
      discussion: "Where several run, those that 'controller run --advertise' names are heard of too.",
      valueName: "address:port,..."))
  var controller: String?

  func join(_ role: Role, _ enrollment: Enrollment) async throws {
    let texts = address.split(separator: ",", omittingEmptySubsequences: false).map {
      $0.contains(":") ? String($0) : "\($0):\(ControllerAddress.defaultPort + 1)"
    }
    guard let join = ControllerAddress.list(texts.joined(separator: ",")) else {
      throw ValidationError("\(address): write ADDRESS:PORT[,ADDRESS:PORT...], or unix:PATH")
    }
    let sessions: [ControllerAddress]?
    if let controller {
      sessions = ControllerAddress.list(controller)
    } else {
      let before = join.compactMap(\.before)
      sessions = before.count == join.count ? before : nil
    }
    guard let sessions else {
      throw ValidationError(
        "--controller \(controller ?? ""): write ADDRESS:PORT[,ADDRESS:PORT...], or unix:PATH")
    }
    guard
      let token = tokenFile == "-" ? readLine() : (try? String(contentsOfFile: tokenFile, encoding: .utf8))
    else {
      Report.error("cannot read the token from \(tokenFile)")
      throw ControlExit.usage
    }
    try await ControlExit.translate {
      try await enrollment.join(role, token: token, join: join, controllers: sessions)
    }
  }
}
