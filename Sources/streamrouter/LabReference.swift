import ArgumentParser
import Foundation
import StreamRouter
import Topology

/// Which lab a command is about: what the user wrote, a topology file or a name or nothing, made a name.
struct LabReference {
  let name: String
  /// What the file says, where a file was named that can still be read.
  let topology: Topology?

  init(_ text: String?) throws {
    guard let text else {
      (name, topology) = (try Lab.onlyRunning(), nil)
      return
    }
    guard text.contains("/") || text.contains(".") || FileManager.default.fileExists(atPath: text) else {
      (name, topology) = (text, nil)
      return
    }
    if let running = Lab.running(file: .init(text)) {
      // The file may have been broken since: the lab that runs from it is known all the same.
      (name, topology) = (running, (try? Topology.load(path: text)).flatMap { $0.name == running ? $0 : nil })
    } else {
      let loaded = try Topology.load(path: text)
      (name, topology) = (loaded.name, loaded)
    }
  }
}

/// How the commands of the lab end and speak: exit statuses, messages on standard error.
enum LabExit {
  /// Runs a command's body and gives a lack of privileges and a wrong topology file their own exit status.
  static func translate<Result>(_ body: () async throws -> Result) async throws -> Result {
    do {
      return try await body()
    } catch let error as TopologyError {
      // As `streamrouter validate` does: the problems alone, each with its place in the file.
      Report.note("\(error)")
      throw ExitCode(EX_USAGE)
    } catch LabError.needsPrivileges(let operation, let missing) {
      Report.note("Error: \(LabError.needsPrivileges(operation: operation, missing: missing))")
      throw ExitCode(EX_NOPERM)
    } catch let error as HostsError {
      throw tell(error)
    }
  }

  /// Says what went wrong on other machines, and returns the exit status.
  static func tell(_ error: HostsError) -> ExitCode {
    Report.error(error.description)
    return error.isUnreachable
      ? ExitCode(EX_UNAVAILABLE) : error.isPermission ? ExitCode(EX_NOPERM) : ExitCode.failure
  }

  /// A teller of progress that keeps silent for the first second: what is quick needs no words.
  static func afterOneSecond() -> @Sendable (String) -> Void {
    let start = ContinuousClock.now
    return { text in
      if start.duration(to: .now) > .seconds(1) { Report.note(text) }
    }
  }

  static func printJSON(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    print(String(decoding: try encoder.encode(value), as: UTF8.self))
  }
}
