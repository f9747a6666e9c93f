/// Decodes a YAML tree into a draft of a ``Topology``, collecting every problem and the place of every part.
///
/// A draft goes on after a problem, so that later references to what was named find it: only ``problems`` being
/// empty makes it a topology.
struct TopologyDecoder {
  let file: String
  /// What is installed; nil where nobody knows.
  let catalog: ExtensionCatalog?
  private(set) var problems: [Problem] = []
  private(set) var draft = Topology(name: "", nodes: [], links: [], streams: [])
  /// Where the parts of the draft stand.
  var positions: [Place: Position] = [:]
  /// False where a link could not be decoded: then "no path" would only repeat that problem.
  private(set) var linksAreComplete = true

  init(file: String, catalog: ExtensionCatalog? = nil) {
    self.file = file
    self.catalog = catalog
  }

  mutating func report(_ position: Position, _ message: String, _ remedy: String) {
    // One more than the limit says that there are more.
    guard problems.count <= Limits.problems else { return }
    let isLast = problems.count == Limits.problems
    let message = isLast ? "more than \(Limits.problems) problems; the others are left out" : message
    let remedy = isLast ? "correct these first" : remedy
    problems.append(
      Problem(
        file: file, line: position.line, column: position.column, message: Words.harmless(message),
        remedy: Words.harmless(remedy)))
  }

  mutating func decode(_ root: YAMLValue) {
    guard let keys = fields(of: root, Grammar.topology) else { return }
    positions[.topology] = keys["name"]?.position ?? root.position
    if let value = keys["version"], let version = integer(value, "version"), version != Topology.version {
      report(
        value.position, "version \(version) is not known", "write version: \(Topology.version)")
    }
    if let value = keys["name"], let name = text(value, "the topology's name") {
      checkName(name, "topology", limit: Limits.nameLength, at: value.position)
      draft.name = name
    }
    if let value = keys["nodes"] { decodeNodes(value) }
    if let value = keys["links"] { decodeLinks(value) }
    if let value = keys["streams"] { decodeStreams(value) }
    if let value = keys["probe"] {
      let (probing, port) = topologyProbing(value)
      draft.probe = probing ?? draft.probe
      draft.probePort = port ?? draft.probePort
    }
  }

  private mutating func decodeNodes(_ value: YAMLValue) {
    let example = "write a mapping such as 'camera: 10.0.0.1'"
    for (key, value) in entries(of: value, "nodes", limit: Limits.nodes, example) {
      checkName(key.text, "node", limit: Limits.nameLength, at: key.position)
      positions[.node(draft.nodes.count)] = key.position
      draft.nodes.append(node(key.text, value, index: draft.nodes.count))
    }
  }

  private mutating func decodeLinks(_ value: YAMLValue) {
    let example = "write a list such as '- camera -- edge'"
    guard let items = list(value, "links", limit: Limits.links, example) else {
      linksAreComplete = false
      return
    }
    for item in items {
      positions[.link(draft.links.count)] = item.position
      if let link = link(item, index: draft.links.count) {
        draft.links.append(link)
      } else {
        linksAreComplete = false
      }
    }
  }

  private mutating func decodeStreams(_ value: YAMLValue) {
    let example = "write a mapping such as 'video: {protocol: rtp, from: camera:5004, to: studio:5004}'"
    for (key, value) in entries(of: value, "streams", limit: Limits.streams, example) {
      checkName(key.text, "stream", limit: Limits.streamNameLength, at: key.position)
      positions[.stream(draft.streams.count)] = key.position
      if let stream = stream(key.text, value, index: draft.streams.count) { draft.streams.append(stream) }
    }
  }
}

// MARK: - Values

extension TopologyDecoder {
  /// The values of a mapping by key, unknown and missing keys reported; nil where it is no mapping.
  mutating func fields(of value: YAMLValue, _ form: Grammar.Form) -> [String: YAMLValue]? {
    guard case .mapping(let entries) = value.content else {
      report(
        value.position, "\(value.kind) where \(Words.one(form.name)) belongs",
        "write a mapping with the keys " + Words.choice(form.keys))
      return nil
    }
    var fields: [String: YAMLValue] = [:]
    // A required key that is there but misspelt is one mistake, not two.
    var misspelt: Set<String> = []
    for (key, value) in entries {
      if form.keys.contains(key.text) {
        fields[key.text] = value
      } else if key.text == "<<" {
        report(key.position, "merge keys are not read", "write the keys out")
      } else {
        if let near = Words.nearest(to: key.text, in: form.keys) { misspelt.insert(near) }
        report(
          key.position, "unknown key \(Words.quote(key.text)) in \(Words.one(form.name))",
          Words.instead(of: key.text, known: form.keys))
      }
    }
    for key in form.required where fields[key] == nil && !misspelt.contains(key) {
      report(value.position, "\(Words.one(form.name)) without '\(key)'", "add '\(key):'")
    }
    return fields
  }

