import Foundation
import SystemPackage
import Topology

/// What this machine knows of a lab on other machines: `hosts/lab.json` in the lab's runtime folder, written before anything
/// is put anywhere. Where it is lost, as by a start of this machine, the machines themselves know the rest.
struct HostsNote: Hashable, Sendable, Codable {
  /// Raised whenever the meaning of a field changes.
  static let currentVersion = 1

  var version = HostsNote.currentVersion
  var topology: String
  /// The topology file, as a path from the root.
  var file: String
  /// What tells this lab from another of the same name.
  var installation: String
  /// Those that something may have been put on, in the order of the topology.
  var hosts: [RemoteHost]
  /// The node on whose machine the controller runs.
  var controller: String
  /// The process that has ``tunnel(_:)`` lead to the controller.
  var tunnel: LabProcess?

  var controllerHost: RemoteHost? { hosts.first { $0.node == controller } }

  private static func folder(_ topology: String) -> FilePath {
    NodePaths.runtimeDirectory(topology: topology).appending("hosts")
  }

  static func path(_ topology: String) -> FilePath { folder(topology).appending("lab.json") }
  /// The socket of this machine by which the controller is asked.
  static func tunnel(_ topology: String) -> FilePath { folder(topology).appending("controller.sock") }
  static func tunnelLog(_ topology: String) -> FilePath { folder(topology).appending("tunnel.log") }

  static func exists(_ topology: String) -> Bool { LabFiles.exists(path(topology)) }

  /// The names of all labs on other machines that were made from here.
  static func topologies() -> [String] { LabFiles.list(NodePaths.runtimeRoot).filter { exists($0) } }

  /// nil where there is none.
  ///
  /// - Throws: ``LabError/unreadableState(path:topology:reason:)``.
  static func load(_ topology: String) throws -> HostsNote? {
    let path = path(topology)
    guard LabFiles.exists(path) else { return nil }
    guard let data = FileManager.default.contents(atPath: path.string) else {
      throw LabError.unreadableState(path: path.string, topology: topology, reason: "permission denied")
    }
    guard let note = try? JSONDecoder().decode(HostsNote.self, from: data), note.version == currentVersion,
      note.topology == topology
    else {
      throw LabError.unreadableState(
        path: path.string, topology: topology, reason: "it is damaged, or of another version")
    }
    return note
  }

  func save() throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try LabFiles.makeFolder(Self.folder(topology))
    // The socket in it asks the controller.
    chmod(Self.folder(topology).string, 0o700)
    try LabFiles.replace(Self.path(topology), with: encoder.encode(self))
  }

  /// Removes what this machine knows; what a node of this very machine has in the lab's folder stays.
  static func remove(_ topology: String) throws {
    try LabFiles.removeTree(folder(topology))
    rmdir(NodePaths.runtimeDirectory(topology: topology).string)
  }

  /// - Throws: ``LabError/onHosts(topology:)`` where this lab is on other machines, for what works in namespaces only.
  static func refuse(_ topology: String) throws(LabError) {
    if exists(topology) { throw .onHosts(topology: topology) }
  }
}
