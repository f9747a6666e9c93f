import Foundation
import Synchronization
import SystemPackage
import TestSupport
import Testing
import Topology

@testable import StreamRouter

/// Two controllers over three members of etcd, and three nodes, each a process of its own on loopback:
///
///     send --> camera 127.90.N.1 --- edge 127.90.N.2 --- studio 127.90.N.3 --> receive
///                  \________________ | ________________/
///                       first, or second if that ended
///                            \         /
///                           m0 --- m1 --- m2 (etcd)
final class ControllerPair: Sendable {
  /// Ports of a controller: for those that joined, and for those that join.
  struct Ports: Sendable {
    var listen: UInt16
    var join: UInt16
  }

  static let nodes = ["camera", "edge", "studio"]
  static let controllers = ["first", "second"]

  let name: String
  let folder: URL
  let cluster: EtcdCluster
  let ports: [String: Ports]
  private let net: Int
  /// Controllers and nodes, as they were started last.
  private let running = Mutex<[String: LabProcess]>([:])

  private init(_ name: String) throws {
    self.name = "p-\(name)-\(getpid())"
    folder = FileManager.default.temporaryDirectory.appending(path: self.name)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    net = Int(getpid()) % 250
    cluster = try EtcdCluster(members: 3)
    let free = try EtcdCluster.freePorts(4)
    ports = [
      "first": Ports(listen: free[0], join: free[1]), "second": Ports(listen: free[2], join: free[3]),
    ]
  }

  /// Runs a test's body while all of it runs, with nothing deployed, and ends it whatever comes of it.
  static func use(_ name: String, _ body: (ControllerPair) async throws -> Void) async throws {
    let pair = try ControllerPair(name)
    do {
      try await pair.begin()
      try await body(pair)
    } catch {
      for line in pair.tails { print(line) }
      await pair.end()
      throw error
    }
    await pair.end()
  }

  private func begin() async throws {
    try await until("etcd's members have a leader") { try await cluster.isHealthy() }
    let both = Self.controllers.map { "127.0.0.1:\(ports[$0]?.listen ?? 0)" }
    try await done(
      "node", "init", "--name", "first", "--controller", both.joined(separator: ","), state("first"))
    try await start("first")
    // The authority's folder, as an administrator brings it to the machine of a further controller.
    try FileManager.default.createDirectory(at: place("second"), withIntermediateDirectories: true)
    try FileManager.default.copyItem(
      at: place("first").appending(path: "authority"), to: place("second").appending(path: "authority"))
    try await done(
      "controller", "init", "--name", "second", "--controller", both.reversed().joined(separator: ","),
      state("second"))
    try await start("second")
    // Each knows of one controller when it joins.
    for (node, controller) in zip(Self.nodes, ["first", "second", "second"]) {
      try await join(node, token: try await token("--node", node, at: "first"), at: controller)
      try startNode(node)
    }
    let file = folder.appending(path: "ada.token")
    try await token("--operator", "ada", at: "second").write(to: file, atomically: true, encoding: .utf8)
    try await done(
      "operator", "join", "127.0.0.1:\(ports["first"]?.join ?? 0)", "--name", "ada", "--token-file", file.path,
      "--identity", place("ada").path)
    try await until("all nodes are connected") { try await connected() == Set(Self.nodes) }
    // He was told of one, and hears of the other.
    try await until("the operator knows both controllers") {
      _ = try await status()
      return try OperatorIdentity(folder: FilePath(place("ada").path)).places.addresses.count == 2
    }
  }

  private func end() async {
    await LabProcess.end(LabProcess.all(marked: mark), patience: .seconds(5))
    try? FileManager.default.removeItem(at: folder)
    try? FileManager.default.removeItem(atPath: NodePaths.runtimeDirectory(topology: name).string)
  }

  // MARK: Processes

  private var mark: String { "STREAMROUTER_TEST_PAIR=\(name)" }

