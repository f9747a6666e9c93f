import Foundation
import Subprocess
import SystemPackage
import Topology

/// The relay of a benchmark: a real daemon on a real topology file, in the relay's namespace.
struct BenchRelay {
  /// What forwards: an engine, or the kernel's own forwarding as the reference.
  enum Way: String, CaseIterable, Codable, Sendable {
    case process, kernel, sandbox
  }

  /// The name of the topology of a benchmark's process.
  static func topology(of process: pid_t) -> String { "bench-\(process)" }

  /// Runs `body` while the relay runs; it is gone afterwards.
  static func run<T: Sendable>(
    _ way: Way, in network: BenchNetwork, body: @Sendable @escaping () async throws -> T
  ) async throws -> T {
    guard way != .kernel else {
      try await network.forward(true)
      let result = await Result.of(body)
      try await Task { try await network.forward(false) }.value
      return try result.get()
    }
    let name = topology(of: getpid())
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(name).yaml").path
    let text = """
      version: 1
      name: \(name)
      nodes:
        relay: {address: \(BenchNetwork.ingress.address), engine: \(way.rawValue)}
      streams:
        bench: {protocol: udp, from: "relay:\(BenchNetwork.ingress.port)", to: "\(BenchNetwork.sink)", sources: 10.77.1.2}

      """
    try text.write(toFile: file, atomically: true, encoding: .utf8)
    let paths = NodePaths(topology: name, node: "relay")
    defer {
      try? FileManager.default.removeItem(atPath: file)
      try? FileManager.default.removeItem(atPath: NodePaths.runtimeDirectory(topology: name).string)
      try? FileManager.default.removeItem(atPath: NodePaths.pinDirectory(topology: name).string)
    }
    let own = try LabFiles.ownExecutable()
    let outcome = try await Subprocess.run(
      .name("nsenter"),
      arguments: [
        "--net=/run/netns/\(network.relay)", "taskset", "-c", "\(BenchNetwork.relayProcessor)", own.string,
        "node",
        "run", file, "--name", "relay",
      ],
      input: .none, output: .discarded, error: .string(limit: 1 << 20)
    ) { execution in
      let deadline = ContinuousClock.now + .seconds(10)
      while !LabSocket.accepts(paths.controlSocket) {
        guard ContinuousClock.now < deadline else {
          try? execution.send(signal: .kill)
          throw BenchError.relayNotReady(way: way.rawValue)
        }
        try await Task.sleep(for: .milliseconds(20))
      }
      let result = await Result.of(body)
      try? execution.send(signal: .terminate)
      return result
    }
    if way == .sandbox {
      try NetworkNamespace.run(in: network.relay) { SandboxEngine.removeAll(pins: paths.pins.string) }
    }
    return try outcome.closureResult.get()
  }
}

extension Result where Failure == any Error, Success: Sendable {
  fileprivate static func of(_ body: @Sendable () async throws -> Success) async -> Result {
    do { return .success(try await body()) } catch { return .failure(error) }
  }
}

/// Why a benchmark cannot run.
public enum BenchError: Error, Hashable, Sendable, CustomStringConvertible {
  case relayNotReady(way: String)
  case needs(String)
  case nothingArrived(String)

  public var description: String {
    switch self {
    case .relayNotReady(let way):
      "the relay with engine \(way) did not start within 10 s; 'streamrouter node run' on a topology of your own tells why"
    case .needs(let what): what
    case .nothingArrived(let what): "nothing arrived at the sink: \(what); the figure would be meaningless"
    }
  }
}
