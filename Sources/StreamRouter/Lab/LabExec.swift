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
    _ = LabFiles.withCStrings(command) { execvp(tool, $0) }
    let error = Errno(rawValue: errno)
    if error == .noSuchFileOrDirectory, let package = LabShell.packages[tool] {
      throw LabError.missingTool(tool: tool, package: package)
    }
    throw LabError.failed(operation: "running", subject: tool, reason: "\(error)")
  }
}
