import CStreamRouter

/// What the tables of engine sandbox hold. Those that are pinned keep the size they were made with.
public struct SandboxCapacity: Hashable, Sendable {
  public var relays: Int
  /// TCP connections that are known at once; one more takes the place of the longest silent.
  public var connections: Int

  public init(
    relays: Int = Int(SR_DEFAULT_RELAYS.rawValue), connections: Int = Int(SR_DEFAULT_CONNECTIONS.rawValue)
  ) {
    self.relays = relays
    self.connections = connections
  }
}
