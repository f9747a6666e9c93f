import GRPCCore

/// What a node or an operator hears where a call fails for a reason of the control plane's.
extension ControlError: RPCErrorConvertible {
  public var rpcErrorCode: RPCError.Code {
    switch self {
    // Not `unavailable`, which is what gRPC itself says of a controller that does not answer.
    case .notAtWork, .storeUnreachable: .aborted
    case .damaged: .dataLoss
    default: .failedPrecondition
    }
  }

  public var rpcErrorMessage: String { description }

  /// Who waits says who is at work, so that the caller goes there at once.
  public var rpcErrorMetadata: Metadata {
    guard case .notAtWork(let other?) = self else { return [:] }
    return [Self.atWorkKey: "\(other.address)"]
  }

  private static let atWorkKey = "streamrouter-controller-at-work"

  /// Where the controller at work is, as one that waits says.
  static func atWork(_ error: RPCError) -> ControllerAddress? {
    for case .string(let text) in error.metadata[atWorkKey] { return ControllerAddress(text) }
    return nil
  }
}
