import Yams

/// Reads YAML text into a ``YAMLValue``: the only file that knows Yams.
///
/// Yams composes the tree and stops at the first mapping with a key given twice. So that this error does not hide
/// all others, the reader writes a placeholder of the same length over the first of the two keys, composes again,
/// and reports the second when it converts the tree.
struct YAMLReader {
  /// What was wrong; more can be wrong where there is a tree all the same.
  private(set) var faults: [(position: Position, message: String, remedy: String)] = []
  private var scalars: [Unicode.Scalar]
  /// What stood where placeholders stand.
  private var covered: [Position: String] = [:]
  private var values = 0
  /// Where the text ends, if more was put behind it.
  private var end: Position?
  /// How a file of this kind begins.
  private let beginning: String

  init(_ text: String, beginning: String = "'version: \(Topology.version)' and 'name:'") {
    self.beginning = beginning
    scalars = Array(text.unicodeScalars)
    // Yams keeps a pointer into the text after the call that lent it, which is sound only for text that lives on
    // the heap: longer than the 15 bytes that Swift keeps inside a String.
    if text.utf8.count < 16 {
      end = position(of: scalars.count)
      scalars += Array(repeating: "\n", count: 16)
    }
  }

  /// The tree, or nil where none can be made; ``faults`` says why.
  mutating func read() -> YAMLValue? {
    if let bad = scalars.firstIndex(where: { !Self.isAllowed($0) }) {
      fault(
        position(of: bad), "character U+\(String(scalars[bad].value, radix: 16, uppercase: true)) in YAML text",
        "remove it: YAML allows printable characters only")
      return nil
    }
    if aliasesExplode() {
      fault(
        .start, "aliases that repeat collections could make this file too large",
        "write the collections out, or repeat fewer of them")
      return nil
    }
    guard let root = compose() else { return nil }
    return convert(root, depth: 0)
  }

  private mutating func fault(_ position: Position, _ message: String, _ remedy: String) {
    faults.append((min(position, end ?? position), message, remedy))
  }

  // MARK: Compose

  private mutating func compose() -> Yams.Node? {
    while true {
      do {
        let text = String(String.UnicodeScalarView(scalars))
        if let root = try Parser(yaml: text, resolver: .basic, encoding: .utf8).singleRoot() { return root }
        fault(.start, "the file is empty", "begin with \(beginning)")
        return nil
      } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
        let first = Position(context.mark)
        if covered.count < Limits.duplicateKeys, covered.count * scalars.count < Limits.recomposedBytes,
          cover(keys.first ?? "", at: first)
        {
          continue
        }
        for (position, key) in covered.merging([first: keys.first ?? ""], uniquingKeysWith: { a, _ in a }) {
          fault(position, "key \(Words.quote(key)) stands twice in one mapping", "keep one of them")
        }
        return nil
      } catch {
        explain(error)
        return nil
      }
    }
  }

  /// Writes a placeholder over a key. False where the file does not hold the key's own text at that place, as
  /// with aliases and escapes, or where a placeholder is there already.
  private mutating func cover(_ key: String, at position: Position) -> Bool {
    guard covered[position] == nil, var start = index(of: position) else { return false }
    if scalars[start] == "\"" || scalars[start] == "'" { start += 1 }
    let text = Array(key.unicodeScalars)
    guard !text.isEmpty, scalars[start...].starts(with: text) else { return false }
    // Private use areas: planes 15 for what tells placeholders apart, plane 0 for the length.
    let filler = Unicode.Scalar(0xe000 as UInt16)!
    let mark = Unicode.Scalar(0xf0000 + UInt32(covered.count))!
    scalars.replaceSubrange(
      start..<start + text.count, with: [mark] + Array(repeating: filler, count: text.count - 1))
    covered[position] = key
    return true
  }

  private mutating func explain(_ error: any Error) {
    switch error as? YamlError {
    case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
      .composer(let context, let problem, let mark, _):
      let place = context.map { " (\($0.text) from line \($0.mark.line), column \($0.mark.column))" } ?? ""
      fault(Position(mark), "not YAML: \(problem)\(place)", Self.remedy(for: problem))
    case .memory:
      fault(.start, "not YAML: nested too deeply", "use at most \(Limits.depth) levels")
    default:
      fault(.start, "not YAML: \(error)", "begin with \(beginning)")
    }
  }

  private static func remedy(for problem: String) -> String {
    if problem.contains("cannot start any token") || problem.contains("tab character") {
      return "indent with spaces, not tabs, and quote text that begins with @, ` or %"
    }
    if problem.contains("mapping values are not allowed") {
      return "begin a new line for the key, or quote text that holds ': '"
    }
    if problem.contains("undefined alias") { return "name the anchor with & before the alias with *" }
    if problem.contains("another document") { return "keep one document: one topology is one file" }
    return "check indentation, colons, quotes and brackets on this line and the one above"
  }

  // MARK: Convert

  private mutating func convert(_ node: Yams.Node, depth: Int) -> YAMLValue? {
    let position = node.mark.map { Position($0) } ?? .start
    values += 1
    guard values <= Limits.values else {
      if values == Limits.values + 1 {
        fault(position, "more than \(Limits.values) values, aliases written out", "split the topology")
      }
      return nil
    }
    guard depth <= Limits.depth else {
      fault(position, "nested more than \(Limits.depth) levels deep", "a topology needs no more than six")
      return nil
    }
    switch node {
    case .scalar(let scalar):
      return YAMLValue(content: .scalar(scalar.string, plain: scalar.style == .plain), position: position)
    case .sequence(let sequence):
      var items: [YAMLValue] = []
      for item in sequence {
        guard let value = convert(item, depth: depth + 1) else { return nil }
        items.append(value)
      }
      return YAMLValue(content: .sequence(items), position: position)
    case .mapping(let mapping):
      return convert(mapping, at: position, depth: depth)
    case .alias:
      fault(position, "an alias that names nothing", "write the value out")
      return nil
    }
  }

  private mutating func convert(_ mapping: Yams.Node.Mapping, at position: Position, depth: Int) -> YAMLValue? {
    var entries: [(key: YAMLKey, value: YAMLValue)] = []
    var lines: [String: Int] = [:]
    for (key, node) in mapping {
      let place = key.mark.map { Position($0) } ?? position
      guard case .scalar(let scalar) = key else {
        fault(place, "a key that is a list or a mapping", "write a word as the key")
        continue
      }
      guard let value = convert(node, depth: depth + 1) else { return nil }
      let text = covered[place] ?? scalar.string
      if let line = lines[text] {
        fault(place, "key \(Words.quote(text)) stands twice, first on line \(line)", "keep one of them")
        continue
      }
      lines[text] = place.line
      entries.append((YAMLKey(text: text, position: place), value))
    }
    return YAMLValue(content: .mapping(entries), position: position)
  }
}

