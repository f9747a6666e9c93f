/// The extensions that are installed: what the names and parameters in a topology are checked against.
public struct ExtensionCatalog: Hashable, Sendable {
  /// By the extensions' names.
  public var manifests: [String: ExtensionManifest]
  /// Extensions whose files are there and cannot be used, by name.
  public var flaws: [String: Flaw] = [:]
  /// Where the extensions were looked for, for messages.
  public var places: [String]

  /// Why an extension cannot be used, with its file, and what to do about it.
  public struct Flaw: Hashable, Sendable {
    public var reason: String
    public var remedy: String

    public init(reason: String, remedy: String) {
      self.reason = reason
      self.remedy = remedy
    }
  }

  /// Of two manifests of one name the first counts, as the first directory of a path does.
  public init(_ manifests: [ExtensionManifest], places: [String] = []) {
    self.manifests = Dictionary(manifests.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    self.places = places
  }

  public subscript(name: String) -> ExtensionManifest? { manifests[name] }

  /// What to do about an extension that is not installed.
  func remedy(for name: String) -> String {
    let install = "install it" + (places.isEmpty ? "" : " in " + Words.choice(places))
    guard !manifests.isEmpty else { return install + ": no extension was found" }
    let instead = Words.instead(of: name, known: manifests.keys.sorted())
    let looked = places.isEmpty ? "" : " (looked in \(places.joined(separator: ", ")))"
    return instead.hasSuffix("?") ? instead + looked : instead + ", or " + install
  }
}
