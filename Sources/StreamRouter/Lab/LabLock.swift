import SystemPackage

#if canImport(Glibc)
  import Glibc
#endif

/// The lock that one `lab up`, `lab down` or `lab impair` of a topology holds: a file beside the runtime folder,
/// released by the kernel whatever becomes of the process.
struct LabLock: ~Copyable {
  private let lock: ProcessLock
  private let path: FilePath

  private init(lock: ProcessLock, path: FilePath) {
    self.lock = lock
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
      do {
        if let lock = try ProcessLock(attempting: path) { return LabLock(lock: lock, path: path) }
      } catch Errno.noSuchFileOrDirectory where ContinuousClock.now < end {
        // Another `lab down` removed the empty folder just now.
        continue
      } catch let error as Errno {
        throw LabError.failed(operation: "opening the lock", subject: path.string, reason: "\(error)")
      }
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

  deinit { lock.release() }
}
