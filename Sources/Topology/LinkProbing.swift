/// How nodes probe a link: test packets (RFC 8762) that tell its loss, its delay variation and its round trip.
public struct LinkProbing: Hashable, Sendable, Codable {
  /// Milliseconds from one test packet to the next, each way; nil: the link is not probed.
  public var intervalMs: Int?

  public init(intervalMs: Int?) { self.intervalMs = intervalMs }

  public static let off = LinkProbing(intervalMs: nil)
  /// Where the file says nothing: five test packets a second each way and their answers, 5.8 kbit/s in each direction
  /// of the link (72 bytes with their IP and UDP headers, of IPv4).
  public static let usual = LinkProbing(intervalMs: 200)
}

/// The probes of one node: what it sends, and whom it answers.
public struct NodeProbes: Hashable, Sendable, Codable {
  /// The UDP port at which nodes answer test packets.
  public var port: UInt16
  /// In the order of the file.
  public var links: [LinkProbe]

  public init(port: UInt16, links: [LinkProbe]) {
    self.port = port
    self.links = links
  }
}

/// One link as one of its nodes probes it.
public struct LinkProbe: Hashable, Sendable, Codable {
  /// The node at the other end.
  public var peer: String
  /// The addresses of both ends, of one family.
  public var local: IPAddress
  public var remote: IPAddress
  public var intervalMs: Int

  public init(peer: String, local: IPAddress, remote: IPAddress, intervalMs: Int) {
    self.peer = peer
    self.local = local
    self.remote = remote
    self.intervalMs = intervalMs
  }
}

extension Topology {
  /// How a link is probed: as itself says, or as the topology does.
  func probing(of link: Link) -> LinkProbing { link.probe ?? probe }

  /// What one node probes and answers; nil where none of its links is probed.
  ///
  /// Both ends of a link probe it, over IPv4 where both have it: hops of streams would use the same addresses.
  public func probes(on name: String) -> NodeProbes? {
    guard let node = node(name) else { return nil }
    let probes = links.compactMap { link -> LinkProbe? in
      guard link.a == name || link.b == name, let interval = probing(of: link).intervalMs,
        let peer = self.node(link.a == name ? link.b : link.a)
      else { return nil }
      for family in [IPAddress.Family.ipv4, .ipv6] {
        if let local = link.address(of: node, family), let remote = link.address(of: peer, family) {
          return LinkProbe(peer: peer.name, local: local, remote: remote, intervalMs: interval)
        }
      }
      return nil
    }
    return probes.isEmpty ? nil : NodeProbes(port: probePort, links: probes)
  }

  /// The nodes of which a link is probed.
  var probedNodes: Set<String> {
    Set(links.filter { probing(of: $0).intervalMs != nil }.flatMap { [$0.a, $0.b] })
  }
}

/// In the file: `off`, or the time from one test packet to the next.
extension LinkProbing {
  /// As topologies/schema.json has it.
  static let pattern = "^(off|[0-9]+(ms|s))$"

  static let remedy =
    "write off, or the time between two test packets, from \(Limits.probeIntervalMs.lowerBound)ms to "
    + "\(Limits.probeIntervalMs.upperBound / 1000)s"

  /// nil where the text is neither.
  init?(_ text: String) {
    if text == "off" {
      self = .off
      return
    }
    let unit = text.hasSuffix("ms") ? 1 : 1000
    guard text.hasSuffix("s"), let number = Int(decimal: text.dropLast(unit == 1 ? 2 : 1)), number <= 1_000_000,
      Limits.probeIntervalMs.contains(number * unit)
    else { return nil }
    intervalMs = number * unit
  }
}

/// Decodes how links are probed.
extension TopologyDecoder {
  mutating func probing(_ value: YAMLValue) -> LinkProbing? {
    guard case .scalar(let text, _) = value.content, let probing = LinkProbing(text) else {
      report(value.position, "probe is \(value.kind)", LinkProbing.remedy)
      return nil
    }
    return probing
  }

  /// That of the whole topology, which may name the port too; nil for what the file does not say.
  mutating func topologyProbing(_ value: YAMLValue) -> (probing: LinkProbing?, port: UInt16?) {
    guard case .mapping = value.content else { return (probing(value), nil) }
    guard let keys = fields(of: value, Grammar.probe) else { return (nil, nil) }
    let port = keys["port"].flatMap { integer($0, "port", in: 1...65_535) }
    return (keys["interval"].flatMap { probing($0) }, port.map(UInt16.init))
  }
}
