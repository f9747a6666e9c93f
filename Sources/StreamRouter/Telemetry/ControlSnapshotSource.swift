import Foundation
import NIOCore

/// Readings from the control sockets of a topology's nodes on this machine.
public actor ControlSnapshotSource: SnapshotSource {
  private let nodes: [NodePaths]
  /// One for each node, kept open from reading to reading.
  private let connections: [ControlConnection]
  private var last: [String: NodeSnapshot] = [:]

  public init(topology: String, nodes: [String]) {
    self.nodes = nodes.map { NodePaths(topology: topology, node: $0) }
    connections = self.nodes.map { ControlConnection($0.controlSocket.string) }
  }

  /// The nodes of a topology that run on this machine: those of its lab, in the order of its file, else those whose
  /// sockets are there.
  public init(running topology: String) {
    let lab = try? LabState.load(topology: topology)
    self.init(topology: topology, nodes: lab?.nodes ?? Self.nodes(running: topology))
  }

  /// The nodes of a topology whose sockets are on this machine, by name.
  public static func nodes(running topology: String) -> [String] {
    LabFiles.list(NodePaths.runtimeDirectory(topology: topology))
      .filter { $0.hasSuffix(".sock") }.map { String($0.dropLast(5)) }.sorted()
  }

  /// Whether all nodes of the topology are a lab on this machine.
  public static func isLab(_ topology: String) -> Bool { (try? LabState.load(topology: topology)) != nil }

  /// Topologies of which a node or a lab runs on this machine, by name.
  public static func runningTopologies() -> [String] {
    LabFiles.list(NodePaths.runtimeRoot).filter { topology in
      LabFiles.list(NodePaths.runtimeDirectory(topology: topology)).contains { $0.hasSuffix(".sock") }
    }.sorted()
  }

  public func read() async -> [NodeReading] {
    let answers = await askAll()
    let now = Date().timeIntervalSince1970
    return nodes.map { paths in
      let answer = answers[paths.node]
      if let snapshot = answer?.snapshot {
        last[paths.node] = snapshot
        return NodeReading(node: paths.node, snapshot: snapshot)
      }
      let former = last[paths.node]
      return NodeReading(
        node: paths.node, snapshot: former,
        staleSeconds: former.map { max(0, now - Double($0.timeNs) / 1e9) },
        problem: answer?.problem ?? "was not asked")
    }
  }

  /// What came of one question: a snapshot, or why there is none.
  private struct Answer: Sendable {
    var node: String
    var snapshot: NodeSnapshot?
    var problem: String?
  }

  /// One child task a node. Its result is a struct: with a tuple of a string and a Result, Swift 6.3.1's optimised build
  /// copied the child's result with another type's witness and crashed.
  private func askAll() async -> [String: Answer] {
    await withTaskGroup(of: Answer.self) { group in
      for (paths, connection) in zip(nodes, connections) {
        group.addTask {
          do {
            return Answer(node: paths.node, snapshot: try await connection.snapshot())
          } catch {
            return Answer(node: paths.node, problem: Self.explain(error, connection, paths))
          }
        }
      }
      var answers: [String: Answer] = [:]
      for await answer in group { answers[answer.node] = answer }
      return answers
    }
  }

  private static func explain(_ error: any Error, _ connection: ControlConnection, _ paths: NodePaths) -> String
  {
    switch error {
    case let error as IOError where error.errnoCode == ENOENT || error.errnoCode == ECONNREFUSED:
      "no daemon answers on \(paths.controlSocket)"
    case let error as IOError where error.errnoCode == EACCES:
      "no permission for \(paths.controlSocket); run as root"
    case ControlConnection.Failure.silent: "no answer within \(connection.patience)"
    case ControlConnection.Failure.ended: "the daemon ended the connection: it stops, or is another version"
    case is ByteReader.Damage, ControlConnection.Failure.tooLarge:
      "the answer is no snapshot: the daemon is another version"
    default: "\(error)"
    }
  }
}
