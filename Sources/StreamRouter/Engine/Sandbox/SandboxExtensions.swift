import CStreamRouter
import Foundation
import SystemPackage
import Topology

/// Which extensions stand in which of the datapath's places, and which relay has which record of their tables.
///
/// An extension is known by its content. It stays in its place while a relay uses it, and after that until another one
/// needs to be linked in.
struct SandboxExtensions {
  /// One extension of a relay's chain.
  struct Use: Hashable {
    var slot: UInt32
    var instance: UInt32
  }

  private var placements: [UInt32: ExtensionPlacement] = [:]
  private var used: Set<Use> = []
  /// Copies of what is linked in, for the next daemon; nil keeps none.
  private let store: FilePath?

  init(store: FilePath?) { self.store = store }

  var all: [ExtensionPlacement] { placements.values.sorted { $0.slot < $1.slot } }

  // MARK: What a former daemon left

  /// Takes up the places that these uses name, from the pins of a node and the copies of a former daemon.
  mutating func adopt(_ uses: [Use], pins: String) throws {
    let folder = pins + "/extensions"
    for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
      guard let found = ExtensionPlacement.parse(pinName: name), uses.contains(where: { $0.slot == found.slot })
      else {
        try? FileManager.default.removeItem(atPath: folder + "/" + name)
        continue
      }
      do {
        guard let store else { throw CocoaError(.fileNoSuchFile) }
        let object = try ExtensionObject(path: Self.copy(of: found.content, in: store).string)
        guard object.content == found.content else { throw CocoaError(.fileReadCorruptFile) }
        placements[found.slot] = ExtensionPlacement(object: object, slot: found.slot)
      } catch {
        throw EngineError.unsupported(
          engine: .sandbox,
          reason:
            "an extension that runs here since before (content \(found.content.prefix(12))) cannot be taken over: \(error)",
          remedy: "'streamrouter node remove' stops the relays and starts anew")
      }
    }
    if let missing = uses.first(where: { placements[$0.slot] == nil }) {
      throw EngineError.unsupported(
        engine: .sandbox, reason: "the tables of the extension in place \(missing.slot) are gone",
        remedy: "'streamrouter node remove' stops the relays and starts anew")
    }
    used = Set(uses)
  }

  // MARK: Places

  /// The places that are wanted for a chain: those that stand and, after them, new ones that must be linked in.
  ///
  /// - Throws: ``EngineError`` where all places are taken.
  func placing(_ objects: [ExtensionObject]) throws -> (
    standing: [ExtensionPlacement], new: [ExtensionPlacement]
  ) {
    let busy = Set(used.map(\.slot))
    // What no relay uses and this chain does not want makes room, when anything is linked in at all.
    let kept = all.filter { placed in
      busy.contains(placed.slot) || objects.contains { $0.content == placed.object.content }
    }
    var taken = Set(kept.map(\.slot))
    var new: [ExtensionPlacement] = []
    for object in objects where !(kept + new).contains(where: { $0.object.content == object.content }) {
      guard let slot = (0..<SR_EXTENSION_SLOTS.rawValue).first(where: { !taken.contains($0) }) else {
        throw EngineError.failed(
          engine: .sandbox, operation: "placing", subject: "extension \(object.manifest.name)", errno: 0,
          detail:
            "all \(SR_EXTENSION_SLOTS.rawValue) places for extensions are taken; use fewer versions at once")
      }
      taken.insert(slot)
      new.append(ExtensionPlacement(object: object, slot: slot))
    }
    return (new.isEmpty ? all : kept, new)
  }

  /// Notes what is linked in now, and keeps copies for the next daemon.
  mutating func placed(_ now: [ExtensionPlacement], pins: String?) throws {
    let former = all
    placements = Dictionary(uniqueKeysWithValues: now.map { ($0.slot, $0) })
    for slot in placements.keys { placements[slot]?.isProven = true }
    for placement in now { try keepCopy(placement.object) }
    for gone in former where placements[gone.slot]?.object.content != gone.object.content {
      if let pins { try? FileManager.default.removeItem(atPath: "\(pins)/extensions/\(gone.pinName)") }
      guard let store, !placements.values.contains(where: { $0.object.content == gone.object.content }) else {
        continue
      }
      try? FileManager.default.removeItem(atPath: Self.copy(of: gone.object.content, in: store).string)
    }
  }

  func keepCopy(_ object: ExtensionObject) throws {
    guard let store else { return }
    let copy = Self.copy(of: object.content, in: store)
    guard !FileManager.default.fileExists(atPath: copy.string) else { return }
    try FileManager.default.createDirectory(atPath: store.string, withIntermediateDirectories: true)
    try Data(object.image).write(to: URL(fileURLWithPath: copy.string), options: .atomic)
  }

  private static func copy(of content: String, in store: FilePath) -> FilePath {
    store.appending(content + ExtensionObject.suffix)
  }

  // MARK: Records

  func placement(of content: String) -> ExtensionPlacement? {
    placements.values.first { $0.object.content == content }
  }

  func object(in slot: UInt32) -> ExtensionObject? { placements[slot]?.object }

  /// A record that no relay has; nil: all are taken.
  mutating func take(in placement: ExtensionPlacement) -> Use? {
    for instance in 0..<UInt32(placement.instances) {
      let use = Use(slot: placement.slot, instance: instance)
      if used.insert(use).inserted { return use }
    }
    return nil
  }

  mutating func release(_ uses: some Sequence<Use>) { used.subtract(uses) }
}
