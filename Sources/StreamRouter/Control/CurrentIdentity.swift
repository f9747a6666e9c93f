import Foundation
import Identity
import Logging
import Synchronization
import SystemPackage

/// Who this node, controller or operator is at the moment: the certificate may be renewed while it runs.
final class CurrentIdentity: Sendable {
  private let path: FilePath
  private let held: Mutex<Identity>
  private let now: @Sendable () -> Date

  init(_ identity: Identity, path: FilePath, now: @escaping @Sendable () -> Date = { Date() }) {
    self.path = path
    self.now = now
    held = Mutex(identity)
  }

  var identity: Identity { held.withLock { $0 } }

  /// Keeps a renewed one, on the disk first.
  func replace(_ identity: Identity) throws {
    try identity.save(to: path.string)
    held.withLock { $0 = identity }
  }

  /// Where another process of this machine has renewed since, or joined anew, that one counts: a controller and the node
  /// of its machine have one identity.
  func takeFromDisk() {
    guard let other = try? Identity.load(from: path.string) else { return }
    held.withLock { held in
      if other.role == held.role, other.certificate.notBefore >= held.certificate.notBefore { held = other }
    }
  }

  /// TLS towards a controller: the one that was joined, or another one of the installation.
  ///
  /// - Parameter refusal: Keeps why it was not taken for the one that it should be.
  func client(expecting role: Role, _ refusal: RefusalNote) throws -> TLSSettings {
    let identity = identity
    return try .client(
      identity, expecting: role, orController: true, verifier: { PeerVerifier(trust: identity.trust) },
      now: now,
      refused: { refusal.note($0) })
  }
}
