/// Who holds a certificate: a node or an operator, by name. Certificates say it in one URI.
public enum Role: Hashable, Sendable, CustomStringConvertible {
  case node(String)
  case `operator`(String)

  /// The kinds of names, as they stand in URIs.
  private static let kinds: KeyValuePairs<String, @Sendable (String) -> Role> = [
    "node": { .node($0) }, "operator": { .operator($0) },
  ]

  /// Reads `streamrouter://node/NAME` or `streamrouter://operator/NAME`; nil for anything else.
  public init?(uri: String) {
    for (kind, role) in Self.kinds {
      let prefix = "streamrouter://\(kind)/"
      guard uri.utf8.starts(with: prefix.utf8) else { continue }
      let name = String(uri.dropFirst(prefix.count))
      guard Self.isName(name) else { return nil }
      self = role(name)
      return
    }
    return nil
  }

  public var name: String {
    switch self {
    case .node(let name), .operator(let name): name
    }
  }

  /// What stands in the certificate.
  public var uri: String {
    switch self {
    case .node(let name): "streamrouter://node/\(name)"
    case .operator(let name): "streamrouter://operator/\(name)"
    }
  }

  public var description: String {
    switch self {
    case .node(let name): "node \(name)"
    case .operator(let name): "operator \(name)"
    }
  }

  /// Whether the text is a name: lower-case letters, digits and hyphens, no hyphen at either end, at most
  /// ``IdentityLimits/nameLength`` characters. The rule of node names in `Grammar.swift` of the room Topology, repeated
  /// because this room imports none of ours; a test holds the two together.
  public static func isName(_ text: String) -> Bool {
    let bytes = text.utf8
    let hyphen = UInt8(ascii: "-")
    guard let first = bytes.first, let last = bytes.last, bytes.count <= IdentityLimits.nameLength else {
      return false
    }
    return first != hyphen && last != hyphen
      && bytes.allSatisfy {
        $0 == hyphen || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
          || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
      }
  }

  /// Passes if the name is one.
  func checkName() throws(IdentityError) {
    guard Self.isName(name) else { throw .badName }
  }
}

extension Role: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let role = Role(uri: try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "no URI of a node or an operator")
    }
    self = role
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(uri)
  }
}
