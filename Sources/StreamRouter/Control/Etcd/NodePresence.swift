import EtcdAPI
import Foundation

/// The nodes that have a session with the controller at work, as keys that end with its lease: whoever looks into etcd sees
/// who is there.
struct NodePresence: Sendable {
  /// The value of a node's key.
  struct Present: Hashable, Sendable, Codable {
    var version: String
    var revision: UInt64
  }

  /// etcd takes 128 operations in one transaction.
  private static let batch = 100

  private let client: EtcdClient
  private let keys: EtcdKeys
  private let lease: Int64
  private var written: [String: Present] = [:]

  init(_ client: EtcdClient, lease: Int64) {
    self.client = client
    keys = EtcdKeys(installation: client.place.installation)
    self.lease = lease
  }

  /// Writes what changed since the last time.
  mutating func update(_ entries: [String: NodeRegistry.Entry]) async throws {
    let present = entries.filter(\.value.isConnected).mapValues {
      Present(version: $0.hello.version, revision: $0.revision)
    }
    let changed = Set(present.keys).union(written.keys).filter { present[$0] != written[$0] }.sorted()
    for start in stride(from: 0, to: changed.count, by: Self.batch) {
      let nodes = changed[start..<min(start + Self.batch, changed.count)]
      let operations = try nodes.map { node in
        try present[node].map { try EtcdRequestOp.put(keys.node(node), EtcdStore.encode($0), lease: lease) }
          ?? .delete(keys.node(node))
      }
      guard try await client.transact([.held(keys.leader, by: lease)], operations).succeeded else { return }
      for node in nodes { written[node] = present[node] }
    }
  }
}
