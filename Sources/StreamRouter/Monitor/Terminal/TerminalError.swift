import SystemPackage

/// Why the live view cannot use its terminal.
public enum TerminalError: Error, Hashable, Sendable, CustomStringConvertible {
  case failed(operation: String, errno: Int32)
  /// The terminal was closed under the monitor.
  case gone

  public var description: String {
    switch self {
    case .failed(let operation, let errno):
      "terminal: \(operation) failed: \(Errno(rawValue: errno)); use --once for a table without a live view"
    case .gone:
      "terminal: closed while the monitor ran"
    }
  }
}
