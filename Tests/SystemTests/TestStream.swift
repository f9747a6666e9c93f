import Foundation
import Testing
import Topology

@testable import StreamRouter

/// What `streamrouter send` and `streamrouter receive` say of a stream in a lab.
struct TestStream {
  struct Report: Hashable, Sendable {
    var received: UInt64
    var lost: UInt64
    var duplicates: UInt64
  }

  private let sender: LabProcess?
  private let receiver: LabProcess
  private let output: URL

  /// Receives the stream `video` at the studio, sends it, and returns once packets arrive.
  static func begin(_ live: LiveLab, perSecond: Int, for duration: String) async throws -> TestStream {
    let receiving = try await receive(live, at: "studio")
    let sender = try LabProcess.startDetached(
      command(
        [
          "send", "--topology", live.topology.name, "--stream", "video", "--rate", "\(perSecond)", "--for",
          duration,
        ]),
      log: .init(live.folder.appending(path: "send.log").path), mark: Lab.mark(topology: live.topology.name))
    try await live.until("packets arrive") {
      try await live.account("video").last?.counters["packets_in"] ?? 0 > 100
    }
    return TestStream(sender: sender, receiver: receiving.receiver, output: receiving.output)
  }

  /// Receives at another sink, from whenever packets come.
  static func receive(_ live: LiveLab, at node: String) async throws -> TestStream {
    let output = live.folder.appending(path: "receive-\(node).json")
    // The report is what the process prints; its log file takes both outputs, so it writes the report elsewhere.
    let port = node == "studio" ? 5004 : 6000
    let address = node == "studio" ? "10.78.0.3" : "10.78.0.2"
    let program = try LabFiles.ownProgram().string
    let receiver = try LabProcess.startDetached(
      [
        "nsenter", "--net=/run/netns/\(live.namespace(node))", "sh", "-c",
        "exec \(program) receive --at \(address):\(port) --transport rtp --clock-rate 90000 --idle 3s --for 90s --json > \(output.path)",
      ], log: .init(live.folder.appending(path: "receive-\(node).log").path),
      mark: Lab.mark(topology: live.topology.name))
    try await Task.sleep(for: .milliseconds(300))
    return TestStream(sender: nil, receiver: receiver, output: output)
  }

  private static func command(_ arguments: [String]) throws -> [String] {
    [try LabFiles.ownProgram().string] + arguments
  }

  /// Waits for both, and reads the report.
  func end(interrupt: Bool = false) async throws -> Report {
    if interrupt { sender?.signal(SIGINT) }
    let limit = ContinuousClock.now + .seconds(100)
    while receiver.isRunning, ContinuousClock.now < limit { try await Task.sleep(for: .milliseconds(50)) }
    struct Received: Decodable {
      struct Run: Decodable {
        var received: UInt64
        var lost: UInt64
        var duplicates: UInt64
      }
      var runs: [Run]
    }
    let text = try Data(contentsOf: output)
    let runs = try JSONDecoder().decode(Received.self, from: text).runs
    let run = try #require(runs.first, "no run of 'send' was received")
    #expect(runs.count == 1)
    return Report(received: run.received, lost: run.lost, duplicates: run.duplicates)
  }
}

extension LiveLab {
  /// A command of a user who stands on the machine.
  func command(_ arguments: String...) async throws -> LabShell.Outcome {
    let about = ["deploy", "plan"].contains(arguments.first ?? "") ? [] : ["--lab", topology.name]
    return try await command(arguments + about)
  }

  func command(_ arguments: [String]) async throws -> LabShell.Outcome {
    try await LabShell.attempt("env", [try LabFiles.ownProgram().string] + arguments)
  }

  func controlStatus() async throws -> StatusDocument {
    try await ControllerClient(socket: LabController.operators(topology.name)).status()
  }

  /// And waits until it is gone.
  func kill(node: String) async throws {
    let state = try #require(try LabState.load(topology: topology.name))
    let daemon = try #require(state.daemons[node])
    daemon.signal(SIGKILL)
    try await until("the daemon of \(node) is gone") { !daemon.isRunning }
  }

  /// And waits until it is gone.
  func killController() async throws {
    let state = try #require(try LabState.load(topology: topology.name))
    let controller = try #require(state.controller)
    controller.signal(SIGKILL)
    try await until("the controller is gone") { !controller.isRunning }
  }

  /// What each node relays, by its account.
  func relays() async throws -> [String: [Relay]] {
    var found: [String: [Relay]] = [:]
    for node in topology.nodes.map(\.name) {
      let part = try DurableFile.read(
        LabController.state(topology.name, node: node).member.appending("settled.json"), as: NodePart.self)
      found[node] = part?.relays ?? []
    }
    return found
  }

  /// Destinations by node, as the engines say.
  func runningSinks() async throws -> [String: Set<String>] {
    var found: [String: Set<String>] = [:]
    for (hop, relay) in try await account("video").enumerated() {
      // The account is in the order of the hops, as the nodes are.
      found[topology.nodes[hop].name] = Set(relay.sinks.map { "\($0.destination)" })
    }
    return found
  }

  /// Destinations by node, as the file wants them.
  func wantedSinks() async throws -> [String: Set<String>] {
    let relays = try Topology.load(path: file.path).relays()
    return Dictionary(uniqueKeysWithValues: relays.map { ($0.node, Set($0.sinks.map { "\($0.destination)" })) })
  }

  func until(_ what: String, _ holds: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(30)
    while true {
      if (try? await holds()) == true { return }
      guard ContinuousClock.now < end else {
        let log = LabFiles.tail(LabController.log(topology.name), lines: 12)
        let status = (try? await controlStatus()).map { "\($0)" } ?? "no controller"
        try #require(Bool(false), "still waiting after 30 s: \(what)\n\(status)\n\(log)")
        return
      }
      try await Task.sleep(for: .milliseconds(20))
    }
  }
}
