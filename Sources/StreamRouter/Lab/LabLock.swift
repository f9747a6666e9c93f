import SystemPackage

#if canImport(Glibc)
  import Glibc
#endif

/// The lock that one `lab up`, `lab down` or `lab impair` of a topology holds: a file beside the runtime folder,
/// released by the kernel whatever becomes of the process.
struct LabLock: ~Copyable {
  private let descriptor: FileDescriptor
  private let path: FilePath

  private init(descriptor: FileDescriptor, path: FilePath) {
    self.descriptor = descriptor
    self.path = path
  }

  /// Waits for the lock for at most `patience`.
  ///
  /// - Throws: ``LabError/busy(topology:lock:)``.
  static func take(topology: String, patience: Duration = .seconds(30)) async throws -> LabLock {
    let path = NodePaths.runtimeRoot.appending(topology + ".lock")
    let end = ContinuousClock.now + patience
    while true {
      try LabFiles.makeFolder(NodePaths.runtimeRoot)
      let file: FileDescriptor
      do {
        file = try FileDescriptor.open(
          path, .readWrite, options: [.create, .closeOnExec], permissions: .ownerReadWrite)
      } catch Errno.noSuchFileOrDirectory where ContinuousClock.now < end {
        // Another `lab down` removed the empty folder just now.
        continue
      } catch let error as Errno {
        throw LabError.failed(operation: "opening the lock", subject: path.string, reason: "\(error)")
      }
      if flock(file.rawValue, LOCK_EX | LOCK_NB) == 0, isSame(file, path) {
        return LabLock(descriptor: file, path: path)
      }
      try? file.close()
      guard ContinuousClock.now < end else { throw LabError.busy(topology: topology, lock: path.string) }
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  /// Removes the file while the lock is still held; whoever waits on the removed file finds out and opens anew.
  /// The folder goes too when it is empty, as before the first lab.
  borrowing func removeFile() {
    unlink(path.string)
    rmdir(NodePaths.runtimeRoot.string)
  }

  deinit { try? descriptor.close() }

  private static func isSame(_ file: FileDescriptor, _ path: FilePath) -> Bool {
    var held = stat()
    var named = stat()
    return fstat(file.rawValue, &held) == 0 && stat(path.string, &named) == 0
      && held.st_ino == named.st_ino && held.st_dev == named.st_dev
  }
}
