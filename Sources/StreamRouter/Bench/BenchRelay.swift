import Foundation
import SystemPackage
import Topology

/// The relay of a benchmark: a real daemon on a real topology file, in the relay's namespace.
struct BenchRelay: Sendable {
  /// Distinguishes engines from each other: what stands in the topology's node.
  enum Setting: Sendable {
    case process, processRR, sandbox, sandboxFIFO
  }

  var setting: Setting
  var transport = "udp"
  /// How many streams, each at a port of its own and each to the same sinks.
  var streams = 1
  var firstPort = BenchNetwork.ingress.port
  var sinks = ["\(BenchNetwork.sink)"]
  /// A built extension that every packet goes through.
  var passing: String?

  /// The name of the topology of a benchmark's process.
  static func topology(of process: pid_t) -> String { "bench-\(process)" }

  /// The topology file.
  func text(name: String, extension passing: String?) -> String {
    let engine =
      switch setting {
      case .process: "engine: process"
      case .processRR: "engine: process, scheduling: rr"
      case .sandbox: "engine: sandbox"
      case .sandboxFIFO: "engine: sandbox, scheduling: fifo"
      }
    let to = "[" + sinks.map { "\"\($0)\"" }.joined(separator: ", ") + "]"
    let extensions = passing.map { ", extensions: \($0)" } ?? ""
    let streams = (0..<streams).map { number in
      "  bench-\(number): {protocol: \(transport), from: \"relay:\(Int(firstPort) + number)\", to: \(to), sources: 10.77.1.2\(extensions)}"
    }
    return """
      version: 1
      name: \(name)
      nodes:
        relay: {address: \(BenchNetwork.ingress.address), \(engine)}
      streams:
      \(streams.joined(separator: "\n"))

      """
  }

  /// Runs `body` while the relay runs; it is gone afterwards.
  func run<T: Sendable>(
    in network: BenchNetwork, body: @Sendable @escaping () async throws -> T
  ) async throws -> T {
    let name = Self.topology(of: getpid())
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(name)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let paths = NodePaths(topology: name, node: "relay")
    defer {
      for path in [
        folder.path, NodePaths.runtimeDirectory(topology: name).string,
        NodePaths.pinDirectory(topology: name).string,
      ] { try? FileManager.default.removeItem(atPath: path) }
    }
    var word: String?
    if let passing {
      let object = try ExtensionObject(path: passing)
      word = object.manifest.name
      try FileManager.default.copyItem(
        atPath: passing, toPath: folder.appendingPathComponent("\(object.manifest.name).srx").path)
    }
    let file = folder.appendingPathComponent("bench.yaml").path
    try text(name: name, extension: word).write(toFile: file, atomically: true, encoding: .utf8)
    let command = try LabFiles.ownProgram().string
    let process = BenchProcess(
      name: "the relay", command: [command, "node", "run", file, "--name", "relay"],
      namespace: network.relay, processor: BenchNetwork.relayProcessor
    ) { LabSocket.accepts(paths.controlSocket) }
    defer {
      if setting == .sandbox || setting == .sandboxFIFO {
        try? NetworkNamespace.run(in: network.relay) { SandboxEngine.removeAll(pins: paths.pins.string) }
      }
    }
    return try await process.run(body)
  }
}