// MARK: - Text

extension YAMLReader {
  /// What YAML 1.1 calls printable, and the byte order mark.
  private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x09, 0x0a, 0x0d, 0x20...0x7e, 0x85, 0xa0...0xd7ff, 0xe000...0xfffd, 0x10000...0x10ffff: true
    default: false
    }
  }

  /// Whether another line begins behind the scalar, as libyaml counts lines.
  private func endsLine(_ index: Int) -> Bool {
    switch scalars[index].value {
    case 0x0a, 0x85, 0x2028, 0x2029: true
    case 0x0d: index + 1 == scalars.count || scalars[index + 1] != "\n"
    default: false
    }
  }

  private func position(of index: Int) -> Position {
    var position = Position.start
    for i in 0..<index {
      if endsLine(i) {
        position = Position(line: position.line + 1, column: 1)
      } else {
        position.column += 1
      }
    }
    return position
  }

  private func index(of position: Position) -> Int? {
    var line = 1
    var start = 0
    while line < position.line {
      guard let end = scalars[start...].indices.first(where: { endsLine($0) }) else { return nil }
      (line, start) = (line + 1, end + 1)
    }
    let index = start + position.column - 1
    return index >= start && index < scalars.count ? index : nil
  }

  /// Whether aliases of collections could multiply the text beyond the limit. An estimate from above, from the
  /// text alone, since it must be known before Yams composes: `n` aliases multiply it by 3^(n/3) at most.
  private func aliasesExplode() -> Bool {
    var collections: Set<String> = []
    var aliases: [String] = []
    var index = 0
    while index < scalars.count {
      let sigil = scalars[index]
      index += 1
      guard sigil == "&" || sigil == "*" else { continue }
      var name = ""
      while index < scalars.count,
        scalars[index].properties.isAlphabetic || "0123456789_-".unicodeScalars.contains(scalars[index])
      {
        name.unicodeScalars.append(scalars[index])
        index += 1
      }
      if sigil == "*" {
        aliases.append(name)
      } else if namesCollection(behind: index) {
        collections.insert(name)
      }
    }
    var bytes = scalars.count
    for _ in 0..<(aliases.count { collections.contains($0) } + 2) / 3 {
      bytes *= 3
      if bytes > Limits.expandedBytes { return true }
    }
    return false
  }

  /// Whether what follows an anchor may be more than one word.
  private func namesCollection(behind index: Int) -> Bool {
    guard let next = scalars[index...].first(where: { $0 != " " && $0 != "\t" }) else { return false }
    return !(next.properties.isAlphabetic || "0123456789\"'./".unicodeScalars.contains(next))
  }
}

extension Position {
  fileprivate init(_ mark: Mark) { self.init(line: mark.line, column: mark.column) }
}
