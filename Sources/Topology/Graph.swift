/// A topology and its routed streams, drawn as text.
public struct Graph: Sendable {
  /// What ``render(_:)`` writes.
  public enum Format: String, Sendable, CaseIterable {
    /// For people at a terminal.
    case text
    /// For Graphviz.
    case dot
    /// For Markdown with Mermaid.
    case mermaid
  }

  private let topology: Topology
  private let relays: [String: [Relay]]

  public init(_ topology: Topology) {
    self.topology = topology
    relays = Dictionary(grouping: topology.relays(), by: \.stream)
  }

  /// The drawing, ending in a line break.
  public func render(_ format: Format) -> String {
    let lines =
      switch format {
      case .text: text
      case .dot: dot
      case .mermaid: mermaid
      }
    return lines.joined(separator: "\n") + "\n"
  }

  // MARK: Text

  private var text: [String] {
    var lines = ["\(topology.name): \(topology.summary)", "", "nodes"]
    let width = topology.nodes.map(\.name.count).max() ?? 0
    for node in topology.nodes {
      var words = [node.name.padded(to: width), node.addresses.map(\.description).joined(separator: ", ")]
      words.append("engine \(node.engine.rawValue)")
      if node.scheduling != .other { words.append("scheduling \(node.scheduling)") }
      words += node.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.singleLine)" }
      lines.append("  " + words.joined(separator: "  "))
    }
    if !topology.links.isEmpty { lines += ["", "links"] }
    for link in topology.links {
      var words = ["\(link.a) -- \(link.b)"]
      words += [link.a, link.b].compactMap { end in link.addresses[end].map { "\(end) at \($0)" } }
      if let mtu = link.mtu { words.append("mtu \(mtu)") }
      lines.append("  " + words.joined(separator: "  "))
    }
    if !topology.streams.isEmpty { lines += ["", "streams"] }
    for stream in topology.streams {
      var words = [stream.name, stream.transport.rawValue]
      if let dscp = stream.dscp { words.append("dscp \(dscp)") }
      if let clockRate = stream.clockRate { words.append("clock rate \(clockRate) Hz") }
      lines.append("  " + words.joined(separator: "  "))
      let relays = relays[stream.name] ?? []
      if let first = relays.first {
        lines.append(
          "    \(first.node) \(first.ingress)  accepts " + first.sources.map(\.short).joined(separator: ", ")
            + extensions(of: first))
        lines += branches(of: first, relays, indent: "    ")
      }
    }
    return lines
  }

  private func branches(of relay: Relay, _ relays: [Relay], indent: String) -> [String] {
    var lines: [String] = []
    for (index, sink) in relay.sinks.enumerated() {
      let last = index == relay.sinks.count - 1
      let head = indent + (last ? "└─ " : "├─ ")
      switch sink.kind {
      case .node:
        let next = relays.first { $0.node == sink.name }
        lines.append(
          head + "\(sink.name) \(sink.destination)  from \(sink.source)" + (next.map(extensions) ?? ""))
        if let next {
          lines += branches(of: next, relays, indent: indent + (last ? "   " : "│  "))
        }
      case .host: lines.append(head + "host \(sink.destination)  from \(sink.source)")
      case .local: lines.append(head + "local \(sink.destination)")
      }
    }
    return lines
  }

  private func extensions(of relay: Relay) -> String {
    relay.extensions.isEmpty
      ? "" : "  extensions " + relay.extensions.map(\.description.singleLine).joined(separator: ", ")
  }

  // MARK: Dot and Mermaid

  /// What both draw: an edge for each copy of each stream, its ports as the label.
  private struct Edge {
    var from: String
    var to: String
    var isHost: Bool
    var label: String
  }

  private var edges: [Edge] {
    topology.streams.flatMap { stream in
      (relays[stream.name] ?? []).flatMap { relay in
        relay.sinks.compactMap { sink in
          switch sink.kind {
          case .node:
            Edge(
              from: relay.node, to: sink.name, isHost: false, label: "\(stream.name) :\(sink.destination.port)")
          case .host:
            Edge(from: relay.node, to: "\(sink.destination)", isHost: true, label: stream.name)
          case .local: nil
          }
        }
      }
    }
  }

  /// Sinks on a node, as lines of the node's own label.
  private func locals(_ node: String) -> [String] {
    topology.streams.flatMap { stream in
      (relays[stream.name] ?? []).filter { $0.node == node }.flatMap { relay in
        relay.sinks.filter { $0.kind == .local }.map { "\(stream.name) to :\($0.destination.port)" }
      }
    }
  }

  private var hosts: [String] {
    var seen: Set<String> = []
    return edges.filter(\.isHost).map(\.to).filter { seen.insert($0).inserted }
  }

  private var dot: [String] {
    var lines = ["digraph \"\(topology.name)\" {", "  rankdir=LR;", "  node [shape=box];"]
    for node in topology.nodes {
      let label = [node.name] + node.addresses.map(\.description) + locals(node.name)
      lines.append("  \"\(node.name)\" [label=\"\(label.joined(separator: "\\n"))\"];")
    }
    lines += hosts.map { "  \"\($0)\" [shape=ellipse];" }
    lines += topology.links.map { "  \"\($0.a)\" -> \"\($0.b)\" [dir=none, style=dotted];" }
    lines += edges.map { "  \"\($0.from)\" -> \"\($0.to)\" [label=\"\($0.label)\"];" }
    return lines + ["}"]
  }

  private var mermaid: [String] {
    // Numbered identifiers: a node named `end` would otherwise be Mermaid's own word.
    let nodes = Dictionary(
      topology.nodes.enumerated().map { ($0.element.name, "n\($0.offset)") },
      uniquingKeysWith: { first, _ in first })
    let hosts = Dictionary(self.hosts.enumerated().map { ($0.element, "h\($0.offset)") }) { first, _ in first }
    var lines = ["flowchart LR"]
    for node in topology.nodes {
      let label = [node.name] + node.addresses.map(\.description) + locals(node.name)
      lines.append("  \(nodes[node.name] ?? "")[\"\(label.joined(separator: "<br>"))\"]")
    }
    lines += self.hosts.map { "  \(hosts[$0] ?? "")([\"\($0)\"])" }
    lines += topology.links.map { "  \(nodes[$0.a] ?? "") -.- \(nodes[$0.b] ?? "")" }
    lines += edges.map { edge in
      let to = (edge.isHost ? hosts[edge.to] : nodes[edge.to]) ?? ""
      return "  \(nodes[edge.from] ?? "") -- \"\(edge.label)\" --> \(to)"
    }
    return lines
  }
}

extension Topology {
  /// `3 nodes, 2 links, 2 streams`.
  public var summary: String {
    [("node", nodes.count), ("link", links.count), ("stream", streams.count)]
      .map { "\($0.1) \($0.0)\($0.1 == 1 ? "" : "s")" }.joined(separator: ", ")
  }
}

extension Scheduling: CustomStringConvertible {
  /// `other`, or the policy and its priority.
  public var description: String {
    switch self {
    case .other: "other"
    case .rr(let priority): "rr \(priority)"
    case .fifo(let priority): "fifo \(priority)"
    }
  }
}

extension AddressPrefix {
  /// Without the length where it is one address.
  fileprivate var short: String { self == AddressPrefix(address) ? "\(address)" : description }
}

extension String {
  fileprivate func padded(to width: Int) -> String {
    self + String(repeating: " ", count: max(0, width - count))
  }

  /// Safe to print in one line.
  fileprivate var singleLine: String { String(Words.quote(self).dropFirst().dropLast()) }
}