  private func place(_ who: String) -> URL { folder.appending(path: who) }
  func state(_ who: String) -> String { "--state-directory=\(place(who).path)" }
  private func socket(_ controller: String) -> FilePath { FilePath(place("\(controller).sock").path) }

  private func run(_ who: String, _ arguments: [String]) throws {
    let started = try LabProcess.startDetached(
      [LabFiles.ownProgram().string] + arguments, log: FilePath(place("\(who).log").path), mark: mark)
    running.withLock { $0[who] = started }
  }

  func startNode(_ node: String) throws { try run(node, ["node", "run", state(node)]) }

  func start(_ controller: String) async throws {
    let ports = try #require(ports[controller])
    try run(
      controller,
      [
        "controller", "run", "--store", cluster.store, "--listen", "127.0.0.1:\(ports.listen)", "--join",
        "127.0.0.1:\(ports.join)", "--socket", socket(controller).string, state(controller),
      ])
    try await until("controller \(controller) answers") { LabSocket.accepts(socket(controller)) }
  }

  /// As a machine that fails, and waits until it is gone.
  func kill(_ who: String) async throws {
    let process = try #require(running.withLock { $0[who] }, "\(who) does not run")
    process.signal(SIGKILL)
    try await until("\(who) is gone") { !process.isRunning }
  }

  /// The controller at work, as etcd has it.
  func atWork() async throws -> String {
    let text = try await cluster.control("get", "--print-value-only", "/streamrouter/v1/default/leader")
    return try JSONDecoder().decode(ControllerAtWork.self, from: Data(text.utf8)).controller
  }

  /// Waits until etcd has a deploy as under way.
  func deployBegins() async throws {
    try await until("the deploy begins") {
      try await !cluster.control("get", "--print-value-only", "/streamrouter/v1/default/deployment").isEmpty
    }
  }

  func other(than controller: String) -> String { controller == "first" ? "second" : "first" }

  private var tails: [String] {
    (Self.controllers + Self.nodes).map {
      "== \($0)\n\(LabFiles.tail(FilePath(place("\($0).log").path), lines: 25))"
    }
  }

  // MARK: Commands

  @discardableResult
  func command(_ arguments: String...) async throws -> LabShell.Outcome { try await command(arguments) }

  private func command(_ arguments: [String]) async throws -> LabShell.Outcome {
    try await LabShell.attempt("env", [LabFiles.ownProgram().string] + arguments)
  }

  @discardableResult
  private func done(_ arguments: String...) async throws -> String {
    let outcome = try await command(arguments)
    try #require(outcome.succeeded, "\(arguments): \(outcome.errors)")
    return outcome.output
  }

  /// A command of the operator, who knows both controllers.
  func operate(_ arguments: String...) async throws -> LabShell.Outcome {
    try await command(arguments + ["--identity", place("ada").path])
  }

  /// - Parameter controller: On whose machine it is made.
  func token(_ role: String, _ name: String, at controller: String) async throws -> String {
    try await done("token", "create", role, name, state(controller))
  }

  func join(_ node: String, token: String, at controller: String) async throws {
    let outcome = try await attemptJoin(node, token: token, at: controller, as: node)
    try #require(outcome.succeeded, "\(outcome.errors)")
  }

  func attemptJoin(
    _ node: String, token: String, at controller: String, as who: String
  ) async throws -> LabShell.Outcome {
    let file = folder.appending(path: "\(who).token")
    try token.write(to: file, atomically: true, encoding: .utf8)
    return try await command(
      "node", "join", "127.0.0.1:\(ports[controller]?.join ?? 0)", "--name", node, "--token-file", file.path,
      state(who))
  }

  // MARK: The topology

  var file: URL { folder.appending(path: "\(name).yaml") }

