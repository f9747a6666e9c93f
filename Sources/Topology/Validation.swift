/// What makes a ``Topology`` valid beyond the form of its file: names that exist, addresses and ports that do not
/// collide, paths that lead somewhere.
extension Topology {
  /// Everything that is wrong. `linksAreComplete` is false where some links are known to be missing: paths are
  /// then not looked for.
  func findings(linksAreComplete: Bool = true) -> [Finding] {
    var validator = Validator(topology: self)
    validator.checkNodes()
    validator.checkLinks()
    validator.checkReferences()
    validator.checkPorts()
    var router = Router(self)
    router.route(streams: streams.indices.filter { !validator.unsound.contains($0) })
    let findings = validator.findings + router.findings
    return linksAreComplete ? findings : findings.filter { $0.cause != .noPath }
  }
}

/// A port of a node that something listens on. Ports of UDP and of TCP are different ones.
struct ListeningPort: Hashable {
  var number: UInt16
  var isTCP = false
}

/// One pass of validation.
private struct Validator {
  let topology: Topology
  var findings: [Finding] = []
  /// Streams that name what does not exist: nothing more is said of them.
  var unsound: Set<Int> = []
  private let nodes: Set<String>
  private let names: [String]
  private var owners: [IPAddress: String] = [:]
  private var listeners: [ListeningPlace: Listener] = [:]
  /// Nodes that answer test packets of links.
  private let probed: Set<String>

  init(topology: Topology) {
    self.topology = topology
    probed = topology.probedNodes
    names = topology.nodes.map(\.name)
    nodes = Set(names)
  }

  private mutating func found(_ place: Place, _ message: String, _ remedy: String) {
    findings.append(Finding(place: place, message: message, remedy: remedy))
  }

  /// What to write instead of a node that there is not; past the problems that are reported nobody asks.
  private func instead(of node: String) -> String {
    findings.count < Limits.problems ? Words.instead(of: node, known: names) : ""
  }

  // MARK: Nodes and links

  mutating func checkNodes() {
    for (index, node) in topology.nodes.enumerated() {
      for (which, address) in node.addresses.enumerated() {
        let place = Place.address(node: index, which)
        if let owner = owners[address] {
          found(
            place,
            owner == node.name
              ? "node \(Words.quote(node.name)) has address \(address) twice"
              : "node \(Words.quote(node.name)) has address \(address), as node \(Words.quote(owner)) has",
            owner == node.name ? "keep one of them" : "give each node addresses of its own")
        }
        owners[address] = owners[address] ?? node.name
      }
    }
  }

  mutating func checkLinks() {
    var seen: Set<Set<String>> = []
    for (index, link) in topology.links.enumerated() {
      let place = Place.link(index)
      for end in [link.a, link.b] where !nodes.contains(end) {
        found(
          place, "link to \(Words.quote(end)), which is no node", instead(of: end))
      }
      if link.a == link.b {
        found(place, "link from node \(Words.quote(link.a)) to itself", "name two nodes, or remove the link")
      } else if !seen.insert([link.a, link.b]).inserted {
        found(
          place, "a second link between \(Words.quote(link.a)) and \(Words.quote(link.b))",
          "keep one of them: a stream could not tell them apart")
      }
      for (name, address) in link.addresses.sorted(by: { $0.key < $1.key }) {
        if let owner = owners[address], owner != name {
          found(
            .linkAddress(link: index, node: name),
            "\(address) is an address of node \(Words.quote(owner)), not of \(Words.quote(name))",
            "write an address of \(Words.quote(name))")
        }
        owners[address] = owners[address] ?? name
      }
      checkMTU(link, index)
    }
  }

  private mutating func checkMTU(_ link: Link, _ index: Int) {
    guard let mtu = link.mtu, mtu < Limits.ipv6MTU else { return }
    let ends = [link.a, link.b].compactMap { topology.node($0) }
    let addresses = ends.flatMap(\.addresses) + link.addresses.values
    guard addresses.contains(where: { $0.family == .ipv6 }) else { return }
    found(
      .mtu(link: index), "mtu \(mtu) on a link whose nodes have IPv6 addresses",
      "write at least \(Limits.ipv6MTU) (RFC 8200 section 5)")
  }

  // MARK: Streams

