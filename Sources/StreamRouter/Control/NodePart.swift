import Foundation
import Topology

/// What one node hears of a topology: its own relays and how to run them, and nothing of anybody else's.
struct NodePart: Hashable, Sendable, Codable {
  var topology: String
  var node: String
  /// Counted from 1 by the controller.
  var revision: UInt64
  var engine: EngineChoice
  var scheduling: Scheduling
  /// Each extension use with its content hash.
  var relays: [Relay]
  var limits: [String: StreamLimits]
  /// The links that it probes; nil: none.
  var probes: NodeProbes?

  /// The content hashes of the extensions that its relays use.
  var extensionContents: Set<String> {
    Set(relays.flatMap { $0.extensions.compactMap(\.content) })
  }

  /// The same, with nothing to relay.
  func emptied() -> NodePart {
    var part = self
    part.relays = []
    part.limits = [:]
    part.probes = nil
    return part
  }
}

extension Topology {
  /// The parts of all nodes that relay something, by name.
  ///
  /// - Parameters:
  ///   - contents: The content hashes of the extensions that streams name.
  ///   - ports: As of ``Topology/relays(keeping:)``.
  /// - Throws: ``ControlError/missingExtension(name:)``.
  func parts(
    revision: UInt64, contents: [String: String], ports: [String: [String: UInt16]]
  ) throws -> [String: NodePart] {
    var relays: [String: [Relay]] = [:]
    for var relay in self.relays(keeping: ports) {
      for place in relay.extensions.indices {
        let name = relay.extensions[place].name
        guard let content = contents[name] else { throw ControlError.missingExtension(name: name) }
        relay.extensions[place].content = content
      }
      relays[relay.node, default: []].append(relay)
    }
    let limits = self.limits
    return Dictionary(
      uniqueKeysWithValues: nodes.map { node in
        let own = relays[node.name] ?? []
        let streams = Set(own.map(\.stream))
        return (
          node.name,
          NodePart(
            topology: name, node: node.name, revision: revision, engine: node.engine,
            scheduling: node.scheduling, relays: own, limits: limits.filter { streams.contains($0.key) },
            probes: probes(on: node.name))
        )
      })
  }
}
