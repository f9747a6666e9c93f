/// Decodes one stream. Nodes must be decoded before: a source may name one.
extension TopologyDecoder {
  mutating func stream(_ name: String, _ value: YAMLValue, index: Int) -> Stream? {
    guard let keys = fields(of: value, Grammar.stream) else { return nil }
    let transport = keys["protocol"].flatMap { word($0, "protocol", of: Grammar.protocols) }
      .flatMap(StreamProtocol.init)
    let from = keys["from"].flatMap { decodeFrom($0, transport: transport, stream: index) }
    let to = keys["to"].flatMap { decodeSinks($0, transport: transport, stream: index) }
    let via = keys["via"].map { decodeVia($0, stream: index) } ?? []
    let sources = keys["sources"].map { decodeSources($0, stream: index) } ?? []
    var family: IPAddress.Family?
    if let value = keys["family"] {
      positions[.family(stream: index)] = value.position
      family = word(value, "family", of: Grammar.families).flatMap(IPAddress.Family.init)
    }
    let dscp = keys["dscp"].flatMap { decodeDscp($0) }
    let clockRate = keys["clockRate"].flatMap { decodeClockRate($0, transport: transport) }
    let mode = keys["mode"].flatMap { decodeMode($0, transport: transport) }
    if let value = keys["extensions"], transport == .tcp {
      report(
        value.position, "extensions for protocol tcp: they see datagrams, and a connection has none",
        "remove them, or write protocol: udp or rtp")
    }
    let extensions = keys["extensions"].map { decodeExtensions($0, stream: index) } ?? []
    let limits = keys["expect"].flatMap { decodeLimits($0, transport: transport) }
    // What is wrong is reported by now; without its two ends nothing more can be said of the stream.
    guard let transport, let from, let to, let via, let sources else { return nil }
    return Stream(
      name: name, transport: transport, from: from, via: via, to: to, sources: sources, family: family,
      dscp: dscp, clockRate: clockRate, extensions: extensions, limits: limits, mode: mode)
  }

  private mutating func decodeMode(_ value: YAMLValue, transport: StreamProtocol?) -> TCPMode? {
    if let transport, transport != .tcp {
      report(
        value.position, "mode for protocol \(transport.rawValue), which has no connections",
        "remove it, or write protocol: tcp")
      return nil
    }
    return word(value, "mode", of: Grammar.modes).flatMap(TCPMode.init)
  }

  private mutating func decodeFrom(_ value: YAMLValue, transport: StreamProtocol?, stream: Int) -> NodePort? {
    positions[.from(stream: stream)] = value.position
    let example = "write a node and a port, such as camera:5004"
    guard let text = text(value, "'from'") else { return nil }
    guard let (host, port) = split(text) else {
      report(value.position, "'from' is \(Words.quote(text))", example)
      return nil
    }
    guard let port = self.port(port, of: text, transport: transport, at: value.position) else { return nil }
    if IPAddress(host) != nil || host.hasPrefix("[") {
      report(
        value.position, "'from' is \(Words.quote(text)), but a stream enters at a node",
        example + "; addresses to accept packets from belong in 'sources'")
      return nil
    }
    return NodePort(node: host, port: port)
  }

  private mutating func decodeVia(_ value: YAMLValue, stream: Int) -> [String]? {
    guard let items = oneOrMore(value, "via", limit: Limits.nodes, "write a list of nodes such as [edge]")
    else {
      return nil
    }
    var nodes: [String] = []
    for item in items {
      guard let node = text(item, "a node of 'via'") else { return nil }
      positions[.via(stream: stream, nodes.count)] = item.position
      nodes.append(node)
    }
    return nodes
  }

  private mutating func decodeSinks(_ value: YAMLValue, transport: StreamProtocol?, stream: Int) -> [Sink]? {
    let example = "write one sink or a list, such as [studio:5004, 192.0.2.7:6000]"
    guard let items = oneOrMore(value, "sinks", limit: Limits.nodes * Limits.sinksPerRelay, example) else {
      return nil
    }
    var sinks: [Sink] = []
    var failed = false
    for item in items {
      guard let sink = sink(item, transport: transport) else {
        failed = true
        continue
      }
      positions[.sink(stream: stream, sinks.count)] = item.position
      sinks.append(sink)
    }
    return failed ? nil : sinks
  }

  /// `node:port`, `10.0.0.1:port` or `[fd00::1]:port`.
  private mutating func sink(_ value: YAMLValue, transport: StreamProtocol?) -> Sink? {
    guard let text = text(value, "a sink") else { return nil }
    guard let (host, port) = split(text) else {
      report(
        value.position, "sink \(Words.quote(text)) has no port",
        "write node:port, 192.0.2.7:port or [fd00::1]:port")
      return nil
    }
    guard let port = self.port(port, of: text, transport: transport, at: value.position) else { return nil }
    let bracketed = host.hasPrefix("[") && host.hasSuffix("]") && host.contains(":")
    let literal = bracketed ? String(host.dropFirst().dropLast()) : host
    if let address = IPAddress(literal), bracketed || !host.contains(":") {
      if let flaw = address.flaw {
        report(
          value.position, "sink \(Words.quote(text)) is \(flaw)",
          "write the address of one machine: relays send unicast only")
        return nil
      }
      return .host(Endpoint(address: address, port: port))
    }
    if let address = IPAddress(host) {
      report(
        value.position, "sink \(Words.quote(text)) is an IPv6 address without brackets",
        "write [\(address)]:\(port)")
      return nil
    }
    if !Grammar.isName(host, limit: Limits.nameLength) {
      report(
        value.position, "sink \(Words.quote(text)) is neither a node nor an address",
        "write node:port, 192.0.2.7:port or [fd00::1]:port; host names are not looked up")
      return nil
    }
    return .node(NodePort(node: host, port: port))
  }

