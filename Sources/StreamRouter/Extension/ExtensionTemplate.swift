import Foundation

/// The file that `extension new` writes.
public enum ExtensionTemplate {
  /// Writes a new file; one that is there stays as it is.
  public static func write(to path: String) throws {
    let type = URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent
    guard path.hasSuffix(".swift"), type.wholeMatch(of: /[A-Z][A-Za-z0-9]{0,29}/) != nil else {
      throw ExtensionError.unreadable(
        file: path, reason: "is no name for an extension",
        remedy: "write a Swift type's name and .swift, such as DropByte.swift")
    }
    guard !FileManager.default.fileExists(atPath: path) else {
      throw ExtensionError.unreadable(file: path, reason: "is there already", remedy: "choose another name")
    }
    try """
    import RelayExtension

    /// Forwards every packet and counts those with the RTP marker.
    @main struct \(type): RelayExtension {
      static var summary: StaticString { "counts packets with the RTP marker" }

      // Stored properties are parameters, which the topology may set: integers and Bool, each with a default.
      var minimumLength: UInt16 = 0

      // What the extension counts shows up in the account by these names.
      enum Counter: UInt32, RelayCounter { case marked }

      func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
        guard packet.length >= Int(minimumLength) else { return .drop }
        if let rtp = packet.rtp, rtp.marker { context.count(.marked) }
        return .forward
      }
    }

    """.write(toFile: path, atomically: true, encoding: .utf8)
  }
}

extension ExtensionObject {
  /// One line.
  public var summary: String {
    "\(manifest.name) \(manifest.version)" + (manifest.summary.isEmpty ? "" : ", \(manifest.summary)")
      + " [\(content.prefix(12))]"
  }

  public func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(
      decoding: try encoder.encode(
        Record(manifest: manifest, state: [], machine: nativeMachine, content: content)), as: UTF8.self)
  }

  /// What it says of itself, for people.
  public var text: String {
    var lines = [summary]
    for parameter in manifest.parameters {
      let range = parameter.range.map { ", \($0.lowerBound) to \($0.upperBound)" } ?? ""
      lines.append(
        "  parameter \(parameter.name): \(parameter.type.rawValue)\(range), default \(parameter.default)"
          + (parameter.summary.isEmpty ? "" : "; \(parameter.summary)"))
    }
    for counter in manifest.counters { lines.append("  counter \(counter)") }
    if let histogram = manifest.histogram { lines.append("  histogram \(histogram)") }
    for (word, functions) in [("needs", manifest.needs), ("likes", manifest.likes)] where !functions.isEmpty {
      lines.append("  \(word) \(functions.map(\.rawValue).joined(separator: ", ")) of the node")
    }
    lines.append(
      "  \(manifest.stateBytes) bytes of state for each relay, interface version \(manifest.abi), native code for \(nativeMachine)"
    )
    lines.append("  content \(content)")
    return lines.joined(separator: "\n")
  }
}
