import Foundation
import SystemPackage

/// What a lab made, as noted in `lab.json` of its runtime folder: written before each thing is made, so that
/// `lab down` finds all of it after a crash at any moment.
struct LabState: Hashable, Sendable, Codable {
  enum Mode: String, Hashable, Sendable, Codable {
    /// A network namespace for each node.
    case namespaces
    /// All nodes in the namespace of whoever ran `lab up`, on loopback addresses.
    case loopback
  }

  /// Raised whenever the meaning of a field changes.
  static let currentVersion = 1

  var version = LabState.currentVersion
  var topology: String
  /// The topology file, as a path from the root.
  var file: String
  /// A hash of the file as the daemons know it.
  var fileHash: String
  /// ``LabNetwork/fingerprint`` of the network as it was made.
  var networkFingerprint: String
  var mode: Mode
  /// Nodes in the order of the topology.
  var nodes: [String]
  var links: [LabLink]
  /// Namespace by node, the outside included; empty in loopback mode.
  var namespaces: [String: String]
  /// Daemon by node.
  var daemons: [String: LabProcess] = [:]
  /// Where the daemons have one.
  var controller: LabProcess?
  var impairments: [LabImpairment] = []
  /// False from the beginning of `lab up` until every daemon answered.
  var complete = false
  /// Where the first node answers for metrics, the others on the ports above (``LabMetrics``); nil: none does.
  var metricsPort: UInt16?

  static func path(topology: String) -> FilePath {
    NodePaths.runtimeDirectory(topology: topology).appending("lab.json")
  }

  /// nil where there is none.
  ///
  /// - Throws: ``LabError/unreadableState(path:topology:reason:)``.
  static func load(topology: String) throws -> LabState? {
    let path = path(topology: topology)
    guard LabFiles.exists(path) else { return nil }
    guard let data = FileManager.default.contents(atPath: path.string) else {
      throw LabError.unreadableState(path: path.string, topology: topology, reason: "permission denied")
    }
    return try decode(data, path: path.string, topology: topology)
  }

  static func decode(_ data: Data, path: String, topology: String) throws -> LabState {
    let state: LabState
    do {
      state = try JSONDecoder().decode(LabState.self, from: data)
    } catch {
      throw LabError.unreadableState(path: path, topology: topology, reason: "not the JSON of a lab")
    }
    guard state.version == currentVersion else {
      throw LabError.unreadableState(
        path: path, topology: topology, reason: "version \(state.version) instead of \(currentVersion)")
    }
    guard state.topology == topology else {
      throw LabError.unreadableState(path: path, topology: topology, reason: "it is of \(state.topology)")
    }
    return state
  }

  func save() throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try LabFiles.makeFolder(NodePaths.runtimeDirectory(topology: topology))
    try LabFiles.replace(Self.path(topology: topology), with: encoder.encode(self))
  }

  /// The names of all labs with a note on this machine, complete or not, readable or not.
  static func topologies() -> [String] {
    LabFiles.list(NodePaths.runtimeRoot).filter { LabFiles.exists(path(topology: $0)) }
  }
}

/// Two nodes that are linked, as `lab impair` names them: `a--b`.
public struct LabLink: Hashable, Sendable, Codable, CustomStringConvertible {
  public var a: String
  public var b: String

  public var description: String { "\(a)--\(b)" }
}
