/// On which machines the nodes of a topology are, and where its controller runs: what `lab up --hosts` is told.
public struct Hosts: Hashable, Sendable {
  public struct Host: Hashable, Sendable {
    /// The node's name in the topology.
    public var node: String
    public var destination: SSHDestination
  }

  /// In the order of the topology's nodes, one for each.
  public var hosts: [Host]
  /// The node on whose machine the controller runs; the first of the topology where nothing else is said.
  public var controller: String
  /// Where the nodes reach it, `ADDRESS:PORT`; nil: at the first address that the topology gives that node.
  public var address: String?

  /// The port of ``address`` where none is written.
  public static let controllerPort = 7117
}

extension Hosts {
  /// Reads what `--hosts` names: a YAML file, or `NODE=DESTINATION,...` where there is no such file.
  ///
  /// - Throws: ``TopologyError``.
  public static func load(_ text: String, for topology: Topology) throws(TopologyError) -> Hosts {
    if text.contains("="), !text.contains("\n") { return try decode(list: text, for: topology) }
    return try decode(yaml: Topology.text(of: text), file: text, for: topology)
  }

  /// Decodes YAML text and compares it with the topology. `file` is what problems call it.
  ///
  /// - Throws: ``TopologyError/invalid(_:)`` with every problem, in the order of the file.
  public static func decode(
    yaml: String, file: String, for topology: Topology
  ) throws(TopologyError) -> Hosts {
    var decoder = HostsDecoder(file: file, topology: topology)
    var reader = YAMLReader(yaml, beginning: "'hosts:'")
    let root = reader.read()
    for fault in reader.faults { decoder.values.report(fault.position, fault.message, fault.remedy) }
    return try decoder.decode(root)
  }

  /// Decodes the short form, `camera=user@10.0.0.1,edge=10.0.0.2`.
  ///
  /// - Throws: ``TopologyError/invalid(_:)``; columns are those of the option's text.
  public static func decode(list: String, for topology: Topology) throws(TopologyError) -> Hosts {
    var decoder = HostsDecoder(file: "--hosts", topology: topology)
    var entries: [(key: YAMLKey, value: YAMLValue)] = []
    var column = 1
    for item in list.split(separator: ",", omittingEmptySubsequences: false) {
      let start = Position(line: 1, column: column)
      column += item.unicodeScalars.count + 1
      let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty else {
        decoder.values.report(
          start, "\(Words.quote(String(item))) is no host of a node", "write NODE=user@host, commas between")
        continue
      }
      let name = String(parts[0])
      guard !entries.contains(where: { $0.key.text == name }) else {
        decoder.values.report(start, "node \(Words.quote(name)) stands twice", "keep one of them")
        continue
      }
      let place = Position(line: 1, column: start.column + name.unicodeScalars.count + 1)
      entries.append(
        (
          YAMLKey(text: name, position: start),
          YAMLValue(content: .scalar(String(parts[1]), plain: true), position: place)
        ))
    }
    let hosts = YAMLValue(content: .mapping(entries), position: .start)
    return try decoder.decode(
      YAMLValue(
        content: .mapping([(YAMLKey(text: "hosts", position: .start), hosts)]), position: .start))
  }
}

/// Decodes ``Hosts`` from a YAML tree, with every problem.
private struct HostsDecoder {
  /// Reads the values and keeps the problems, as for a topology.
  var values: TopologyDecoder
  let topology: Topology

  init(file: String, topology: Topology) {
    values = TopologyDecoder(file: file)
    self.topology = topology
  }

  mutating func decode(_ root: YAMLValue?) throws(TopologyError) -> Hosts {
    var hosts = Hosts(hosts: [], controller: topology.nodes.first?.name ?? "")
    if let root, let keys = values.fields(of: root, Grammar.hosts) {
      if let value = keys["hosts"] { hosts.hosts = destinations(value) }
      if let value = keys["controller"],
        let node = values.word(value, "controller", of: topology.nodes.map(\.name))
      {
        hosts.controller = node
      }
      if let value = keys["address"] { hosts.address = address(value) }
    }
    guard values.problems.isEmpty, root != nil else { throw .invalid(values.problems.inOrder()) }
    return hosts
  }

