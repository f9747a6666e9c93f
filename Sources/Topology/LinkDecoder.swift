/// Decodes one link: `a -- b`, or a mapping.
extension TopologyDecoder {
  mutating func link(_ value: YAMLValue, index: Int) -> Link? {
    if case .scalar(let text, _) = value.content {
      let words = text.split(whereSeparator: \.isWhitespace).map(String.init)
      guard words.count == 3, words[1] == "--" else {
        report(value.position, "\(value.kind) where a link belongs", "write two node names: 'camera -- edge'")
        return nil
      }
      return Link(a: words[0], b: words[2])
    }
    guard let keys = fields(of: value, Grammar.link), let between = keys["between"] else { return nil }
    let example = "write two node names: [camera, edge]"
    guard case .sequence(let ends) = between.content, ends.count == 2 else {
      report(between.position, "'between' is not a list of two nodes", example)
      return nil
    }
    guard let a = text(ends[0], "an end of the link"), let b = text(ends[1], "an end of the link") else {
      return nil
    }
    var link = Link(a: a, b: b)
    if let value = keys["addresses"] {
      let example = "write a mapping such as {camera: 10.0.0.1, edge: 10.0.0.2}"
      for (key, value) in entries(of: value, "addresses", limit: 2, example) {
        guard let address = address(value, "the link's address of node \(Words.quote(key.text))") else {
          continue
        }
        if key.text != a, key.text != b {
          report(
            key.position, "\(Words.quote(key.text)) is not an end of this link",
            Words.instead(of: key.text, known: [a, b]))
          continue
        }
        positions[.linkAddress(link: index, node: key.text)] = value.position
        link.addresses[key.text] = address
      }
    }
    if let value = keys["mtu"] {
      positions[.mtu(link: index)] = value.position
      link.mtu = integer(value, "mtu", in: Limits.mtu)
    }
    if let value = keys["probe"] { link.probe = probing(value) }
    return link
  }
}