  mutating func checkReferences() {
    for (index, stream) in topology.streams.enumerated() {
      var references = [(Place.from(stream: index), stream.from.node)]
      references += stream.via.enumerated().map { (.via(stream: index, $0.offset), $0.element) }
      for (which, sink) in stream.to.enumerated() {
        if case .node(let port) = sink { references.append((.sink(stream: index, which), port.node)) }
      }
      for (use, each) in stream.extensions.enumerated() {
        guard case .nodes(let nodes) = each.at else { continue }
        references += nodes.enumerated().map {
          (.extensionNode(stream: index, use, node: $0.offset), $0.element)
        }
      }
      if stream.transport == .tcp, stream.to.count > 1 {
        found(
          .sink(stream: index, 1),
          "stream \(Words.quote(stream.name)) has \(stream.to.count) sinks, but a TCP connection has one other end",
          "keep one of them, or write a stream for each")
      }
      // Mode split is engine process's, whatever the node runs.
      if stream.transport == .tcp, stream.mode != .split {
        for (place, node) in references where topology.node(node)?.engine == .upcall {
          found(
            place,
            "stream \(Words.quote(stream.name)) is of protocol tcp, and node \(Words.quote(node)) runs engine upcall, which relays datagrams only",
            "let the node run engine auto, sandbox or process")
        }
      }
      for (place, node) in references where !nodes.contains(node) {
        unsound.insert(index)
        found(
          place, "stream \(Words.quote(stream.name)) names \(Words.quote(node)), which is no node",
          instead(of: node))
      }
      for (which, sink) in stream.to.enumerated() {
        if case .host(let endpoint) = sink, let owner = owners[endpoint.address] {
          found(
            .sink(stream: index, which), "sink \(endpoint) is an address of node \(Words.quote(owner))",
            "write " + Words.quote("\(owner):\(endpoint.port)"))
        }
      }
    }
  }

  private struct ListeningPlace: Hashable {
    var node: String
    var port: ListeningPort
  }

  /// What listens on a port of a node: one stream's ingress or one stream's local sink.
  private struct Listener {
    var what: String
    var stream: Int
    var isIngress: Bool
  }

  mutating func checkPorts() {
    var hosts: Set<String> = []
    // Ingresses first: where a sink meets an ingress, the sink is told to move.
    for (index, stream) in topology.streams.enumerated() where nodes.contains(stream.from.node) {
      claim(
        stream.from, .from(stream: index),
        Listener(what: "stream \(Words.quote(stream.name)) enters", stream: index, isIngress: true))
    }
    for (index, stream) in topology.streams.enumerated() {
      for (which, sink) in stream.to.enumerated() {
        let place = Place.sink(stream: index, which)
        switch sink {
        case .node(let port) where nodes.contains(port.node):
          claim(
            port, place,
            Listener(
              what: "a sink of stream \(Words.quote(stream.name)) listens", stream: index, isIngress: false))
        case .node: break
        case .host(let endpoint):
          if !hosts.insert("\(index) \(endpoint)").inserted {
            found(place, "sink \(endpoint) stands twice", "keep one of them")
          }
        }
      }
    }
  }

  private mutating func claim(
    _ port: NodePort, _ place: Place, _ listener: Listener
  ) {
    let ports = topology.streams[listener.stream].transport.ports(from: port.port)
    if ports.contains(ListeningPort(number: topology.probePort)), probed.contains(port.node) {
      found(
        place,
        "\(listener.isIngress ? "ingress" : "sink") \(Words.quote("\(port)")), but test packets of links are answered at port \(topology.probePort) of every node",
        "choose another port, or write 'probe: {port: ...}' or 'probe: off' at the top of the file")
      return
    }
    for used in ports {
      guard let other = listeners[ListeningPlace(node: port.node, port: used)] else { continue }
      let number = used.number
      let role = listener.isIngress ? "ingress" : "sink"
      let why = number == port.port ? "" : ", whose RTCP would use port \(number)"
      if !listener.isIngress, !other.isIngress, other.stream == listener.stream, number == port.port {
        found(place, "sink \(Words.quote("\(port)")) stands twice", "keep one of them")
      } else {
        found(
          place,
          "\(role) \(Words.quote("\(port)"))\(why), but \(other.what) at port \(number) of node \(Words.quote(port.node))",
          "choose another port: each has one listener, and RTP uses the port above too")
      }
      return
    }
    for used in ports { listeners[ListeningPlace(node: port.node, port: used)] = listener }
  }
}

extension StreamProtocol {
  /// The ports that a listener on `port` uses: for rtp the one above too (RFC 3550 section 11).
  func ports(from port: UInt16) -> [ListeningPort] {
    (self == .rtp && port < .max ? [port, port + 1] : [port]).map {
      ListeningPort(number: $0, isTCP: self == .tcp)
    }
  }
}