  /// Addresses, prefixes and nodes, a node meaning all its addresses.
  private mutating func decodeSources(_ value: YAMLValue, stream: Int) -> [AddressPrefix]? {
    positions[.sources(stream: stream)] = value.position
    let example = "write addresses, prefixes or nodes, such as [camera, 192.0.2.0/24]"
    guard let items = oneOrMore(value, "sources", limit: Limits.nodes, example) else { return nil }
    var prefixes: [AddressPrefix] = []
    var failed = false
    for item in items {
      guard let text = text(item, "a source") else {
        failed = true
        continue
      }
      if let node = draft.node(text) {
        prefixes += node.addresses.map { AddressPrefix($0) }
      } else if let prefix = prefix(text, at: item.position) {
        prefixes.append(prefix)
      } else {
        failed = true
      }
    }
    var seen: Set<AddressPrefix> = []
    return failed ? nil : prefixes.filter { seen.insert($0).inserted }
  }

  private mutating func prefix(_ text: String, at position: Position) -> AddressPrefix? {
    guard let prefix = AddressPrefix(text) else {
      if Grammar.isName(text, limit: Limits.nameLength) {
        report(
          position, "source \(Words.quote(text)) is no node",
          problems.count < Limits.problems ? Words.instead(of: text, known: draft.nodes.map(\.name)) : "")
      } else {
        report(
          position, "source \(Words.quote(text)) is no address, prefix or node",
          "write 192.0.2.7, 192.0.2.0/24, fd00::/64 or the name of a node, without a port")
      }
      return nil
    }
    if prefix.address.isMulticast || (prefix.address.isUnspecified && !text.contains("/")) {
      report(
        position, "source \(Words.quote(text)) is an address that no packet comes from",
        "write the sender's own address, or 0.0.0.0/0 or ::/0 for anyone")
      return nil
    }
    return prefix
  }

  private mutating func decodeDscp(_ value: YAMLValue) -> UInt8? {
    guard case .scalar(let text, let plain) = value.content else {
      report(
        value.position, "dscp is \(value.kind)", "write a number from 0 to 63, or a name such as ef or af41")
      return nil
    }
    if let named = Grammar.dscp.first(where: { $0.key == text }) { return named.value }
    if plain, let number = Int(decimal: text) {
      if number <= 63 { return UInt8(number) }
      // The whole octet, as IP_TOS takes it, is four times the code point.
      let hint =
        number < 256 && number % 4 == 0 ? "; as the upper bits of a traffic class that is \(number / 4)" : ""
      report(value.position, "dscp is \(number)", "write a number from 0 to 63" + hint)
      return nil
    }
    let names = Grammar.dscp.map(\.key)
    let near = Words.nearest(to: text, in: names).map { "; did you mean '\($0)'?" } ?? ""
    report(
      value.position, "dscp is \(value.kind)",
      "write a number from 0 to 63, or a name such as ef or af41" + near)
    return nil
  }

  private mutating func decodeClockRate(_ value: YAMLValue, transport: StreamProtocol?) -> UInt32? {
    if let transport, transport != .rtp {
      report(
        value.position, "clockRate for protocol \(transport.rawValue), which has no media timestamps",
        "remove it, or write protocol: rtp")
      return nil
    }
    return integer(value, "clockRate", in: Limits.clockRate).map { UInt32($0) }
  }

  // MARK: Ports

  /// The text before and after the last colon, neither empty.
  private func split(_ text: String) -> (host: String, port: String)? {
    guard let colon = text.lastIndex(of: ":") else { return nil }
    let (host, port) = (String(text[..<colon]), String(text[text.index(after: colon)...]))
    return host.isEmpty || port.isEmpty ? nil : (host, port)
  }

  private mutating func port(
    _ digits: String, of text: String, transport: StreamProtocol?, at position: Position
  ) -> UInt16? {
    guard let number = Int(decimal: digits), (1...65_535).contains(number) else {
      report(
        position, "\(Words.quote(digits)) in \(Words.quote(text)) is no port", "write a number from 1 to 65535")
      return nil
    }
    if transport == .rtp, number % 2 == 1 {
      // RFC 3550 section 11.
      report(
        position, "RTP port \(number) in \(Words.quote(text)) is odd",
        "write \(number - 1 > 0 ? number - 1 : 2): RTP takes an even port, RTCP the one above it")
      return nil
    }
    return UInt16(number)
  }
}
