import EtcdAPI
import Foundation

/// Copies of built extensions in etcd, by content hash: another controller finds them there.
struct EtcdExtensions: ExtensionCopies {
  private let client: EtcdClient
  private let keys: EtcdKeys

  init(_ client: EtcdClient) {
    self.client = client
    keys = EtcdKeys(installation: client.place.installation)
  }

  func bytes(_ content: String) async throws -> [UInt8]? {
    try await client.range(keys.extension(content)).kvs.first.map { [UInt8]($0.value) }
  }

  func put(_ content: String, _ bytes: [UInt8]) async throws {
    try await client.put(keys.extension(content), Data(bytes))
  }

  func keepOnly(_ contents: Set<String>) async throws {
    let found = try await client.range(
      keys.extensions, end: EtcdKeys.end(of: keys.extensions), keysOnly: true)
    let unused = found.kvs.map(\.name).filter {
      !contents.contains(String($0.dropFirst(keys.extensions.count)))
    }
    // etcd takes 128 in one transaction; the rest goes the next time.
    _ = try await client.transact([], unused.prefix(100).map { .delete($0) })
  }
}
