/// Decodes one node: `camera: 10.0.0.1`, or a mapping.
extension TopologyDecoder {
  mutating func node(_ name: String, _ value: YAMLValue, index: Int) -> Node {
    var node = Node(name: name, addresses: [])
    let what = "the address of node \(Words.quote(name))"
    if case .scalar = value.content {
      if value.isNull {
        report(
          value.position, "node \(Words.quote(name)) has no address",
          "write the address behind the colon: 'camera: 10.0.0.1'")
      } else if let address = address(value, what) {
        positions[.address(node: index, 0)] = value.position
        node.addresses = [address]
      }
      return node
    }
    guard let keys = fields(of: value, Grammar.node) else { return node }

    for item in addressItems(keys, of: name, at: value.position) {
      guard let address = address(item, what) else { continue }
      positions[.address(node: index, node.addresses.count)] = item.position
      node.addresses.append(address)
    }
    if let engine = keys["engine"].flatMap({ word($0, "engine", of: Grammar.engines) }) {
      node.engine = EngineChoice(rawValue: engine) ?? .auto
    }
    if let value = keys["scheduling"] {
      node.scheduling = scheduling(value) ?? .other
    }
    if let value = keys["labels"] { node.labels = labels(value) }
    return node
  }

  private mutating func addressItems(
    _ keys: [String: YAMLValue], of name: String, at position: Position
  ) -> [YAMLValue] {
    switch (keys["address"], keys["addresses"]) {
    case (nil, nil):
      report(
        position, "node \(Words.quote(name)) has no address",
        "add 'address: 10.0.0.1', or 'addresses:' with a list")
      return []
    case (_?, let list?):
      report(
        list.position, "node \(Words.quote(name)) has both 'address' and 'addresses'",
        "keep 'addresses' and put all of them there")
      return []
    case (let one?, nil): return [one]
    case (nil, let list?):
      return self.list(
        list, "addresses", limit: Limits.addressesPerNode, "write a list such as [10.0.0.1, fd00::1]") ?? []
    }
  }

  /// `rr`, or `{policy: rr, priority: 10}`.
  private mutating func scheduling(_ value: YAMLValue) -> Scheduling? {
    var policy = value
    var priority: YAMLValue?
    if case .mapping = value.content {
      guard let keys = fields(of: value, Grammar.scheduling), let word = keys["policy"] else { return nil }
      policy = word
      priority = keys["priority"]
    }
    guard let word = word(policy, "the scheduling policy", of: Grammar.policies) else { return nil }
    if word == "other" {
      if let priority {
        report(priority.position, "policy other has no priority", "remove it, or write policy: rr or fifo")
      }
      return .other
    }
    var level = Limits.defaultPriority
    if let priority {
      guard let number = integer(priority, "priority", in: Limits.priority) else { return nil }
      level = number
    }
    return word == "rr" ? .rr(priority: level) : .fifo(priority: level)
  }

  private mutating func labels(_ value: YAMLValue) -> [String: String] {
    var labels: [String: String] = [:]
    let example = "write a mapping such as {site: studio-1}"
    for (key, value) in entries(of: value, "labels", limit: Limits.labelsPerNode, example) {
      guard let text = text(value, "label \(Words.quote(key.text))") else { continue }
      if max(key.text.count, text.count) > Limits.labelLength {
        report(
          key.position, "label \(Words.quote(key.text)) is longer than \(Limits.labelLength) characters",
          "shorten it")
      }
      labels[key.text] = text
    }
    return labels
  }
}
