import Foundation
import Topology

/// Runs extensions on packet vectors in every engine that this machine can run, and tells what differs: from the
/// vectors, and between the engines.
public struct ExtensionTest: Sendable {
  /// One thing that is not as it should be.
  public struct Failure: Hashable, Sendable, CustomStringConvertible {
    public var `case`: String
    /// Where in the file: the packet's place in the case and its line; nil: the account at the end of the case.
    public var packet: String?
    /// `bpf`, `native`, or `bpf and native` where they disagree with each other.
    public var engine: String
    public var expected: String
    public var came: String

    public var description: String {
      "case '\(self.case)', \(packet ?? "at its end"), \(engine): expected \(expected), came \(came)"
    }
  }

  public private(set) var failures: [Failure] = []
  public private(set) var cases = 0
  public private(set) var packets = 0
  /// The engines that ran.
  public private(set) var engines: [String] = []
  /// Why an engine did not run.
  public private(set) var skipped: String?

  /// Which files of vectors are run on which objects: several objects and one file belong together, otherwise each
  /// object has its own vectors.
  ///
  /// - Throws: ``ExtensionError/unreadable(file:reason:remedy:)`` where an object has none.
  public static func parts(
    of objects: [String], vectors place: String?
  ) throws(ExtensionError) -> [(objects: [String], vectors: String)] {
    var isFolder: ObjCBool = false
    if objects.count > 1, let place, FileManager.default.fileExists(atPath: place, isDirectory: &isFolder),
      !isFolder.boolValue
    {
      return [(objects, place)]
    }
    return try objects.map { object throws(ExtensionError) in ([object], try vectors(of: object, at: place)) }
  }

  /// The vectors of an object: in a folder, `NAME.vectors.yaml`, or as the source's name has it
  /// (`DejitterMark.vectors.yaml` for `dejitter-mark.srx`).
  ///
  /// - Parameter place: A file of vectors or a folder; nil: beside the object.
  /// - Throws: ``ExtensionError/unreadable(file:reason:remedy:)`` where there are none.
  static func vectors(of object: String, at place: String?) throws(ExtensionError) -> String {
    let url = URL(fileURLWithPath: object)
    var isFolder: ObjCBool = false
    if let place {
      let exists = FileManager.default.fileExists(atPath: place, isDirectory: &isFolder)
      if !exists || !isFolder.boolValue { return place }
    }
    let folder = place ?? (object.contains("/") ? url.deletingLastPathComponent().relativePath : ".")
    let stem = url.deletingPathExtension().lastPathComponent
    let type = stem.split(separator: "-").map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    let names = [stem, type].map { "\($0).vectors.yaml" }
    guard let name = names.first(where: { FileManager.default.fileExists(atPath: folder + "/" + $0) }) else {
      throw .unreadable(
        file: object, reason: "has no vectors: neither \(names[0]) nor \(names[1]) is in \(folder)",
        remedy: "write them there, or name a file or a folder with --vectors")
    }
    return folder + "/" + name
  }

  /// - Parameter objects: Those that the vectors' cases name, each of another name; a chain may name one twice.
  /// - Throws: ``ExtensionError``: vectors that cannot be read, or an extension that the verifier refuses.
  public static func run(_ objects: [ExtensionObject], vectors path: String) throws -> ExtensionTest {
    try run(objects, VectorReader.read(path: path, for: objects.map(\.manifest)))
  }

  static func run(_ objects: [ExtensionObject], _ vectors: ExtensionVectors) throws -> ExtensionTest {
    var test = ExtensionTest()
    test.cases = vectors.cases.count
    test.packets = vectors.cases.reduce(0) { $0 + $1.packets.count }
    var sandbox: [VectorCaseOutcome]?
    if let obstacle = SandboxVectors.obstacle(to: objects.map(\.manifest)) {
      test.skipped = "the kernel's part did not run: \(obstacle)"
    } else {
      // First: an extension that the verifier refuses may never end when it runs here.
      sandbox = try SandboxVectors.run(vectors, on: objects)
      test.engines.append("bpf")
    }
    let native = try NativeVectors.run(vectors, on: objects)
    test.engines.append("native")
    let manifests = objects.map(\.manifest)
    for (place, entry) in vectors.cases.enumerated() {
      if let sandbox { test.compare(sandbox[place], with: entry, "bpf", manifests) }
      test.compare(native[place], with: entry, "native", manifests)
      if let sandbox { test.compare(sandbox[place], native[place], entry, manifests) }
    }
    return test
  }

  // MARK: With the vectors

