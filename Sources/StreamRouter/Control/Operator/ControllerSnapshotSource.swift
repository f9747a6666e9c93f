import ControlAPI
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix

/// Readings of all nodes of what is deployed, wherever they are, from their controller.
public actor ControllerSnapshotSource: SnapshotSource {
  private let client: GRPCClient<HTTP2ClientTransport.Posix>
  private let controller: String
  /// Ends with this source.
  private let connection: Task<Void, Never>
  private var last: [String: NodeSnapshot] = [:]
  private var nodes: [String] = []

  init(_ transport: HTTP2ClientTransport.Posix, controller: String) {
    let client = GRPCClient(transport: transport)
    self.client = client
    self.controller = controller
    connection = Task { try? await client.runConnections() }
  }

  deinit { client.beginGracefulShutdown() }

  public func read() async -> [NodeReading] {
    var options = ControlTransport.streamOptions
    options.timeout = .seconds(4)
    let service = APIOperator.Client(wrapping: client)
    do {
      let reply = try await service.snapshots(.init(), options: options) { response in
        var reply = APISnapshotsReply()
        for try await message in response.messages { reply = message }
        return reply
      }
      nodes = reply.nodes.map(\.node)
      return reply.nodes.map { take($0) }
    } catch {
      let reason = (error as? RPCError)?.message ?? "\(error)"
      return nodes.map { stale($0, "the controller at \(controller) cannot be reached: \(reason)") }
    }
  }

  private func take(_ reading: APINodeReading) -> NodeReading {
    guard !reading.snapshot.isEmpty else { return stale(reading.node, reading.problem) }
    do {
      let snapshot = try JSONDecoder().decode(NodeSnapshot.self, from: reading.snapshot)
      last[reading.node] = snapshot
      return NodeReading(node: reading.node, snapshot: snapshot)
    } catch { return stale(reading.node, "its snapshot cannot be read: it is another version") }
  }

  private func stale(_ node: String, _ problem: String) -> NodeReading {
    let former = last[node]
    let now = Date().timeIntervalSince1970
    return NodeReading(
      node: node, snapshot: former, staleSeconds: former.map { max(0, now - Double($0.timeNs) / 1e9) },
      problem: problem)
  }
}

extension ControllerClient {
  /// Readings of all nodes, as the controller has them that was asked last: where another one takes over, begin anew.
  public func snapshots() throws -> ControllerSnapshotSource {
    let address = try first
    let security = try identity?.security(RefusalNote())
    return ControllerSnapshotSource(
      try ControlTransport.client(address, security), controller: address.description)
  }
}
