/// A value of a YAML file and where it stands: the only form in which the decoder sees YAML.
struct YAMLValue {
  enum Content {
    /// The text, and whether it was written without quotes.
    case scalar(String, plain: Bool)
    case sequence([YAMLValue])
    /// In the order of the file; no key twice.
    case mapping([(key: YAMLKey, value: YAMLValue)])
  }

  var content: Content
  var position: Position

  /// What an error calls the value.
  var kind: String {
    switch content {
    case .scalar(let text, let plain): plain && Self.nulls.contains(text) ? "nothing" : Words.quote(text)
    case .sequence: "a list"
    case .mapping: "a mapping"
    }
  }

  var isNull: Bool {
    if case .scalar(let text, plain: true) = content { return Self.nulls.contains(text) }
    return false
  }

  private static let nulls: Set<String> = ["", "~", "null", "Null", "NULL"]
}

/// The key of a mapping and where it stands.
struct YAMLKey {
  var text: String
  var position: Position
}

/// A place in a file: line and column from 1, columns in Unicode scalars.
struct Position: Hashable, Comparable, Sendable {
  var line: Int
  var column: Int

  static let start = Position(line: 1, column: 1)

  static func < (a: Position, b: Position) -> Bool { (a.line, a.column) < (b.line, b.column) }
}
