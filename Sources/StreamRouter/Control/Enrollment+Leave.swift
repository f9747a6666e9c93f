import Foundation
import Identity
import SystemPackage

extension Enrollment {
  /// Takes this machine's node out of its installation: ends its relays, and removes its part and its identity. Nothing of
  /// it is left but what the controller knows of it.
  ///
  /// - Returns: The node's name.
  /// - Throws: ``ControlError`` where its daemon runs, or where the controller is here; then nothing changes.
  public func leave() throws -> String {
    guard !FileManager.default.fileExists(atPath: state.authority.string) else {
      throw ControlError.forbidden(
        "\(state.root) holds the installation's authority: without it nobody can join or renew")
    }
    let identity = try Identity.load(from: state.identity.string)
    guard case .node(let name) = identity.role else {
      throw ControlError.unreadable(
        path: state.identity.string, reason: "it is \(identity.role)'s, and no node's")
    }
    let lock = try ProcessLock(state.root.appending("node.lock"), what: "a daemon of node \(name)")
    defer { lock.release() }
    let part = try MemberState(folder: state.member)
    for topology in Set([part.settled?.topology, part.prepared?.part.topology].compactMap { $0 }) {
      let paths = NodePaths(topology: topology, node: name)
      SandboxEngine.removeAll(pins: paths.pins.string, store: paths.extensions.string)
      UpcallEngine.removeAll(owner: paths.pins.string)
      guard SandboxEngine.isRemoved(pins: paths.pins.string) else {
        throw ControlError.unwritable(
          path: paths.pins.string, reason: "run as root, or as the user who runs the node")
      }
    }
    // The identity last: what was interrupted can be said again.
    for path in [state.member, state.controllerNote, state.identity] {
      do { try FileManager.default.removeItem(atPath: path.string) } catch CocoaError.fileNoSuchFile {} catch {
        throw ControlError.unwritable(path: path.string, reason: error.localizedDescription)
      }
    }
    return name
  }
}
