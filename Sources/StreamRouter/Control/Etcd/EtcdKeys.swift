import EtcdAPI
import Foundation

/// The keys of an installation, all below `/streamrouter/v1/INSTALLATION/`.
struct EtcdKeys: Hashable, Sendable {
  let prefix: String

  init(installation: String) { prefix = "/streamrouter/v1/\(installation)/" }

  /// The number of the revision in force.
  var current: String { prefix + "current" }
  /// The latest number given.
  var latest: String { prefix + "latest" }
  /// The deploy under way; who has it may deploy.
  var deployment: String { prefix + "deployment" }
  /// The controller at work; ends with its lease.
  var leader: String { prefix + "leader" }
  var revisions: String { prefix + "revisions/" }
  /// The texts of topology files, by SHA-256: they would not fit thrice into a request, and are written once.
  var topologies: String { prefix + "topologies/" }
  var extensions: String { prefix + "extensions/" }
  /// Nodes that have a session with the controller at work.
  var nodes: String { prefix + "nodes/" }

  /// The records of the authority.
  var authority: String { prefix + "authority/" }
  /// Its revision is their version.
  var authorityVersion: String { authority + "version" }
  /// Where controllers can be reached.
  var controllers: String { prefix + "controllers/" }

  func revision(_ number: UInt64) -> String { revisions + "\(number)" }
  func topology(_ content: String) -> String { topologies + content }
  func `extension`(_ content: String) -> String { extensions + content }
  func node(_ name: String) -> String { nodes + name }
  func controller(_ address: String) -> String { controllers + address }

  /// The first key behind all that begin with this one, which ends in a slash.
  static func end(of folder: String) -> Data { Data(folder.utf8.dropLast()) + [0x30] }
}

extension EtcdKeyValue {
  var name: String { String(decoding: key, as: UTF8.self) }
}

extension EtcdCompare {
  /// Nobody changed the key since it was read; 0: it still is not there.
  static func unchanged(_ key: String, since revision: Int64) -> EtcdCompare {
    .with {
      $0.key = Data(key.utf8)
      $0.target = .mod
      $0.modRevision = revision
    }
  }

  static func exists(_ key: String) -> EtcdCompare {
    .with {
      $0.key = Data(key.utf8)
      $0.target = .create
      $0.result = .greater
      $0.createRevision = 0
    }
  }

  /// The key is there, and ends with this lease.
  static func held(_ key: String, by lease: Int64) -> EtcdCompare {
    .with {
      $0.key = Data(key.utf8)
      $0.target = .lease
      $0.lease = lease
    }
  }
}

extension EtcdRequestOp {
  static func get(_ key: String) -> EtcdRequestOp {
    .with { $0.requestRange = .with { $0.key = Data(key.utf8) } }
  }

  static func put(_ key: String, _ value: Data, lease: Int64 = 0) -> EtcdRequestOp {
    .with {
      $0.requestPut = .with {
        $0.key = Data(key.utf8)
        $0.value = value
        $0.lease = lease
      }
    }
  }

  static func delete(_ key: String) -> EtcdRequestOp {
    .with { $0.requestDeleteRange = .with { $0.key = Data(key.utf8) } }
  }
}
