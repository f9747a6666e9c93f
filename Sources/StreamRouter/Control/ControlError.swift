/// Why the control plane cannot do what it was asked. The description says what failed, on what, and what to do.
public enum ControlError: Error, Hashable, Sendable, CustomStringConvertible {
  case missingExtension(name: String)
  case unreadable(path: String, reason: String)
  case unwritable(path: String, reason: String)
  /// A question about a revision that is not the one at hand.
  case otherRevision(asked: UInt64, here: UInt64)
  case otherNode(asked: String, here: String)
  /// A part that this node cannot run.
  case refused(node: String, reason: String)
  case silent(node: String, seconds: Int)
  case gone(node: String)
  case alreadyRuns(what: String, socket: String)
  case unreachable(controller: String, reason: String)
  case nothingDeployed
  /// What the controller says of a request.
  case asked(String)
  case forbidden(String)
  case unknownQuestion
  /// The next step of an exchange of the authority would shut these out.
  case notReady([String])
  case unknownRevision(UInt64, kept: ClosedRange<UInt64>?)

  public var description: String {
    switch self {
    case .missingExtension(let name):
      "extension \(name) is not installed; build it with 'streamrouter extension build', or set STREAMROUTER_EXTENSIONS"
    case .unreadable(let path, let reason): "cannot read \(path): \(reason)"
    case .unwritable(let path, let reason): "cannot write \(path): \(reason)"
    case .otherRevision(let asked, let here):
      "revision \(asked) was asked for, and \(here == 0 ? "none" : "revision \(here)") is prepared"
    case .otherNode(let asked, let here): "a part of node \(asked) came to node \(here)"
    case .refused(let node, let reason): "node \(node) refuses: \(reason)"
    case .silent(let node, let seconds): "node \(node) did not answer within \(seconds) s"
    case .gone(let node): "node \(node) is not connected"
    case .alreadyRuns(let what, let socket): "\(what) answers on \(socket) already; end it first"
    case .unreachable(let controller, let reason):
      "the controller at \(controller) cannot be reached: \(reason)"
    case .nothingDeployed: "nothing is deployed"
    case .asked(let reason), .forbidden(let reason): reason
    case .unknownQuestion:
      "the controller asks what this version does not know; install the controller's version here"
    case .notReady(let names):
      "\(names.prefix(8).joined(separator: ", "))\(names.count > 8 ? " and \(names.count - 8) more" : "") did not fetch the next authority yet: nodes that are connected do within seconds, operators with their next command; revoke who is gone, or --force it and let them join again"
    case .unknownRevision(let number, let kept):
      "there is no revision \(number)"
        + (kept.map { "; kept are \($0.lowerBound) to \($0.upperBound) ('streamrouter history')" } ?? "")
    }
  }
}
