import Identity
import Logging
import Synchronization

/// Decides about peers by what the authority's files say now: a revocation counts from the next handshake on.
final class LiveVerifier: Sendable {
  private let authority: AuthorityStore
  private let log: Logger
  private let latest: Mutex<PeerVerifier>

  init(_ authority: AuthorityStore, log: Logger) throws {
    self.authority = authority
    self.log = log
    latest = Mutex(try authority.verifier())
  }

  /// Where the files cannot be read, the latest that could be counts.
  func now() -> PeerVerifier {
    do {
      let verifier = try authority.verifier()
      latest.withLock { $0 = verifier }
      return verifier
    } catch {
      log.error("the authority cannot be read, so the revocations known before count: \(error)")
      return latest.withLock { $0 }
    }
  }
}
