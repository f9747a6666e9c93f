/// Why something could not be done on the machines of a lab. The description says on which, in which step, and what to do.
public struct HostsError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Kind: Hashable, Sendable {
    /// No answer from the machine, or none that can be trusted.
    case unreachable
    /// The user may not do there what has to be done.
    case permission
    /// The machine is not what this lab needs, or is somebody else's.
    case unsuited
    case failed
  }

  public struct Failure: Hashable, Sendable {
    public var node: String
    public var destination: String
    /// What was being done: `check`, `install`, ...
    public var step: String
    public var kind: Kind
    public var reason: String
  }

  /// In the order of the topology's nodes, never empty.
  public var failures: [Failure]
  /// What holds of the lab now, and what to do next.
  public var remedy: String

  public init(_ failures: [Failure], remedy: String) {
    self.failures = failures
    self.remedy = remedy
  }

  public var description: String {
    (failures.map { "\($0.step) on \($0.node) (\($0.destination)): \($0.reason)" } + [remedy]).joined(
      separator: "\n")
  }

  /// Nothing but rights was missing.
  public var isPermission: Bool { failures.allSatisfy { $0.kind == .permission } }
  /// Nothing but an answer was missing.
  public var isUnreachable: Bool { failures.allSatisfy { $0.kind == .unreachable } }
}
