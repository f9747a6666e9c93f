import GRPCCore

/// What a node or an operator hears where a call fails for a reason of the control plane's.
extension ControlError: RPCErrorConvertible {
  public var rpcErrorCode: RPCError.Code {
    switch self {
    case .notAtWork, .storeUnreachable, .unreachable: .unavailable
    case .damaged: .dataLoss
    default: .failedPrecondition
    }
  }

  public var rpcErrorMessage: String { description }
}
