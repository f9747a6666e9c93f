import Foundation
import Logging

/// The daemon's log on stderr: one line a message, text or JSON, never on the packet path.
///
/// Where stderr is journald's, each line begins with its priority (sd-daemon(3)), which journald takes off, and has no
/// time, which journald adds.
public struct NodeLog: LogHandler {
  public enum Format: String, Sendable, CaseIterable {
    case text, json
  }

  public var metadata: Logger.Metadata = [:]
  public var logLevel: Logger.Level = .info
  public var metadataProvider: Logger.MetadataProvider?
  private let label: String
  private let format: Format
  private let isJournal: Bool

  public init(label: String, format: Format, isJournal: Bool = Self.stderrIsJournal) {
    self.label = label
    self.format = format
    self.isJournal = isJournal
  }

  /// Whether journald reads stderr: JOURNAL_STREAM names its device and inode, and a child may have another stderr.
  public static let stderrIsJournal: Bool = {
    var status = stat()
    guard fstat(STDERR_FILENO, &status) == 0 else { return false }
    return ProcessInfo.processInfo.environment["JOURNAL_STREAM"] == "\(status.st_dev):\(status.st_ino)"
  }()

  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  public func log(event: LogEvent) {
    FileHandle.standardError.write(Data(text(event.level, event.message, event.metadata).utf8))
  }

  /// What is written for a message, with the end of its line.
  func text(
    _ level: Logger.Level, _ message: Logger.Message, _ fields: Logger.Metadata?, at time: Date = Date()
  ) -> String {
    let all = metadata.merging(fields ?? [:]) { $1 }
    let stamp = isJournal ? nil : time.formatted(.iso8601.time(includingFractionalSeconds: true))
    var text: String
    switch format {
    case .text:
      let fields = all.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
      text = "\(stamp.map { $0 + " " } ?? "")\(level) \(label): \(message)\(fields)"
    case .json:
      var object = ["level": "\(level)", "node": label, "message": "\(message)"]
      object["time"] = stamp
      for (key, value) in all { object[key] = "\(value)" }
      let data = try? JSONSerialization.data(withJSONObject: object, options: [.sortedKeys])
      text = data.map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
    if isJournal {
      // A verifier's log has many lines, each of which is an entry of its own to journald.
      text = text.split(separator: "\n", omittingEmptySubsequences: false)
        .map { "<\(Self.priority(level))>\($0)" }.joined(separator: "\n")
    }
    return text + "\n"
  }

  /// As syslog(3) numbers it.
  private static func priority(_ level: Logger.Level) -> Int {
    switch level {
    case .trace, .debug: 7
    case .info: 6
    case .notice: 5
    case .warning: 4
    case .error: 3
    case .critical: 2
    }
  }
}
