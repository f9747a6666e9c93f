import Foundation
import Logging

/// The daemon's log on stderr: one line a message, text or JSON, never on the packet path.
public struct NodeLog: LogHandler {
  public enum Format: String, Sendable, CaseIterable {
    case text, json
  }

  public var metadata: Logger.Metadata = [:]
  public var logLevel: Logger.Level = .info
  public var metadataProvider: Logger.MetadataProvider?
  private let label: String
  private let format: Format
  /// journald stamps lines itself.
  private let stamps = getenv("JOURNAL_STREAM") == nil

  public init(label: String, format: Format) {
    self.label = label
    self.format = format
  }

  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  public func log(event: LogEvent) {
    let all = metadata.merging(event.metadata ?? [:]) { $1 }
    let line: String
    switch format {
    case .text:
      let fields = all.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
      line = "\(stamps ? Self.stamp() + " " : "")\(event.level) \(label): \(event.message)\(fields)"
    case .json:
      var object = [
        "time": Self.stamp(), "level": "\(event.level)", "node": label, "message": "\(event.message)",
      ]
      for (key, value) in all { object[key] = "\(value)" }
      let data = try? JSONSerialization.data(withJSONObject: object, options: [.sortedKeys])
      line = data.map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
    FileHandle.standardError.write(Data((line + "\n").utf8))
  }

  private static func stamp() -> String { Date().formatted(.iso8601.time(includingFractionalSeconds: true)) }
}
