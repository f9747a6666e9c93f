/// One thing that is wrong with a topology file: where, what, and what to write instead.
public struct Problem: Hashable, Sendable, Codable {
  /// The file as the user named it.
  public var file: String
  /// From 1; 0 where the problem is the file itself.
  public var line: Int
  /// From 1, counted in Unicode scalars; 0 where the problem is the file itself.
  public var column: Int
  public var message: String
  /// What to write or do instead.
  public var remedy: String

  public init(file: String, line: Int, column: Int, message: String, remedy: String) {
    self.file = file
    self.line = line
    self.column = column
    self.message = message
    self.remedy = remedy
  }
}

extension Problem: CustomStringConvertible {
  /// `file:line:column: error: message; remedy`, the form that editors and compilers share.
  public var description: String {
    let place = line > 0 ? "\(file):\(line):\(column)" : file
    return "\(place): error: \(message); \(remedy)"
  }
}

/// Why there is no topology.
public enum TopologyError: Error, Hashable, Sendable {
  /// The file could not be read. `reason` is the system's word for it.
  case unreadable(file: String, reason: String)
  /// The file was read and is wrong: every problem, in the order of the file, never empty.
  case invalid([Problem])

  /// What to tell the user, either way.
  public var problems: [Problem] {
    switch self {
    case .unreadable(let file, let reason):
      [
        Problem(
          file: file, line: 0, column: 0, message: "cannot be read: \(reason)",
          remedy: "name a readable topology file, or - for standard input")
      ]
    case .invalid(let problems): problems
    }
  }
}

extension TopologyError: CustomStringConvertible {
  /// One line for each problem.
  public var description: String { problems.map(\.description).joined(separator: "\n") }
}
