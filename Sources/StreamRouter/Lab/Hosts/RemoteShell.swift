import Subprocess
import SystemPackage
import Topology

/// The gate to other machines: scripts over ssh, and what went wrong with them.
enum RemoteShell {
  /// Machines that are spoken to at once.
  static let width = 16

  enum Input: Sendable {
    case text(String)
    /// The content of a file of this machine.
    case file(FilePath)
  }

  /// Runs a script there and returns what it printed.
  ///
  /// - Parameters:
  ///   - step: What messages call it.
  ///   - arguments: `$1` and so on. Whoever is logged in there can see them: a secret goes by `input`.
  /// - Throws: ``HostsError/Failure`` as a ``RemoteFailure``, ``LabError/missingTool(tool:package:)``.
  static func run(
    _ step: String, on host: RemoteHost, _ script: String, _ arguments: [String] = [], asRoot: Bool = true,
    input: Input = .text("")
  ) async throws -> String {
    let command = host.command(running: script, arguments, asRoot: asRoot)
    let outcome = try await attempt(command, input)
    guard outcome.code != 0 else { return outcome.output }
    let (kind, reason) = explain(outcome, host)
    throw RemoteFailure(host, step, kind, reason)
  }

  private struct Outcome: Sendable {
    /// nil: it ended by a signal.
    var code: Int32?
    var output: String
    var errors: String
  }

  private static func attempt(_ command: [String], _ input: Input) async throws -> Outcome {
    let (tool, arguments) = (command[0], Arguments(Array(command.dropFirst())))
    let environment = Environment.inherit.updating(["PATH": LabShell.searchPath, "LC_ALL": "C"])
    do {
      switch input {
      case .text(let text):
        let result = try await Subprocess.run(
          .name(tool), arguments: arguments, environment: environment, input: .string(text),
          output: .string(limit: 4 << 20), error: .string(limit: 1 << 20))
        return outcome(result.terminationStatus, result.standardOutput, result.standardError)
      case .file(let path):
        let file = try FileDescriptor.open(path, .readOnly, options: .closeOnExec)
        let result = try await Subprocess.run(
          .name(tool), arguments: arguments, environment: environment,
          input: .fileDescriptor(file, closeAfterSpawningProcess: true), output: .string(limit: 4 << 20),
          error: .string(limit: 1 << 20))
        return outcome(result.terminationStatus, result.standardOutput, result.standardError)
      }
    } catch let error as SubprocessError where error.code == .executableNotFound {
      throw LabError.missingTool(tool: tool, package: LabShell.packages[tool] ?? tool)
    }
  }

  private static func outcome(_ status: TerminationStatus, _ output: String, _ errors: String) -> Outcome {
    let code: Int32? = if case .exited(let code) = status { Int32(code) } else { nil }
    return Outcome(code: code, output: output, errors: errors)
  }

  private static func explain(_ outcome: Outcome, _ host: RemoteHost) -> (HostsError.Kind, String) {
    let said = harmless(outcome.errors)
    switch outcome.code {
    case 255?: return explainSSH(said, host)
    case 77?: return (.permission, said)
    case 78?: return (.unsuited, said)
    case let code?: return (.failed, said.isEmpty ? "it ended with status \(code) and said nothing" : said)
    case nil: return (.failed, "ssh was ended by a signal")
    }
  }

  /// ssh ends with 255 for whatever goes wrong with the connection, and only its words tell what.
  static func explainSSH(_ said: String, _ host: RemoteHost) -> (HostsError.Kind, String) {
    if said.contains("REMOTE HOST IDENTIFICATION HAS CHANGED") {
      return (
        .unreachable,
        "its host key is another one than you know of it, so nothing was sent: find out why, and only then remove the former one with 'ssh-keygen -R HOST'"
      )
    }
    if said.contains("Host key verification failed") || said.contains("host key is known for") {
      return (
        .unreachable,
        "its host key is not known: say 'ssh \(host.destination)' once and compare the fingerprint that it shows"
      )
    }
    if said.contains("Permission denied (") {
      return (
        .permission,
        "it lets nobody in with your keys: 'ssh -o BatchMode=yes \(host.destination)' must work without a password ('ssh-copy-id', 'ssh-add')"
      )
    }
    let last = said.split(separator: "\n").last.map(String.init) ?? "ssh said nothing"
    return (.unreachable, "it cannot be reached: \(last)")
  }

  /// What another machine said, with nothing in it that could steer a terminal, and not too much of it.
  static func harmless(_ text: String) -> String {
    let lines = text.split(whereSeparator: \.isNewline).suffix(24)
    let shown = lines.joined(separator: "\n").unicodeScalars.filter { scalar in
      scalar == "\n" || scalar.properties.generalCategory != .control
    }
    return String(String.UnicodeScalarView(shown))
  }
}

/// A script that went wrong on one machine.
struct RemoteFailure: Error, Sendable {
  var failure: HostsError.Failure

  init(_ host: RemoteHost, _ step: String, _ kind: HostsError.Kind, _ reason: String) {
    failure = HostsError.Failure(
      node: host.node, destination: host.destination.description, step: step, kind: kind, reason: reason)
  }
}

extension RemoteShell {
  /// What one machine gave.
  struct Answer<Value: Sendable>: Sendable {
    var host: RemoteHost
    var result: Result<Value, RemoteFailure>
  }

  /// Does the same on all machines, ``width`` at a time, and waits for all of them, whatever becomes of some.
  ///
  /// - Returns: In the order of `hosts`.
  static func each<Value: Sendable>(
    _ hosts: [RemoteHost], _ body: @escaping @Sendable (RemoteHost) async throws -> Value
  ) async throws -> [Answer<Value>] {
    try await withThrowingTaskGroup(of: Answer<Value>.self) { group in
      var waiting = hosts[...]
      func next() {
        guard let host = waiting.popFirst() else { return }
        group.addTask {
          do { return Answer(host: host, result: .success(try await body(host))) } catch let error
            as RemoteFailure
          {
            return Answer(host: host, result: .failure(error))
          }
        }
      }
      for _ in 0..<width { next() }
      var answers: [String: Answer<Value>] = [:]
      while let answer = try await group.next() {
        answers[answer.host.node] = answer
        next()
      }
      return hosts.compactMap { answers[$0.node] }
    }
  }

  /// As ``each(_:_:)``, where all must succeed.
  ///
  /// - Throws: ``HostsError`` with every failure.
  static func all<Value: Sendable>(
    _ hosts: [RemoteHost], remedy: String, _ body: @escaping @Sendable (RemoteHost) async throws -> Value
  ) async throws -> [String: Value] {
    var values: [String: Value] = [:]
    var failures: [HostsError.Failure] = []
    for answer in try await each(hosts, body) {
      switch answer.result {
      case .success(let value): values[answer.host.node] = value
      case .failure(let error): failures.append(error.failure)
      }
    }
    guard failures.isEmpty else { throw HostsError(failures, remedy: remedy) }
    return values
  }
}
