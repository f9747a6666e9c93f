import SystemPackage

#if canImport(Glibc)
  import Glibc
#endif

/// The end of this process as this program, and its beginning as another: standard streams, terminal, signals
/// and exit status are then the other's own, with nothing in between.
public enum LabExec {
  /// Returns only by throwing.
  public static func become(_ command: [String]) throws -> Never {
    guard let tool = command.first else {
      throw LabError.failed(operation: "running", subject: "nothing", reason: "name a command after --")
    }
    setenv("PATH", LabShell.searchPath, 1)
    // The threads that run Swift's tasks block all signals, and a new program inherits that of the calling one: it
    // could not be interrupted.
    var none = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, nil)
    _ = LabFiles.withCStrings(command) { execvp(tool, $0) }
    let error = Errno(rawValue: errno)
    if error == .noSuchFileOrDirectory, let package = LabShell.packages[tool] {
      throw LabError.missingTool(tool: tool, package: package)
    }
    throw LabError.failed(operation: "running", subject: tool, reason: "\(error)")
  }
}
