import Subprocess
import SystemPackage

#if canImport(Glibc)
  import Glibc
#endif

/// The gate to the programs of this machine that a lab runs: `ip`, `tc`, `nsenter`.
enum LabShell {
  /// The Debian package of each program.
  static let packages = [
    "ip": "iproute2", "tc": "iproute2", "nsenter": "util-linux", "ssh": "openssh-client",
    "sha256sum": "coreutils",
    "ldd": "libc-bin",
  ]

  /// How a program ended, and what it said.
  struct Outcome: Sendable {
    var status: String
    var succeeded: Bool
    var output: String
    var errors: String
  }

  /// Runs a program to its end; a bad end is for the caller to judge.
  ///
  /// - Throws: ``LabError/missingTool(tool:package:)`` where it is not installed.
  static func attempt(_ tool: String, _ arguments: [String], input: String = "") async throws -> Outcome {
    do {
      let result = try await Subprocess.run(
        .name(tool), arguments: Arguments(arguments),
        environment: .inherit.updating(["PATH": searchPath, "LC_ALL": "C"]),
        input: .string(input), output: .string(limit: 4 << 20), error: .string(limit: 1 << 20))
      return Outcome(
        status: "\(result.terminationStatus)", succeeded: result.terminationStatus.isSuccess,
        output: result.standardOutput, errors: trimmed(result.standardError))
    } catch let error as SubprocessError where error.code == .executableNotFound {
      throw LabError.missingTool(tool: tool, package: packages[tool] ?? tool)
    }
  }

  /// Runs a program that must succeed, and returns what it wrote to its standard output.
  @discardableResult
  static func run(_ tool: String, _ arguments: [String], input: String = "") async throws -> String {
    let outcome = try await attempt(tool, arguments, input: input)
    guard outcome.succeeded else {
      throw LabError.commandFailed(
        command: ([tool] + arguments).joined(separator: " "), status: outcome.status, output: outcome.errors)
    }
    return outcome.output
  }

  /// Runs lines through `ip -batch -`, in the given namespace or in this one. On failure the message holds the
  /// line at which `ip` stopped.
  static func batch(_ lines: [String], in namespace: String? = nil) async throws {
    guard !lines.isEmpty else { return }
    let arguments = (namespace.map { ["-n", $0] } ?? []) + ["-batch", "-"]
    let outcome = try await attempt("ip", arguments, input: lines.joined(separator: "\n") + "\n")
    guard outcome.succeeded else {
      // ip says: Command failed -:LINE
      let line = outcome.errors.split(separator: ":").last.flatMap { Int($0) }
      let culprit = line.flatMap { lines.indices.contains($0 - 1) ? lines[$0 - 1] : nil } ?? "-batch -"
      throw LabError.commandFailed(
        command: "ip " + (namespace.map { "-n \($0) " } ?? "") + culprit, status: outcome.status,
        output: outcome.errors)
    }
  }

  /// Root's shell has the sbin folders in its path, a user's often not.
  static var searchPath: String {
    (getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin") + ":/usr/sbin:/sbin"
  }

  private static func trimmed(_ text: String) -> String {
    var text = Substring(text)
    while let last = text.last, last.isWhitespace { text.removeLast() }
    return String(text)
  }
}
