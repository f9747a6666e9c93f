import ArgumentParser
import Foundation
import StreamRouter

/// How the commands that record and play end.
enum RecordingExit {
  /// Runs a command's body; what is wrong with a recording is told on standard error and given its exit status.
  static func translate(_ body: () async throws -> Void) async throws {
    do {
      try await body()
    } catch let error as RecordingError {
      Report.error("\(error)")
      throw ExitCode(status(error))
    }
  }

  /// Runs a body with a recorder, and ends the recording whatever comes of it.
  static func recording(
    to path: String, topology: String, _ body: (Recorder) async throws -> Void
  ) async throws {
    let now = UInt64(max(0, Date().timeIntervalSince1970) * 1e9)
    let recorder = try Recorder(path: path, topology: topology, startedNs: now)
    let result: Result<Void, any Error>
    do {
      result = .success(try await body(recorder))
    } catch {
      result = .failure(error)
    }
    let problem = await recorder.close()
    if case .failure = result, let problem { Report.error("\(problem)") }
    try result.get()
    if let problem { throw problem }
  }

  private static func status(_ error: RecordingError) -> Int32 {
    switch error {
    case .unreadable: EX_NOINPUT
    case .notARecording, .otherVersion, .damaged: EX_DATAERR
    case .isTaken, .otherTopology, .isBusy, .empty: EX_USAGE
    case .cannotWrite(_, _, let isPermission): isPermission ? EX_NOPERM : EXIT_FAILURE
    }
  }
}
