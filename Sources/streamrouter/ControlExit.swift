import ArgumentParser
import Foundation
import Identity
import StreamRouter
import SystemPackage
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
    } catch let error as HostsError {
      throw LabExit.tell(error)
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

  static func printLine(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Not print: whoever reads through a pipe waits for the line.
    FileHandle.standardOutput.write(try encoder.encode(value) + Data("\n".utf8))
  }
}

/// `--json` and which controller, which all of them have.
struct ControlOptions: ParsableArguments {
  @Flag(help: "Print one JSON document.") var json = false
  @Option(
    help: ArgumentHelp(
      "The lab whose controller is meant.",
      discussion:
        "By default that of the topology's lab, else this machine's own, else that of the only lab that runs, else where 'streamrouter operator join' was said.",
      valueName: "name"))
  var lab: String?
  @Option(
    help: ArgumentHelp("The controller's unix socket, where it is none of these.", valueName: "path"))
  var socket: String?
  @Option(
    help: ArgumentHelp(
      "The controller's address, where it is on another machine; several with commas between, of which the one at work is asked; STREAMROUTER_CONTROLLER says it for all commands.",
      discussion: "Takes the certificate of 'streamrouter operator join', which says the address too.",
      valueName: "address:port,..."))
  var controller: String?
  @Option(help: "Where the operator's certificate is kept.", completion: .directory) var identity: String?

  func validate() throws {
    guard [lab, socket, controller ?? identity].count(where: { $0 != nil }) < 2 else {
      throw ValidationError("--lab, --socket and --controller name several controllers; say one")
    }
    _ = try addresses
  }

  /// What --controller, or the environment, says.
  private var addresses: [ControllerAddress]? {
    get throws {
      guard lab == nil, socket == nil else { return nil }
      return try EnvironmentSetting.read("--controller", controller, "STREAMROUTER_CONTROLLER", nil) {
        guard let addresses = ControllerAddress.list($0),
          addresses.count == 1 || addresses.allSatisfy({ $0.socket == nil })
        else { throw BadAddress() }
        return addresses
      }
    }
  }

  private struct BadAddress: Error, CustomStringConvertible {
    var description: String { "write ADDRESS:PORT[,ADDRESS:PORT...], or unix:PATH" }
  }

  /// - Parameter topology: What the command is about, where a file says it.
  func client(_ topology: String? = nil) async throws -> ControllerClient {
    if let socket { return ControllerClient(socket: .init(socket)) }
    if let lab { return ControllerClient(socket: try await Lab.reachableControllerSocket(lab)) }
    if let addresses = try addresses {
      if let socket = addresses.first?.socket { return ControllerClient(socket: socket) }
      return ControllerClient(try OperatorIdentity(folder: folder), at: addresses)
    }
    if identity != nil { return ControllerClient(try OperatorIdentity(folder: folder)) }
    if let topology, let socket = try await Lab.controllerSocketIfAny(topology) {
      return ControllerClient(socket: socket)
    }
    guard !FileManager.default.fileExists(atPath: ControllerDaemon.operatorSocket.string) else {
      return ControllerClient()
    }
    if topology == nil, let only = try? Lab.onlyRunning(),
      let socket = try await Lab.controllerSocketIfAny(only)
    {
      return ControllerClient(socket: socket)
    }
    if OperatorIdentity.exists(in: folder) {
      return ControllerClient(try OperatorIdentity(folder: folder))
    }
    return ControllerClient()
  }

  private var folder: FilePath { identity.map { FilePath($0) } ?? OperatorIdentity.standardFolder }
}