  func write(sinks: [String]) throws {
    let nodes = Self.nodes.enumerated().map {
      "  \($1): {addresses: [127.90.\(net).\($0 + 1)], engine: process}"
    }
    let text = """
      version: 1
      name: \(name)
      nodes:
      \(nodes.joined(separator: "\n"))
      links: [camera -- edge, edge -- studio]
      streams:
        video: {protocol: rtp, from: "camera:5004", sources: [127.0.0.0/8], to: [\(sinks.map { "\"\($0)\"" }.joined(separator: ", "))]}

      """
    try text.write(to: file, atomically: true, encoding: .utf8)
  }

  /// What the file wants, and what the engines say: destinations by node.
  func wantedSinks() throws -> [String: Set<String>] {
    let relays = try Topology.load(path: file.path).relays()
    return Dictionary(uniqueKeysWithValues: relays.map { ($0.node, Set($0.sinks.map { "\($0.destination)" })) })
  }

  func runningSinks() async throws -> [String: Set<String>] {
    let readings = await ControlSnapshotSource(topology: name, nodes: Self.nodes).read()
    return Dictionary(
      uniqueKeysWithValues: readings.map { reading in
        let relays = reading.snapshot?.relays ?? []
        return (reading.node, Set(relays.flatMap { $0.sinks.map { "\($0.destination)" } }))
      })
  }

  func status() async throws -> StatusDocument {
    try await ControllerClient(try OperatorIdentity(folder: FilePath(place("ada").path))).status()
  }

  func connected() async throws -> Set<String> {
    Set(try await status().nodes.filter { $0.state.hasPrefix("connected") }.map(\.node))
  }

  /// No deploy is under way, and every node runs the revision in force.
  func isSettled() async throws -> Bool {
    let status = try await status()
    return status.isWhole && status.lockedBy == nil && status.nodes.count == Self.nodes.count
  }

  /// - Throws: where it is not so after half a minute, with what each process says.
  func until(_ what: String, _ holds: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(30)
    while (try? await holds()) != true {
      if ContinuousClock.now > end {
        let status: String
        do { status = "\(try await self.status())" } catch { status = "\(error)" }
        try #require(Bool(false), "still waiting after 30 s: \(what)\n\(status)")
      }
      try await Task.sleep(for: .milliseconds(50))
    }
  }

  // MARK: The stream

  /// A stream from the camera's ingress to the studio, until it is ended.
  func beginStream() async throws -> Flow {
    let report = folder.appending(path: "received.json")
    let program = try LabFiles.ownProgram().string
    let receiver = try LabProcess.startDetached(
      [
        "/bin/sh", "-c",
        "exec \(program) receive --at 127.90.\(net).3:5004 --transport rtp --clock-rate 90000 --idle 4s --for 300s --json > \(report.path)",
      ], log: FilePath(place("receive.log").path), mark: mark)
    try await Task.sleep(for: .milliseconds(500))
    let sender = try LabProcess.startDetached(
      [program, "send", "--to", "127.90.\(net).1:5004", "--rate", "500", "--for", "280s"],
      log: FilePath(place("send.log").path), mark: mark)
    try await until("packets arrive") {
      let last = await ControlSnapshotSource(topology: name, nodes: ["studio"]).read().first?.snapshot
      return last?.relays.first?.counters["packets_in"] ?? 0 > 100
    }
    return Flow(sender: sender, receiver: receiver, report: report)
  }

  struct Flow: Sendable {
    struct Report: Decodable, Hashable, Sendable {
      struct Run: Decodable, Hashable, Sendable {
        var received: UInt64
        var lost: UInt64
        var duplicates: UInt64
      }
      var runs: [Run]
    }

    let sender: LabProcess
    let receiver: LabProcess
    let report: URL

    func end() async throws -> Report.Run {
      sender.signal(SIGINT)
      let limit = ContinuousClock.now + .seconds(20)
      while receiver.isRunning, ContinuousClock.now < limit { try await Task.sleep(for: .milliseconds(50)) }
      let report = try JSONDecoder().decode(Report.self, from: Data(contentsOf: report))
      #expect(report.runs.count == 1)
      return try #require(report.runs.first, "nothing of the stream was received")
    }
  }
}
