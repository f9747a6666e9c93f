/// What was captured.
public struct CaptureReport: Hashable, Sendable, Codable {
  /// A moment at which a condition began to hold.
  public struct Trigger: Hashable, Sendable, Codable {
    /// Nanoseconds since 1970.
    public var timeNs: UInt64
    public var text: String
  }

  /// Triggers that a report names at most.
  public static let triggersLimit = 1000

  /// Those that are there, the oldest first.
  public var files: [String]
  /// Packets written, those of files that had to make room included.
  public var packets: UInt64
  /// Packets that the kernel's filter matched, and those for which there was no room in its buffer.
  public var matched: UInt64
  public var dropped: UInt64
  /// Packets that were to be kept for a trigger and for which there was not enough memory.
  public var evicted: UInt64
  public var triggers: [Trigger]

  public var text: String {
    var lines = ["wrote \(Figure.grouped(packets)) packets to \(files.joined(separator: ", "))"]
    for trigger in triggers { lines.append("  \(Figure.clock(timeNs: trigger.timeNs)) \(trigger.text)") }
    if dropped > 0 {
      lines.append(
        "  \(Figure.grouped(dropped)) packets found no room in the kernel's buffer and are not in the file")
    }
    if evicted > 0 {
      lines.append(
        "  memory was too small for \(Figure.grouped(evicted)) packets of the time to keep: see --memory")
    }
    return lines.joined(separator: "\n")
  }
}
