import Foundation
import Topology

/// The built extensions that are found along a path of folders; of two of one name the first counts.
///
/// An extension's file bears its name: `police` is `police.srx`.
public struct ExtensionLibrary: Sendable {
  /// Folders, in the order in which they are looked through; one that does not exist is empty.
  public let places: [String]

  public init(places: [String]) { self.places = places }

  /// Where extensions are looked for: beside the topology file, in `extensions` beside it, in each folder of
  /// `$STREAMROUTER_EXTENSIONS` (separated by colons), and where packages install them.
  ///
  /// - Parameter topology: The topology file's path, where there is one.
  public static func places(
    for topology: String?, environment: [String: String] = ProcessInfo.processInfo.environment
  ) -> [String] {
    var places: [String] = []
    if let topology, topology != "-" {
      let folder = URL(fileURLWithPath: topology).deletingLastPathComponent()
      places += [folder.path, folder.appendingPathComponent("extensions").path]
    }
    places += (environment["STREAMROUTER_EXTENSIONS"] ?? "").split(separator: ":").map(String.init)
    return places + ["/usr/local/lib/streamrouter/extensions", "/usr/lib/streamrouter/extensions"]
  }

  /// Reads an extension.
  ///
  /// - Throws: ``ExtensionError/unreadable(file:reason:remedy:)``: none is there, or the first is damaged.
  public func object(named name: String) throws(ExtensionError) -> ExtensionObject {
    for place in places {
      let path = Self.path(of: name, in: place)
      if access(path, F_OK) == 0 { return try Self.read(path, name) }
    }
    throw .unreadable(
      file: name + ExtensionObject.suffix, reason: "no extension \(name) is installed",
      remedy: "put it into \(places.last ?? "a folder of the search path"), or set STREAMROUTER_EXTENSIONS")
  }

  /// A file of the library: what it holds, or why that cannot be used.
  public struct Entry: Sendable {
    public var path: String
    public var found: Result<ExtensionObject, ExtensionError>
    /// A file of the same name stands earlier in the path, and that one counts.
    public var isHidden: Bool
  }

  /// All built extensions along the path, damaged ones among them.
  public var entries: [Entry] {
    var seen: Set<String> = []
    return places.flatMap { place in
      let files = (try? FileManager.default.contentsOfDirectory(atPath: place)) ?? []
      return files.filter { $0.hasSuffix(ExtensionObject.suffix) }.sorted().map { file in
        let name = String(file.dropLast(ExtensionObject.suffix.count))
        let path = Self.path(of: name, in: place)
        let found = Result { () throws(ExtensionError) in try Self.read(path, name) }
        return Entry(path: path, found: found, isHidden: !seen.insert(name).inserted)
      }
    }
  }

  /// Why files along the path cannot be used.
  public var flaws: [ExtensionError] {
    entries.compactMap { if case .failure(let flaw) = $0.found { flaw } else { nil } }
  }

  /// What the names and parameters of a topology are checked against.
  public var catalog: ExtensionCatalog {
    // As `object(named:)`: what a damaged file hides is not taken in its place.
    let entries = entries.filter { !$0.isHidden }
    var catalog = ExtensionCatalog(entries.compactMap { try? $0.found.get().manifest }, places: places)
    for case .failure(.unreadable(let file, let reason, let remedy)) in entries.map(\.found) {
      let name = URL(fileURLWithPath: file).deletingPathExtension().lastPathComponent
      catalog.flaws[name] = .init(reason: "\(file) \(reason)", remedy: remedy)
    }
    return catalog
  }

  private static func path(of name: String, in place: String) -> String {
    (place.hasSuffix("/") ? place : place + "/") + name + ExtensionObject.suffix
  }

  private static func read(_ path: String, _ name: String) throws(ExtensionError) -> ExtensionObject {
    let object = try ExtensionObject(path: path)
    guard object.manifest.name == name else {
      throw .unreadable(
        file: path, reason: "holds extension \(object.manifest.name)",
        remedy: "rename it to \(object.manifest.name)\(ExtensionObject.suffix)")
    }
    return object
  }
}

extension ExtensionLibrary {
  /// One row for each file, and what is wrong with those that cannot be used.
  public var table: String {
    let entries = entries
    guard !entries.isEmpty else { return "" }
    var rows = [["name", "version", "parameters", "summary", "file"]]
    for entry in entries {
      guard let object = try? entry.found.get() else { continue }
      let manifest = object.manifest
      rows.append([
        manifest.name, manifest.version,
        manifest.parameters.isEmpty ? "-" : manifest.parameters.map(\.name).joined(separator: ", "),
        manifest.summary.isEmpty ? "-" : manifest.summary, entry.path + (entry.isHidden ? " (hidden)" : ""),
      ])
    }
    return AlignedColumns.lines(rows).joined(separator: "\n")
  }

  /// One JSON document: the extensions, each with its file, and the flaws.
  public func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let found = entries.compactMap { entry in
      (try? entry.found.get()).map { object in
        Listing.Item(
          file: entry.path, hidden: entry.isHidden, content: object.content, machine: object.nativeMachine,
          manifest: object.manifest)
      }
    }
    let listing = Listing(extensions: found, flaws: flaws.map(\.description), places: places)
    return String(decoding: try encoder.encode(listing), as: UTF8.self)
  }

  private struct Listing: Encodable {
    struct Item: Encodable {
      var file: String
      var hidden: Bool
      var content: String
      var machine: String
      var manifest: ExtensionManifest
    }
    var extensions: [Item]
    var flaws: [String]
    var places: [String]
  }
}

extension Topology {
  /// Reads and validates a file, its extensions checked against those that are installed for it.
  public static func loadWithExtensions(path: String) throws(TopologyError) -> Topology {
    let library = ExtensionLibrary(places: ExtensionLibrary.places(for: path))
    return try load(path: path, extensions: library.catalog)
  }
}
