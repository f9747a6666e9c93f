import Foundation
import Identity
import Logging
import Synchronization
import SystemPackage

/// Who this node, controller or operator is at the moment: the certificate may be renewed while it runs.
final class CurrentIdentity: Sendable {
  private let path: FilePath
  private let held: Mutex<Identity>

  init(_ identity: Identity, path: FilePath) {
    self.path = path
    held = Mutex(identity)
  }

  var identity: Identity { held.withLock { $0 } }

  /// Keeps a renewed one, on the disk first.
  func replace(_ identity: Identity) throws {
    try identity.save(to: path.string)
    held.withLock { $0 = identity }
  }

  /// TLS towards a controller.
  func client(expecting role: Role, log: Logger) throws -> TLSSettings {
    let identity = identity
    return try .client(
      identity, expecting: role, verifier: { PeerVerifier(trust: identity.trust) }, now: { Date() },
      refused: { log.warning("the controller is not the one that this node joined: \($0)") })
  }
}
