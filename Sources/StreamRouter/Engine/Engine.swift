import Topology

/// Where relays run: carries out ``Relay`` values and keeps their account.
///
/// Each call either does all it names or throws and leaves everything as it was, so that the node's reconciler
/// can undo what went before.
public protocol Engine: Actor {
  /// Which engine this is.
  nonisolated var choice: EngineChoice { get }

  /// Starts a relay, or adopts the one that a former daemon left running under the same stream and node.
  func add(_ relay: Relay) throws

  /// Replaces what runs for a stream without losing a packet where the ingress stays the same. Counters go on.
  func replace(_ old: Relay, with new: Relay) throws

  /// Stops a relay; packets to its ingress are no longer touched.
  func remove(_ relay: Relay) throws

  /// The account of every relay that runs here, in no particular order. `engineReason` is left nil, since the node
  /// knows the reason, but for what has become of the relay here.
  func snapshots() throws -> [RelaySnapshot]

  /// What the datapath saw, relays or not, by the names of ``Counter/node``; empty where there is no such view.
  func datapath() throws -> [String: UInt64]

  /// Releases what belongs to the daemon. What outlives the daemon by design stays.
  func stop()
}

extension Engine {
  /// Comes back once the engine has time for it.
  func answer() {}
}

/// Why an engine cannot do what was asked. The description says what failed, on what, and what the user can do.
public enum EngineError: Error, Hashable, Sendable, CustomStringConvertible {
  /// This machine, kernel or user cannot run the engine: another case than a failure.
  case unsupported(engine: EngineChoice, reason: String, remedy: String)
  /// A call failed. `detail` may hold a verifier or kernel log.
  case failed(engine: EngineChoice, operation: String, subject: String, errno: Int32, detail: String)
  /// More relays than the tables hold.
  case full(engine: EngineChoice, capacity: Int)
}
