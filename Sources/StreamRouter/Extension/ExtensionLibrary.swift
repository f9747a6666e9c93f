import Foundation
import Topology

/// The built extensions of some folders: what a topology's names mean on this machine.
public struct ExtensionLibrary: Sendable {
  /// In the order in which they are looked through; the first object of a name counts.
  public let places: [String]
  public let objects: [ExtensionObject]
  /// Files that are no extension, or a damaged one, and why.
  public let flaws: [ExtensionError]

  /// Reads every built extension in these folders; a folder that is not there holds none.
  public init(places: [String]) {
    self.places = places
    var objects: [ExtensionObject] = []
    var flaws: [ExtensionError] = []
    for place in places {
      let names = ((try? FileManager.default.contentsOfDirectory(atPath: place)) ?? []).sorted()
      for name in names where name.hasSuffix(ExtensionObject.suffix) {
        do throws(ExtensionError) {
          let object = try ExtensionObject(path: place + "/" + name)
          if !objects.contains(where: { $0.manifest.name == object.manifest.name }) { objects.append(object) }
        } catch {
          flaws.append(error)
        }
      }
    }
    self.objects = objects
    self.flaws = flaws
  }

  /// Where the extensions of a topology file are looked for.
  public static func places(for file: String?) -> [String] {
    let folder = file.map { URL(fileURLWithPath: $0).deletingLastPathComponent().path }
    let own = folder.map { [$0, $0 + "/extensions"] } ?? []
    let chosen = ProcessInfo.processInfo.environment["STREAMROUTER_EXTENSIONS"] ?? ""
    return own + chosen.split(separator: ":").map(String.init)
      + ["/usr/local/lib/streamrouter/extensions", "/usr/lib/streamrouter/extensions"]
  }

  public var catalog: ExtensionCatalog { ExtensionCatalog(objects.map(\.manifest), places: places) }

  /// - Throws: ``ExtensionError`` where there is none, or only a damaged one.
  public func object(named name: String) throws(ExtensionError) -> ExtensionObject {
    if let object = objects.first(where: { $0.manifest.name == name }) { return object }
    for case .unreadable(let file, let reason, let remedy) in flaws
    where URL(fileURLWithPath: file).lastPathComponent == name + ExtensionObject.suffix {
      throw .unreadable(file: file, reason: reason, remedy: remedy)
    }
    throw .unreadable(
      file: name, reason: "no such extension is installed",
      remedy: "build it with 'streamrouter extension build' into one of \(places.joined(separator: ", "))")
  }
}

extension Topology {
  /// Reads and validates a file, its extensions checked against those that are installed for it.
  public static func loadWithExtensions(path: String) throws(TopologyError) -> Topology {
    let library = ExtensionLibrary(places: ExtensionLibrary.places(for: path == "-" ? nil : path))
    return try load(path: path, extensions: library.catalog)
  }
}
