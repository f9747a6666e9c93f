import ArgumentParser
import StreamRouter
import Topology

import struct Topology.Stream

/// Where `send` and `replay` send to, and from where: the options that they share.
struct TrafficDestination: ParsableArguments {
  @Option(help: ArgumentHelp("Where to.", valueName: "address:port")) var to: Endpoint?
  @Option(help: "The stream whose first hop it is sent to.") var stream: String?
  @Option(
    help: "The topology file or the topology's name; not needed where exactly one lab runs.",
    completion: .file(extensions: ["yaml", "yml"]))
  var topology: String?
  @Option(help: "The node to send from, with --stream: by default one from which the first hop takes packets.")
  var from: String?

  func validate() throws {
    guard (to == nil) != (stream == nil) else {
      throw ValidationError("give --to ADDRESS:PORT or --stream STREAM")
    }
    if stream == nil, from != nil || topology != nil {
      throw ValidationError("--from and --topology belong to --stream")
    }
  }

  /// What the options say once the topology is looked at.
  struct Place {
    var endpoint: Endpoint
    /// nil: what the kernel chooses.
    var source: IPAddress?
    /// nil: this process's own.
    var namespace: String?
    /// nil with `--to`.
    var stream: Stream?
  }

  /// - Parameter tool: The command that asks.
  func find(for tool: String) throws -> Place {
    guard let stream else {
      guard let to else { throw ValidationError("give --to ADDRESS:PORT") }
      return Place(endpoint: to)
    }
    let ends = try TrafficReference(topology).ends(stream)
    try ends.requireDatagrams(for: tool)
    let source = try ends.source(at: from)
    return Place(
      endpoint: ends.ingress, source: source.address, namespace: source.namespace, stream: ends.stream)
  }
}
