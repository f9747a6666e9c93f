import Identity
import Logging
import Synchronization

/// Decides about peers by what the authority's records say. Files are read for each handshake, so a revocation counts from
/// the next one on; shared records as they were at the latest look, which is at most a second old while etcd answers.
final class LiveVerifier: Sendable {
  /// What is known of the authority.
  struct Known: Sendable, Equatable {
    var trust: TrustBundle
    var revocations: Revocations
    /// Of the one that signs: joiners compare it with their token.
    var certificate: [UInt8]

    init(_ authority: AuthorityStore) throws {
      let found = try authority.load()
      trust = found.trust
      certificate = found.certificate
      revocations = try authority.revocations()
    }

    var verifier: PeerVerifier { PeerVerifier(trust: trust, revocations: revocations) }
  }

  /// nil: the records are shared.
  private let files: AuthorityStore?
  private let log: Logger
  private let latest: Mutex<(known: Known, verifier: PeerVerifier)>

  /// - Parameter files: Where the records are files.
  init(_ known: Known, files: AuthorityStore?, log: Logger) {
    self.files = files
    self.log = log
    latest = Mutex((known, known.verifier))
  }

  /// What was found at a look.
  func take(_ known: Known) { latest.withLock { if $0.known != known { $0 = (known, known.verifier) } } }

  func now() -> PeerVerifier {
    look()
    return latest.withLock { $0.verifier }
  }

  /// The certificate of the authority that signs, DER.
  var certificate: [UInt8] {
    look()
    return latest.withLock { $0.known.certificate }
  }

  /// Where the files cannot be read, the latest that could be counts.
  private func look() {
    guard let files else { return }
    do { take(try Known(files)) } catch {
      log.error("the authority cannot be read, so the revocations known before count: \(error)")
    }
  }
}
