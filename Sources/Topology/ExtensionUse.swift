/// One extension in a stream's chain: which, with what settings, and at which hops.
public struct ExtensionUse: Hashable, Sendable {
  /// 1 to 32 of a-z, 0-9 and -.
  public var name: String
  /// By the parameters' names; what is not set has the extension's default.
  public var settings: [String: ParameterValue]
  public var at: HopChoice

  public init(name: String, settings: [String: ParameterValue] = [:], at: HopChoice = .first) {
    self.name = name
    self.settings = settings
    self.at = at
  }
}

/// Which hops of a stream's way.
public enum HopChoice: Hashable, Sendable {
  /// The hop where the stream enters.
  case first
  case all
  /// The hops on these nodes.
  case nodes([String])
}

/// One extension that a ``Relay`` runs on each packet.
public struct RelayExtensionUse: Hashable, Sendable, Codable {
  public var name: String
  /// As in ``ExtensionUse``.
  public var settings: [String: ParameterValue]
  /// SHA-256 of the built extension, in hex: another build is another extension. nil until the node has found it.
  public var content: String?

  public init(name: String, settings: [String: ParameterValue] = [:], content: String? = nil) {
    self.name = name
    self.settings = settings
    self.content = content
  }
}

extension RelayExtensionUse: CustomStringConvertible {
  /// `thin@0f3c9a12 {everyNth: 3, payloadType: 96}`.
  public var description: String {
    let name = self.name + (content.map { "@\($0.prefix(8))" } ?? "")
    guard !settings.isEmpty else { return name }
    let words = settings.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
    return "\(name) {\(words.joined(separator: ", "))}"
  }
}

extension Topology {
  /// The names of all extensions of all streams, sorted, each once.
  public var extensionNames: [String] {
    Set(streams.flatMap { $0.extensions.map(\.name) }).sorted()
  }
}
