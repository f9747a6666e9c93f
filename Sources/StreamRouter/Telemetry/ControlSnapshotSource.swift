import Foundation
import NIOCore
import NIOPosix

/// Readings from the control sockets of a topology's nodes on this machine.
public actor ControlSnapshotSource: SnapshotSource {
  private let nodes: [NodePaths]
  private var last: [String: NodeSnapshot] = [:]
  private static let patience = Duration.seconds(1)
  /// A snapshot of 10,000 relays is about 20 MB.
  private static let largestAnswer = 256 << 20

  public init(topology: String, nodes: [String]) {
    self.nodes = nodes.map { NodePaths(topology: topology, node: $0) }
  }

  /// The nodes of a topology that run on this machine: those of its lab, in the order of its file, else those whose
  /// sockets are there.
  public init(running topology: String) {
    let lab = try? LabState.load(topology: topology)
    let sockets = LabFiles.list(NodePaths.runtimeDirectory(topology: topology))
      .filter { $0.hasSuffix(".sock") }.map { String($0.dropLast(5)) }.sorted()
    self.init(topology: topology, nodes: lab?.nodes ?? sockets)
  }

  /// Topologies of which a node or a lab runs on this machine, by name.
  public static func runningTopologies() -> [String] {
    LabFiles.list(NodePaths.runtimeRoot).filter { topology in
      LabFiles.list(NodePaths.runtimeDirectory(topology: topology)).contains { $0.hasSuffix(".sock") }
    }.sorted()
  }

  public func read() async -> [NodeReading] {
    let answers = await Self.askAll(nodes)
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
  private static func askAll(_ nodes: [NodePaths]) async -> [String: Answer] {
    await withTaskGroup(of: Answer.self) { group in
      for paths in nodes {
        group.addTask {
          do {
            return Answer(node: paths.node, snapshot: try await ask(paths))
          } catch {
            return Answer(node: paths.node, problem: explain(error, paths))
          }
        }
      }
      var answers: [String: Answer] = [:]
      for await answer in group { answers[answer.node] = answer }
      return answers
    }
  }

  /// One question to one node.
  static func ask(_ paths: NodePaths) async throws -> NodeSnapshot {
    try await withThrowingTaskGroup(of: NodeSnapshot.self) { group in
      group.addTask {
        let client: NIOAsyncChannel<ByteBuffer, ByteBuffer> =
          try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
          .connect(unixDomainSocketPath: paths.controlSocket.string) { channel in
            channel.eventLoop.makeCompletedFuture { try NIOAsyncChannel(wrappingChannelSynchronously: channel) }
          }
        return try await client.executeThenClose { inbound, _ in
          var text = Data()
          for try await part in inbound {
            text.append(contentsOf: part.readableBytesView)
            guard text.count <= largestAnswer else { throw SilentNode() }
          }
          return try JSONDecoder().decode(NodeSnapshot.self, from: text)
        }
      }
      group.addTask {
        try await Task.sleep(for: patience)
        throw SilentNode()
      }
      defer { group.cancelAll() }
      guard let first = try await group.next() else { throw SilentNode() }
      return first
    }
  }

  private struct SilentNode: Error {}

  private static func explain(_ error: any Error, _ paths: NodePaths) -> String {
    switch error {
    case let error as IOError where error.errnoCode == ENOENT || error.errnoCode == ECONNREFUSED:
      "no daemon answers on \(paths.controlSocket)"
    case let error as IOError where error.errnoCode == EACCES:
      "no permission for \(paths.controlSocket); run as root"
    case is SilentNode: "no answer within \(patience)"
    case is DecodingError: "the answer is no snapshot: the daemon is another version"
    default: "\(error)"
    }
  }
}
