import EtcdAPI
import Foundation
import Identity

/// The records of the authority in etcd, so that controllers have them in common: below `authority/`, with one key whose
/// revision is the version of the whole. A change is one transaction that compares it.
struct EtcdRecords: AuthorityRecords {
  private let client: EtcdClient
  private let keys: EtcdKeys

  init(_ client: EtcdClient) {
    self.client = client
    keys = EtcdKeys(installation: client.place.installation)
  }

  func read(unless known: Int64?) async throws -> SharedRecords? {
    if let known {
      let version = try await client.range(keys.authorityVersion).kvs.first?.modRevision ?? 0
      guard version != known else { return nil }
    }
    // One answer: everything is of one moment.
    let answer = try await client.range(keys.authority, end: EtcdKeys.end(of: keys.authority))
    var version: Int64 = 0
    var values: [String: [UInt8]] = [:]
    for value in answer.kvs {
      if value.name == keys.authorityVersion {
        version = value.modRevision
      } else {
        values[String(value.name.dropFirst(keys.authority.count))] = [UInt8](value.value)
      }
    }
    guard version > 0 || values.isEmpty else {
      throw ControlError.damaged(key: keys.authorityVersion, reason: "it is not there")
    }
    return SharedRecords(version: version, values: values)
  }

  func replace(_ change: SharedRecords.Change, of version: Int64) async throws -> Bool {
    // One identity for all attempts: a change whose answer was lost is known by it.
    let write = Data(UUID().uuidString.utf8)
    let operations =
      [EtcdRequestOp.put(keys.authorityVersion, write)]
      + change.written.map { .put(keys.authority + $0.key, Data($0.value)) }
      + change.removed.map { .delete(keys.authority + $0) }
    let answer = try await client.transact(
      [.unchanged(keys.authorityVersion, since: version)], operations, otherwise: [.get(keys.authorityVersion)])
    return answer.succeeded || answer.responses.first?.responseRange.kvs.first?.value == write
  }
}
