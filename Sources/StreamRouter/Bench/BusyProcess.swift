import Foundation
import Subprocess

/// A process of one thread that computes on a processor: one that an upcall may interrupt, as none of the many threads
/// of ``BenchLoad`` is.
enum BusyProcess {
  /// Shell's own words alone, so that it computes and starts nothing; it ends where the bench was killed.
  private static let script =
    "while kill -0 $PPID; do i=0; while [ $i -lt 10000 ]; do i=$((i + 1)); done; done"

  /// Runs `body`, which may wait, while the process runs; it is gone afterwards.
  ///
  /// - Throws: ``BenchError/needs(_:)`` where it does not begin within 10 s.
  static func run<T: Sendable>(processor: Int, _ body: @Sendable @escaping () throws -> T) async throws -> T {
    let outcome = try await Subprocess.run(
      .name("taskset"), arguments: ["-c", "\(processor)", "sh", "-c", script], input: .none,
      output: .discarded, error: .discarded
    ) { execution -> Result<T, any Error> in
      let pid = execution.processIdentifier.value
      defer { kill(pid, SIGKILL) }
      do {
        let deadline = ContinuousClock.now + .seconds(10)
        // Before that it is taskset, on its way there.
        while LabFiles.read(.init("/proc/\(pid)/comm")) != "sh\n" {
          guard ContinuousClock.now < deadline else {
            throw BenchError.needs("taskset and sh, to keep processor \(processor) busy")
          }
          try await Task.sleep(for: .milliseconds(10))
        }
        return .success(try body())
      } catch {
        return .failure(error)
      }
    }
    return try outcome.closureResult.get()
  }
}
