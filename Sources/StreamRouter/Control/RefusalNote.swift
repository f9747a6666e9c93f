import GRPCCore
import Identity
import Synchronization

/// Why a connection failed, which gRPC does not say.
final class RefusalNote: Sendable {
  private let noted = Mutex<String?>(nil)

  func note(_ reason: PeerRefusal) { noted.withLock { $0 = "\(reason)" } }

  func noteSilence(of time: Duration) {
    let text =
      "it did not answer for \(time.components.seconds) s; see whether it runs, and whether the network between lets through"
    noted.withLock { $0 = $0 ?? text }
  }

  /// The cause in words: what the check of the other side found, else what the transport says.
  func text(of error: any Error) -> String {
    noted.withLock { $0 } ?? Self.text(of: error)
  }

  static func text(of error: any Error) -> String {
    guard let error = error as? RPCError else { return "\(error)" }
    // How gRPC begins where a connection fails again; what comes behind says why.
    let message = error.message.replacing(
      "Channel is in a transient failure state and 'wait for ready' isn't enabled. ", with: "")
    // What a side sees that the other one does not let in: TLS 1.3 is done for it before its certificate is looked at.
    if message.contains("before completing the HTTP/2 connection preface") {
      return
        "it ends the connection at the handshake, and its log says why; where a certificate was revoked or has expired, join again with a new token"
    }
    guard error.code == .unavailable, let cause = error.cause else { return message }
    return "\(message) (\(cause))"
  }
}