  /// The entries of a mapping whose keys are names of the user's own; empty, and reported, where there are none.
  mutating func entries(
    of value: YAMLValue, _ what: String, limit: Int, _ example: String, excess: String = "split the topology"
  ) -> ArraySlice<(key: YAMLKey, value: YAMLValue)> {
    guard case .mapping(let entries) = value.content else {
      report(value.position, "\(what) is \(value.kind)", example)
      return []
    }
    if entries.isEmpty { report(value.position, "\(what) is empty", example) }
    if entries.count > limit {
      report(
        entries[limit].key.position, "\(entries.count) \(what); \(limit) are the limit", excess)
    }
    return entries.prefix(limit)
  }

  /// The items of a list; nil, and reported, where it is none or an empty one.
  mutating func list(_ value: YAMLValue, _ what: String, limit: Int, _ example: String) -> [YAMLValue]? {
    guard case .sequence(let items) = value.content else {
      report(value.position, "\(what) is \(value.kind)", example)
      return nil
    }
    if items.isEmpty {
      report(value.position, "\(what) is an empty list", example)
      return nil
    }
    if items.count > limit {
      report(items[limit].position, "\(items.count) \(what); \(limit) are the limit", "remove some")
    }
    return Array(items.prefix(limit))
  }

  /// One value, or a list of them, as a list.
  mutating func oneOrMore(_ value: YAMLValue, _ what: String, limit: Int, _ example: String) -> [YAMLValue]? {
    if case .sequence = value.content { return list(value, what, limit: limit, example) }
    return [value]
  }

  mutating func text(_ value: YAMLValue, _ what: String) -> String? {
    if case .scalar(let text, _) = value.content, !value.isNull, !text.isEmpty { return text }
    report(value.position, "\(what) is \(value.kind)", "write a word")
    return nil
  }

  /// A number in decimal digits, without quotes.
  mutating func integer(_ value: YAMLValue, _ what: String, in range: ClosedRange<Int>? = nil) -> Int? {
    let remedy = range.map { "write a number from \($0.lowerBound) to \($0.upperBound)" } ?? "write a number"
    guard case .scalar(let text, plain: true) = value.content, let number = Int(decimal: text) else {
      report(value.position, "\(what) is \(value.kind)", remedy + ", in digits and without quotes")
      return nil
    }
    if let range, !range.contains(number) {
      report(value.position, "\(what) is \(number)", remedy)
      return nil
    }
    return number
  }

  /// One of a few words.
  mutating func word(_ value: YAMLValue, _ what: String, of known: [String]) -> String? {
    if case .scalar(let text, _) = value.content {
      if known.contains(text) { return text }
      report(value.position, "\(what) is \(value.kind)", Words.instead(of: text, known: known))
    } else {
      report(value.position, "\(what) is \(value.kind)", "write " + Words.choice(known))
    }
    return nil
  }

  /// Returns whether the text is a name, having reported it if not.
  @discardableResult
  mutating func checkName(_ name: String, _ what: String, limit: Int, at position: Position) -> Bool {
    guard !Grammar.isName(name, limit: limit) else { return true }
    report(
      position, "\(Words.quote(name)) is no name for \(Words.one(what))",
      "write 1 to \(limit) of a-z, 0-9 and -, with no - at either end")
    return false
  }

  /// An address that a node or link can have.
  mutating func address(_ value: YAMLValue, _ what: String) -> IPAddress? {
    guard let text = text(value, what) else { return nil }
    guard let address = IPAddress(text) else {
      report(
        value.position, "\(what) is \(Words.quote(text)), which is no IP address",
        "write an address such as 10.0.0.1 or fd00::1, without port or prefix length")
      return nil
    }
    if let flaw = address.flaw {
      report(
        value.position, "\(what) is \(address), \(flaw)", "write an address that one machine alone answers to")
      return nil
    }
    return address
  }
}

extension Int {
  /// Reads 1 to 18 decimal digits and nothing else.
  init?(decimal text: some StringProtocol) {
    guard (1...18).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
      return nil
    }
    self.init(text)
  }
}

extension IPAddress {
  /// Why no relay can listen at or send to the address; nil where it can.
  var flaw: String? {
    if isUnspecified { return "the unspecified address" }
    if isMulticast { return "a multicast address" }
    if family == .ipv4, low & 0xffff_ffff == 0xffff_ffff { return "the broadcast address" }
    if family == .ipv6, high >> 54 == 0x3fa {
      return "a link-local address, which means nothing without a device"
    }
    return nil
  }
}