  private mutating func destinations(_ value: YAMLValue) -> [Hosts.Host] {
    let example = "write a mapping such as 'camera: user@10.0.0.1'"
    var found: [String: SSHDestination] = [:]
    var nodes: [SSHDestination: String] = [:]
    // A node that is misspelt is one mistake, not two.
    var named: Set<String> = []
    for (key, value) in values.entries(of: value, "hosts", limit: Limits.nodes, example) {
      let known = topology.nodes.map(\.name)
      guard topology.node(key.text) != nil else {
        if let near = Words.nearest(to: key.text, in: known) { named.insert(near) }
        values.report(
          key.position, "topology \(topology.name) has no node \(Words.quote(key.text))",
          Words.instead(of: key.text, known: known))
        continue
      }
      named.insert(key.text)
      guard let text = values.text(value, "the host of node \(Words.quote(key.text))") else { continue }
      guard let destination = SSHDestination(text) else {
        let flaw = SSHDestination.flaw(of: text)
        values.report(
          value.position,
          "the host of node \(Words.quote(key.text)), \(Words.quote(text)), \(flaw?.message ?? "")",
          flaw?.remedy ?? "")
        continue
      }
      if let other = nodes[destination] {
        values.report(
          value.position, "nodes \(Words.quote(other)) and \(Words.quote(key.text)) have one host",
          "a machine is one node: give each its own")
      }
      nodes[destination] = key.text
      found[key.text] = destination
    }
    for node in topology.nodes where !named.contains(node.name) {
      values.report(
        value.position, "node \(Words.quote(node.name)) of topology \(topology.name) has no host",
        "add '\(node.name): user@host'")
    }
    return topology.nodes.compactMap { node in
      found[node.name].map { Hosts.Host(node: node.name, destination: $0) }
    }
  }

  /// `10.0.0.1`, `10.0.0.1:7000`, `fd00::1`, `[fd00::1]:7000`, `name`, `name:7000`, as one with a port.
  private mutating func address(_ value: YAMLValue) -> String? {
    guard let text = values.text(value, "address") else { return nil }
    if let address = IPAddress(text) {
      guard address.flaw == nil else {
        values.report(
          value.position, "address is \(address), \(address.flaw ?? "")",
          "write an address at which every node reaches the controller")
        return nil
      }
      return address.family == .ipv4
        ? "\(address):\(Hosts.controllerPort)" : "[\(address)]:\(Hosts.controllerPort)"
    }
    if let endpoint = Endpoint(text), endpoint.address.flaw == nil {
      return checked(endpoint.port, text, value)
    }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    let isName = parts[0].utf8.allSatisfy {
      $0 == 0x2d || $0 == 0x2e || (0x30...0x39).contains($0) || (0x61...0x7a).contains($0 | 0x20)
    }
    if isName, let first = parts[0].first, first.isLetter {
      if parts.count == 1 { return "\(text):\(Hosts.controllerPort)" }
      if parts.count == 2, let port = UInt16(parts[1]) { return checked(port, text, value) }
    }
    values.report(
      value.position, "address is \(Words.quote(text)), at which nothing can be reached",
      "write ADDRESS or ADDRESS:PORT, as in 10.0.0.1:\(Hosts.controllerPort)")
    return nil
  }

  /// Who joins comes by the port above.
  private mutating func checked(_ port: UInt16, _ text: String, _ value: YAMLValue) -> String? {
    guard port > 0, port < .max else {
      values.report(value.position, "address has port \(port)", "write a port from 1 to 65534")
      return nil
    }
    return text
  }
}
