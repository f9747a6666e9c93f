import SystemPackage

#if canImport(Glibc)
  import Glibc
#endif

/// One process at a time: a lock on a file, which the kernel lets go with the process that holds it.
struct ProcessLock: Sendable {
  private let descriptor: FileDescriptor

  /// - Returns: nil: another process holds it.
  /// - Throws: `Errno` where the file cannot be opened.
  init?(attempting path: FilePath) throws {
    let file = try FileDescriptor.open(
      path, .readWrite, options: [.create, .closeOnExec], permissions: .ownerReadWrite)
    guard flock(file.rawValue, LOCK_EX | LOCK_NB) == 0, Self.isSame(file, path) else {
      try? file.close()
      return nil
    }
    descriptor = file
  }

  /// - Parameter what: For the message where another process holds it: `a daemon of node edge`.
  /// - Throws: ``ControlError``.
  init(_ path: FilePath, what: String) throws {
    do {
      guard let lock = try ProcessLock(attempting: path) else {
        throw ControlError.alreadyRuns(what: what, socket: path.string)
      }
      self = lock
    } catch let error as Errno {
      throw ControlError.unwritable(path: path.string, reason: "\(error)")
    }
  }

  func release() { try? descriptor.close() }

  /// Whoever holds the lock may remove its file; a lock on a removed file keeps nobody away.
  private static func isSame(_ file: FileDescriptor, _ path: FilePath) -> Bool {
    var held = stat()
    var named = stat()
    return fstat(file.rawValue, &held) == 0 && stat(path.string, &named) == 0
      && held.st_ino == named.st_ino && held.st_dev == named.st_dev
  }
}
