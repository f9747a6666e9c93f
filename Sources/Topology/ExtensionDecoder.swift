/// Decodes the extensions of a stream, each `police` or a mapping, and checks them against the catalog where there
/// is one.
extension TopologyDecoder {
  mutating func decodeExtensions(_ value: YAMLValue, stream: Int) -> [ExtensionUse] {
    let limit = Limits.nodes * Limits.extensionsPerRelay
    let example = "write one extension or a list, such as [police, {name: thin, at: edge}]"
    var uses: [ExtensionUse] = []
    for item in oneOrMore(value, "extensions", limit: limit, example) ?? [] {
      guard let use = extensionUse(item, stream: stream, index: uses.count) else { continue }
      positions[.extensionUse(stream: stream, uses.count)] = item.position
      uses.append(use)
    }
    return uses
  }

  private mutating func extensionUse(_ value: YAMLValue, stream: Int, index: Int) -> ExtensionUse? {
    if case .scalar = value.content { return extensionName(value).map { ExtensionUse(name: $0) } }
    guard let keys = fields(of: value, Grammar.extension) else { return nil }
    let name = keys["name"].flatMap { extensionName($0) }
    let settings = keys["with"].map { decodeSettings($0, of: name) } ?? [:]
    let hops = keys["at"].map { decodeHops($0, stream: stream, use: index) } ?? .first
    return name.map { ExtensionUse(name: $0, settings: settings, at: hops) }
  }

  private mutating func extensionName(_ value: YAMLValue) -> String? {
    guard let name = text(value, "an extension"),
      checkName(name, "extension", limit: Limits.nameLength, at: value.position)
    else { return nil }
    if let catalog, catalog[name] == nil {
      if let flaw = catalog.flaws[name] {
        report(value.position, "extension \(Words.quote(name)) cannot be used: \(flaw.reason)", flaw.remedy)
      } else {
        report(
          value.position, "no extension \(Words.quote(name)) is installed",
          problems.count < Limits.problems ? catalog.remedy(for: name) : "")
      }
    }
    return name
  }

  // MARK: Settings

  private mutating func decodeSettings(_ value: YAMLValue, of name: String?) -> [String: ParameterValue] {
    let manifest = name.flatMap { catalog?[$0] }
    let owner = name.map { " of extension \(Words.quote($0))" } ?? ""
    var settings: [String: ParameterValue] = [:]
    let example = "write a mapping such as {payloadType: 0x60, rate: 5M}"
    let limit = Limits.parametersPerExtension
    for (key, value) in entries(of: value, "parameters", limit: limit, example, excess: "remove some") {
      let parameter = manifest?.parameter(key.text)
      if let manifest, parameter == nil {
        report(
          key.position, "extension \(Words.quote(manifest.name)) has no parameter \(Words.quote(key.text))",
          manifest.parameters.isEmpty
            ? "remove it: the extension has no parameters"
            : Words.instead(of: key.text, known: manifest.parameters.map(\.name)))
      } else if !Grammar.isParameterName(key.text) {
        report(
          key.position, "\(Words.quote(key.text)) is no name for a parameter",
          "write a letter, then letters, digits and _, at most \(Limits.parameterNameLength) of them")
      }
      let what = "parameter \(Words.quote(key.text))" + owner
      if let setting = setting(value, what, of: parameter) { settings[key.text] = setting }
    }
    return settings
  }

  /// A boolean, or an integer in decimal digits with or without k, M or G behind it, or in hexadecimal ones.
  private mutating func setting(
    _ value: YAMLValue, _ what: String, of parameter: ExtensionManifest.Parameter?
  ) -> ParameterValue? {
    let anything = "write a number such as 3, -3, 0x60 or 5M, or true or false"
    if case .scalar("true", plain: true) = value.content { return accepted(.bool(true)) }
    if case .scalar("false", plain: true) = value.content { return accepted(.bool(false)) }
    guard case .scalar(let text, let plain) = value.content, let number = Int128(parameter: text, plain: plain)
    else {
      report(value.position, "\(what) is \(value.kind)", (parameter?.remedy ?? anything) + ", without quotes")
      return nil
    }
    guard let integer = ParameterValue(exactly: number) else {
      let range = ParameterValue.integers
      report(
        value.position, "\(what) is \(value.kind)",
        parameter?.remedy ?? "write a number from \(range.lowerBound) to \(range.upperBound)")
      return nil
    }
    return accepted(integer)

    func accepted(_ setting: ParameterValue) -> ParameterValue? {
      guard let parameter, !parameter.accepts(setting) else { return setting }
      report(value.position, "\(what) is \(value.kind)", parameter.remedy)
      return nil
    }
  }

  // MARK: Hops

  /// `all`, or nodes. A node of that name is meant only within a list.
  private mutating func decodeHops(_ value: YAMLValue, stream: Int, use: Int) -> HopChoice {
    if case .scalar("all", _) = value.content { return .all }
    let example = "write a node, a list of nodes such as [camera, edge], or all"
    var nodes: [String] = []
    var seen: Set<String> = []
    for item in oneOrMore(value, "at", limit: Limits.nodes, example) ?? [] {
      guard let node = text(item, "a node of 'at'") else { continue }
      if node == "all", draft.node(node) == nil {
        report(item.position, "'all' in a list of nodes", "write 'at: all', and nothing else")
      } else if !seen.insert(node).inserted {
        report(item.position, "node \(Words.quote(node)) stands twice in 'at'", "keep one of them")
      } else {
        positions[.extensionNode(stream: stream, use, node: nodes.count)] = item.position
        nodes.append(node)
      }
    }
    return .nodes(nodes)
  }
}

extension Int128 {
  /// Reads `12`, `-12`, `5M` (powers of 1000) or `0x60`, and nothing else. Plain decimal digits must stand without
  /// quotes, as everywhere; the other forms are text to a reader of JSON.
  init?(parameter text: String, plain: Bool) {
    let decimal: ClosedRange<UInt8> = 0x30...0x39
    if text.hasPrefix("0x") {
      let digits = text.utf8.dropFirst(2)
      guard
        digits.allSatisfy({
          decimal.contains($0) || (0x41...0x46).contains($0) || (0x61...0x66).contains($0)
        })
      else { return nil }
      self.init(text.dropFirst(2), radix: 16)
      return
    }
    let factors: KeyValuePairs<String, Int128> = ["k": 1000, "M": 1_000_000, "G": 1_000_000_000]
    let factor = factors.first { text.hasSuffix($0.key) }?.value
    guard factor != nil || plain else { return nil }
    let digits = factor == nil ? text[...] : text.dropLast()
    let magnitude = digits.hasPrefix("-") ? digits.dropFirst() : digits
    // Twenty digits hold every integer of 64 bits, and Int128 holds them times any factor.
    guard (1...20).contains(magnitude.utf8.count), magnitude.utf8.allSatisfy(decimal.contains),
      let number = Int128(digits)
    else { return nil }
    self = number * (factor ?? 1)
  }
}
