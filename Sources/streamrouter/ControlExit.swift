import ArgumentParser
import Foundation
import Identity
import StreamRouter
import Topology

/// How commands of the control plane end where they cannot do what they were asked.
enum ControlExit {
  static let hasChanges = ExitCode(2)
  static let usage = ExitCode(EX_USAGE)
  static let unreachable = ExitCode(EX_UNAVAILABLE)
  static let permission = ExitCode(EX_NOPERM)

  static func translate<Value>(_ body: () async throws -> Value) async throws -> Value {
    do { return try await body() } catch let error as TopologyError {
      // Each line names its file and place.
      FileHandle.standardError.write(Data("\(error)\n".utf8))
      throw usage
    } catch let error as ExtensionError {
      Report.error(error.description)
      throw usage
    } catch let error as DeployFailure {
      Report.error(error.description)
      throw error.isInvalid ? usage : error.isUnreachable ? unreachable : ExitCode.failure
    } catch let error as ControlError {
      Report.error(error.description)
      switch error {
      case .unreachable, .notNow: throw unreachable
      case .forbidden: throw permission
      case .asked: throw usage
      default: throw ExitCode.failure
      }
    } catch let error as LabError {
      Report.error("\(error)")
      throw ExitCode.failure
    } catch let error as IdentityError {
      Report.error("\(error)")
      throw ExitCode.failure
    }
  }

  /// Progress of what takes longer than a second, on a terminal's standard error.
  static func progress() -> @Sendable (String) -> Void { LabExit.afterOneSecond() }

  static func printJSON(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    print(String(decoding: try encoder.encode(value), as: UTF8.self))
  }

  static func printLine(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Not print: whoever reads through a pipe waits for the line.
    FileHandle.standardOutput.write(try encoder.encode(value) + Data("\n".utf8))
  }
}

/// `--json`, which all of them have.
struct ControlOptions: ParsableArguments {
  @Flag(help: "Print one JSON document.") var json = false
  @Option(
    help: ArgumentHelp(
      "The lab whose controller is meant.",
      discussion:
        "By default this machine's own controller, else that of the topology's lab, or of the only lab that runs.",
      valueName: "name"))
  var lab: String?
  @Option(
    help: ArgumentHelp("The controller's unix socket, where it is none of these.", valueName: "path"))
  var socket: String?

  func validate() throws {
    if lab != nil, socket != nil { throw ValidationError("--lab and --socket name two controllers; say one") }
  }

  /// - Parameter topology: What the command is about, where a file says it.
  func client(_ topology: String? = nil) throws -> ControllerClient {
    if let socket { return ControllerClient(socket: .init(socket)) }
    if let lab { return ControllerClient(socket: try Lab.controllerSocket(lab)) }
    if let topology, let socket = try? Lab.controllerSocket(topology) {
      return ControllerClient(socket: socket)
    }
    if !FileManager.default.fileExists(atPath: ControllerDaemon.operatorSocket.string), topology == nil,
      let only = try? Lab.onlyRunning(), let socket = try? Lab.controllerSocket(only)
    {
      return ControllerClient(socket: socket)
    }
    return ControllerClient()
  }
}