  private mutating func compare(
    _ outcome: VectorCaseOutcome, with entry: ExtensionVectors.Case, _ engine: String,
    _ manifests: [ExtensionManifest]
  ) {
    for (packet, came) in zip(entry.packets, outcome.packets) {
      if let (expected, found) = Self.difference(packet.expected, came, isRTP: packet.isRTP) {
        failures.append(
          Failure(
            case: entry.name, packet: packet.place, engine: engine,
            expected: expected, came: found))
      }
    }
    func end(_ what: String, _ expected: UInt64, _ came: UInt64?) {
      guard expected != came else { return }
      failures.append(
        Failure(
          case: entry.name, packet: nil, engine: engine, expected: "\(what) \(expected)",
          came: came.map { "\($0)" } ?? "none"))
    }
    for (place, (use, account)) in zip(entry.chain, outcome.accounts).enumerated() {
      let owner = Self.owner(place, in: entry, manifests)
      if let counters = use.counters {
        for (place, name) in manifests[use.object].counters.enumerated() {
          end("counter \(name)\(owner)", counters[name] ?? 0, account.counters[place])
        }
      }
      if let histogram = use.histogram {
        end("values in the histogram\(owner)", histogram.values, account.histogram.reduce(0, +))
        if let sum = histogram.sum { end("a sum of the histogram\(owner)", sum, account.histogramSum) }
      }
    }
  }

  /// Whose account it is, where there are several.
  private static func owner(
    _ place: Int, in entry: ExtensionVectors.Case, _ manifests: [ExtensionManifest]
  ) -> String {
    guard entry.chain.count > 1 else { return "" }
    return " of \(manifests[entry.chain[place].object].name) (\(place + 1) of \(entry.chain.count))"
  }

  /// What was expected and what came, as far as they differ; nil where they do not.
  private static func difference(_ expected: VectorOutcome, _ came: VectorOutcome, isRTP: Bool) -> (
    String, String
  )? {
    guard expected.verdict == came.verdict else { return ("\(expected.verdict)", "\(came.verdict)") }
    if let flaw = came.flaw { return ("a packet in order", flaw) }
    guard expected.datagram == came.datagram else {
      guard expected.datagram.count == came.datagram.count else {
        return ("\(expected.datagram.count) bytes", "\(came.datagram.count)")
      }
      let differing = expected.datagram.indices.filter { expected.datagram[$0] != came.datagram[$0] }
      let range = differing[0]...differing[differing.count - 1]
      let place =
        range.count == 1 ? "byte \(range.lowerBound)" : "bytes \(range.lowerBound)-\(range.upperBound)"
      let name = isRTP ? fieldName(range) : ""
      return ("\(place)\(name) \(hex(expected.datagram[range]))", hex(came.datagram[range]))
    }
    return expected.dscp == came.dscp ? nil : ("DSCP \(expected.dscp)", "\(came.dscp)")
  }

  private static func fieldName(_ range: ClosedRange<Int>) -> String {
    let fields: KeyValuePairs = [
      1...1: "marker and payload type", 2...3: "sequence", 4...7: "timestamp", 8...11: "ssrc",
    ]
    return fields.first { $0.key.contains(range.lowerBound) && $0.key.contains(range.upperBound) }
      .map { " (\($0.value))" } ?? ""
  }

  private static func hex(_ bytes: ArraySlice<UInt8>) -> String {
    bytes.prefix(32).hex(separator: " ") + (bytes.count > 32 ? " ..." : "")
  }

  // MARK: With each other

  mutating func compare(
    _ sandbox: VectorCaseOutcome, _ native: VectorCaseOutcome, _ entry: ExtensionVectors.Case,
    _ manifests: [ExtensionManifest]
  ) {
    func disagree(_ packet: String?, _ sandbox: String, _ native: String) {
      failures.append(
        Failure(
          case: entry.name, packet: packet, engine: "bpf and native disagree", expected: "in bpf \(sandbox)",
          came: "in native \(native)"))
    }
    for (place, packet) in entry.packets.enumerated() {
      if let (one, other) = Self.difference(
        sandbox.packets[place], native.packets[place], isRTP: packet.isRTP)
      {
        disagree(packet.place, one, other)
      }
    }
    for (place, (sandbox, native)) in zip(sandbox.accounts, native.accounts).enumerated() {
      let owner = Self.owner(place, in: entry, manifests)
      let names = manifests[entry.chain[place].object].counters
      for (name, (sandbox, native)) in zip(names, zip(sandbox.counters, native.counters))
      where sandbox != native {
        disagree(nil, "counter \(name)\(owner) \(sandbox)", "\(native)")
      }
      if sandbox.histogram != native.histogram || sandbox.histogramSum != native.histogramSum {
        disagree(
          nil, "a histogram\(owner) with the sum \(sandbox.histogramSum)",
          "\(native.histogramSum)" + (sandbox.histogramSum == native.histogramSum ? " in other buckets" : ""))
      }
    }
  }
}
