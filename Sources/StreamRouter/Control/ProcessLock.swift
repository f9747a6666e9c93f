import Foundation
import SystemPackage

/// One process at a time: a lock on a file, which the kernel lets go with the process that holds it.
struct ProcessLock: Sendable {
  private let descriptor: Int32

  /// - Parameter what: For the message where another process holds it: `a daemon of node edge`.
  /// - Throws: ``ControlError``.
  init(_ path: FilePath, what: String) throws {
    descriptor = open(path.string, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw ControlError.unwritable(path: path.string, reason: String(cString: strerror(errno)))
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw ControlError.alreadyRuns(what: what, socket: path.string)
    }
  }

  func release() { close(descriptor) }
}
