import Foundation

@testable import Topology

extension ExtensionCatalog {
  /// What the tests have installed.
  static let example = ExtensionCatalog(
    [
      ExtensionManifest(name: "mark", version: "1.0.0", abi: 1, summary: "Marks every packet."),
      ExtensionManifest(
        name: "police", version: "1.2.0", abi: 1, summary: "Drops what comes too fast.",
        parameters: [
          .init(name: "rate", type: .uint64, offset: 0, default: .unsigned(1_000_000)),
          .init(
            name: "burst", type: .uint32, offset: 8, default: .unsigned(10), minimum: .unsigned(1),
            maximum: .unsigned(1000)),
          .init(name: "bias", type: .int16, offset: 12, default: .signed(-2), maximum: .unsigned(100)),
          .init(name: "dryRun", type: .bool, offset: 15, default: .bool(true)),
        ], counters: ["dropped"], stateBytes: 16, parameterBytes: 16),
    ], places: ["/usr/lib/extensions", "extensions"])
}

/// Where the tests find files of the repository, and topologies made of text.
enum Repository {
  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  static let topologies = root.appending(path: "topologies")
  static let fixtures = root.appending(path: "Tests/TopologyTests/Fixtures")

  static func text(_ url: URL) throws -> String { try String(contentsOf: url, encoding: .utf8) }

  /// The example topologies, by file name.
  static func examples() throws -> [(name: String, yaml: String)] {
    try FileManager.default.contentsOfDirectory(atPath: topologies.path(percentEncoded: false)).sorted()
      .filter { $0.hasSuffix(".yaml") }
      .map { ($0, try text(topologies.appending(path: $0))) }
  }
}

extension Topology {
  static func example(_ name: String) throws -> Topology {
    try decode(yaml: Repository.text(Repository.topologies.appending(path: name)), file: name)
  }

  /// A topology of nodes a, b, c... at 10.0.0.1, fd00::1 and so on, with these links and streams.
  static func of(nodes: String, links: [String], streams: String) throws -> Topology {
    try decode(yaml: yaml(nodes: nodes, links: links, streams: streams), file: "test.yaml")
  }

  static func yaml(nodes: String, links: [String], streams: String) -> String {
    let nodes = nodes.enumerated().map {
      "  \($0.element): {addresses: [10.0.0.\($0.offset + 1), 'fd00::\($0.offset + 1)']}"
    }
    return "version: 1\nname: test\nnodes:\n" + nodes.joined(separator: "\n")
      + (links.isEmpty ? "" : "\nlinks:\n" + links.map { "  - \($0)" }.joined(separator: "\n"))
      + "\nstreams:\n" + streams
  }

  /// What decoding says; empty where there is nothing wrong.
  static func problems(_ yaml: String, extensions: ExtensionCatalog? = nil) -> [String] {
    do throws(TopologyError) {
      _ = try decode(yaml: yaml, file: "f", extensions: extensions)
      return []
    } catch {
      return error.problems.map { "\($0)" }
    }
  }
}
