import Synchronization
import Topology

/// The built extensions that a node has read, by their content: what its engines take them from.
final class ExtensionShelf: Sendable {
  private let objects = Mutex<[String: ExtensionObject]>([:])

  /// Adds what a reading of the topology found.
  func put(_ found: [String: ExtensionObject]) { objects.withLock { $0.merge(found) { $1 } } }

  /// Forgets what these relays do not use.
  func keepOnly(usedBy relays: [Relay]) {
    let used = Set(relays.flatMap { $0.extensions.compactMap(\.content) })
    objects.withLock { $0 = $0.filter { used.contains($0.key) } }
  }

  var source: ExtensionSource {
    { [self] use in
      guard let object = use.content.flatMap({ content in objects.withLock { $0[content] } }) else {
        return try noExtensions(use)
      }
      return object
    }
  }
}
