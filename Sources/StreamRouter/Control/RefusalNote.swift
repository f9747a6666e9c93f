import GRPCCore
import Identity
import Synchronization

/// Why a handshake failed, which gRPC does not say.
final class RefusalNote: Sendable {
  private let noted = Mutex<PeerRefusal?>(nil)

  func note(_ reason: PeerRefusal) { noted.withLock { $0 = reason } }

  var isNoted: Bool { noted.withLock { $0 != nil } }

  /// The cause in words: what the check of the other side found, else what the transport says.
  func text(of error: any Error) -> String {
    noted.withLock { $0 }.map { "\($0)" } ?? Self.text(of: error)
  }

  static func text(of error: any Error) -> String {
    guard let error = error as? RPCError else { return "\(error)" }
    // How gRPC begins where a connection fails again; what comes behind says why.
    let message = error.message.replacing(
      "Channel is in a transient failure state and 'wait for ready' isn't enabled. ", with: "")
    guard error.code == .unavailable, let cause = error.cause else { return message }
    return "\(message) (\(cause))"
  }
}
