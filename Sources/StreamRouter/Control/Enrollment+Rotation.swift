import Foundation
import Identity

extension Enrollment {
  /// The steps of exchanging the authority, in their order.
  public enum RotationStep: String, CaseIterable, Sendable { case begin, `switch`, finish }

  /// How far an exchange of the authority is.
  public struct RotationState: Hashable, Sendable {
    public var phase: RotationPhase
    /// Since when it is.
    public var since: Date
    /// Who has not fetched what the next step takes for granted.
    public var behind: [Role]
  }

  public func rotation() throws -> RotationState {
    let found = try authority.load()
    return RotationState(phase: found.phase, since: found.since, behind: try authority.behind(at: Date()))
  }

  /// Makes a step. A controller that runs follows within a second, and has the nodes follow that are connected.
  ///
  /// - Parameter force: Also where someone is behind, who must join again then.
  /// - Throws: ``IdentityError``.
  public func rotate(_ step: RotationStep, force: Bool) throws {
    switch step {
    case .begin: try authority.beginRotation(at: Date())
    case .finish: try authority.finishRotation(at: Date(), force: force)
    case .switch:
      let state = try rotation()
      guard force || state.phase != .begun || state.behind.isEmpty else {
        throw ControlError.notReady(state.behind.map(\.description))
      }
      try authority.switchRotation(at: Date())
    }
  }
}
