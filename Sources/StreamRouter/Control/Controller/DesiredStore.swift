/// Where the wanted topology is kept: its revisions, which of them is in force, and the deploy that is under way.
///
/// Whoever opens a deploy holds the lock until he closes it: there is one at a time.
protocol DesiredStore: Sendable {
  /// The number of the revision in force, 0 for none.
  func current() async throws -> UInt64
  /// The number after the latest one given.
  func nextNumber() async throws -> UInt64
  func revision(_ number: UInt64) async throws -> Revision?
  /// The latest first.
  func revisions() async throws -> [Recorded]
  /// The deploy under way, of whoever.
  func deployment() async throws -> Deployment?

  /// Sees whether this controller is the one that deploys.
  ///
  /// - Throws: ``DeployRefusal`` where another one is.
  func claim() async throws
  /// Opens a deploy.
  ///
  /// - Throws: ``DeployRefusal`` where another is under way, or was since its number was asked for.
  func open(_ deployment: Deployment) async throws
  /// Notes a further phase of the deploy that is open.
  ///
  /// - Throws: ``ControlError/superseded(revision:)`` where it is open no more.
  func note(_ deployment: Deployment) async throws
  /// Closes it: its revision is in force from here on, or the former one still is. Both in one step.
  ///
  /// - Throws: ``ControlError/superseded(revision:)`` where it is open no more.
  func close(_ deployment: Deployment, outcome: Recorded.Outcome) async throws
}

/// A revision in the history, and what became of it.
struct Recorded: Hashable, Sendable, Codable {
  enum Outcome: String, Hashable, Sendable, Codable {
    case kept
    /// It was in force and was not confirmed.
    case unconfirmed
    /// It never was in force.
    case refused
  }

  var revision: Revision
  var outcome: Outcome
  /// Why it was refused.
  var reason: String?
}

/// Why a deploy is not carried out. Everything is as it was, but on the nodes that are named as unclear.
struct DeployRefusal: Error, Hashable, Sendable, CustomStringConvertible {
  enum Reason: Hashable, Sendable {
    case invalid, busy, unreachable, nodeRefused, failed
  }

  var reason: Reason
  var description: String
  var unclear: [String] = []

  init(_ reason: Reason, _ description: String, unclear: [String] = []) {
    self.reason = reason
    self.description = description
    self.unclear = unclear
  }

  static func busy(with other: Deployment) -> DeployRefusal {
    DeployRefusal(
      .busy,
      "\(other.revision.who) deploys revision \(other.revision.number) since \(Deployer.time(other.revision.timeNs))"
    )
  }

  static func outrun(by latest: UInt64) -> DeployRefusal {
    DeployRefusal(.busy, "revision \(latest) was deployed meanwhile; try again, to see what changes over it")
  }
}
