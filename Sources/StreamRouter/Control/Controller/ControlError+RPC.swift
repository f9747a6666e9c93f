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
}
