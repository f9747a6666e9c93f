import Foundation
import Subprocess
import SystemPackage

/// A program that a benchmark runs in one of its namespaces, bound to a processor.
struct BenchProcess: Sendable {
  /// Names it in messages.
  var name: String
  /// Program and arguments.
  var command: [String]
  var namespace: String
  var processor: Int
  var environment: [String: String] = [:]
  /// Whether it takes packets by now.
  var isReady: @Sendable () throws -> Bool

  /// Runs `body` while the program runs; it is gone afterwards.
  ///
  /// - Throws: ``BenchError/notReady(way:message:)`` with what it said last, where it ends or is not ready within 10 s.
  func run<T: Sendable>(_ body: @Sendable @escaping () async throws -> T) async throws -> T {
    var environment: [Environment.Key: String?] = ["PATH": LabShell.searchPath]
    for (key, value) in self.environment { environment[Environment.Key(stringLiteral: key)] = value }
    let (isReady, name) = (isReady, name)
    var options = PlatformOptions()
    // A run that is cancelled ends it in the same way as one that is over.
    options.teardownSequence = [.send(signal: .terminate, allowedDurationToNextStep: .seconds(3))]
    let outcome = try await Subprocess.run(
      .name("nsenter"),
      arguments: Arguments(
        ["--net=/run/netns/\(namespace)", "taskset", "-c", "\(processor)"] + command),
      environment: .inherit.updating(environment), platformOptions: options,
      input: .none, output: .discarded, error: .string(limit: 1 << 20)
    ) { execution -> Result<T, any Error> in
      let pid = execution.processIdentifier.value
      let deadline = ContinuousClock.now + .seconds(10)
      do {
        while !(try isReady()) {
          guard ContinuousClock.now < deadline, !Self.hasEnded(pid) else {
            throw NotReady()
          }
          try await Task.sleep(for: .milliseconds(20))
        }
        let value = try await body()
        await Self.end(pid)
        return .success(value)
      } catch {
        await Self.end(pid)
        return .failure(error)
      }
    }
    do {
      return try outcome.closureResult.get()
    } catch is NotReady {
      // What it said when it ended of itself; what it said while it was being ended says nothing.
      let said = outcome.standardError.split(separator: "\n").suffix(3).joined(separator: " / ")
      throw BenchError.notReady(
        way: name, message: said.isEmpty ? "not within 10 s, and it said nothing" : said)
    }
  }

  /// This program itself was not ready: what it runs around may say the same of another one.
  private struct NotReady: Error {}

  /// Asks it to end, and ends it after 3 s.
  private static func end(_ pid: pid_t) async {
    await Task {
      kill(pid, SIGTERM)
      let deadline = ContinuousClock.now + .seconds(3)
      while !hasEnded(pid) {
        guard ContinuousClock.now < deadline else {
          kill(pid, SIGKILL)
          return
        }
        try? await Task.sleep(for: .milliseconds(10))
      }
    }.value
  }

  /// Whether a child is gone, or has ended and waits to be taken note of.
  private static func hasEnded(_ pid: pid_t) -> Bool {
    guard let stat = LabFiles.read(.init("/proc/\(pid)/stat")), let name = stat.lastIndex(of: ")") else {
      return true
    }
    return stat[stat.index(after: name)...].hasPrefix(" Z")
  }
}
