/// Why a benchmark cannot run, or a result not be read.
public enum BenchError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What forwards did not start: what it said.
  case notReady(way: String, message: String)
  /// Something that this machine does not have, or does not permit.
  case needs(String)
  /// An argument that cannot be.
  case usage(String)
  case nothingArrived(String)
  /// A step of a measurement, and what was wrong.
  case failed(String)
  case unreadable(file: String, reason: String)

  public var description: String {
    switch self {
    case .notReady(let way, let message): "\(way) did not start: \(message)"
    case .needs(let what), .usage(let what), .failed(let what): what
    case .nothingArrived(let what): "nothing arrived at the sink: \(what); the figure would be meaningless"
    case .unreadable(let file, let reason): "\(file): \(reason)"
    }
  }

  /// Whether the way cannot be measured at all, and not just where it was tried.
  var endsWay: Bool {
    if case .nothingArrived = self { return false }
    return true
  }

  /// The reason alone, where the way is named beside it.
  var reason: String {
    if case .notReady(_, let message) = self { return "did not start: \(message)" }
    return description
  }
}
