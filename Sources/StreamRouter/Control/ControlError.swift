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
  /// What the controller says of a request that it cannot answer at this moment.
  case notNow(String)
  case forbidden(String)
  case unknownQuestion
  /// The next step of an exchange of the authority would shut these out.
  case notReady([String])
  /// Several controllers run, and another one deploys; nil: none does at this moment.
  case notAtWork(other: ControllerAtWork?)
  /// What this controller knows of a deploy counts no more.
  case superseded(revision: UInt64)
  /// The authority's records are in etcd, and a controller is to run without.
  case recordsElsewhere(note: String, store: String)
  case storeUnreachable(members: String, reason: String)
  case storeRefused(reason: String)
  case damaged(key: String, reason: String)
  case unknownRevision(UInt64, kept: ClosedRange<UInt64>?)

  /// Whether another controller sees to what this one was about to do.
  var isOthersTurn: Bool {
    switch self {
    case .notAtWork, .superseded: true
    default: false
    }
  }

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
    case .asked(let reason), .notNow(let reason), .forbidden(let reason): reason
    case .unknownQuestion:
      "the controller asks what this version does not know; install the controller's version here"
    case .notReady(let names):
      "\(names.prefix(8).joined(separator: ", "))\(names.count > 8 ? " and \(names.count - 8) more" : "") did not fetch the next authority yet: nodes that are connected do within seconds, operators with the next command that they give after a day; revoke who is gone, or --force it and let them join again"
    case .notAtWork(let other):
      other.map { "the controller at work is \($0), and this one waits; ask that one" }
        ?? "this controller is not at work, as it does not hold its lease in etcd; try again in some seconds"
    case .recordsElsewhere(let note, let store):
      "the authority's tokens and certificates are in \(store), as \(note) says; run the controller with --store \(store)"
    case .superseded(let revision): "the deploy of revision \(revision) was ended by another controller"
    case .storeUnreachable(let members, let reason):
      "etcd at \(members) does not answer (\(reason)); streams go on, and nothing can be deployed until it does"
    case .storeRefused(let reason): "etcd refuses: \(reason)"
    case .damaged(let key, let reason):
      "the value of \(key) in etcd is damaged: \(reason); put it back from a backup ('etcdctl snapshot')"
    case .unknownRevision(let number, let kept):
      "there is no revision \(number)"
        + (kept.map { "; kept are \($0.lowerBound) to \($0.upperBound) ('streamrouter history')" } ?? "")
    }
  }
}
