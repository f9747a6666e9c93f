import Foundation

/// Why a peer is not let in, for the log of the side that refuses; the peer itself only sees the handshake fail.
public enum PeerRefusal: Error, Hashable, Sendable {
  case noCertificate
  case tooManyCertificates(Int)
  case unreadable
  /// Signed by another authority, by an intermediate one, or by itself.
  case notSignedByUs
  case expired(Role, at: Date)
  /// By how much it comes too early.
  case notYetValid(Role, by: Duration)
  /// It is the authority that is expired or not yet valid.
  case authorityOutOfTime(from: Date, to: Date)
  case revoked(Role, Serial)
  case noIdentity
  case severalIdentities(Int)
  case wrongUse
  case wrongRole(expected: Role, presented: Role)
  /// Who joins: none of the presented certificates is the one that the token names.
  case notTheTokensAuthority
  /// Who joins: the peer has a valid certificate, but not a controller's.
  case mayNotAdmit(Role)
}

extension PeerRefusal: CustomStringConvertible {
  public var description: String {
    switch self {
    case .noCertificate: "the peer shows no certificate"
    case .tooManyCertificates(let count):
      "the peer shows \(count) certificates, more than \(IdentityLimits.presentedCertificates)"
    case .unreadable: "the peer's certificate cannot be read"
    case .notSignedByUs: "the peer's certificate is not signed by our authority; it must join this installation"
    case .expired(let role, let date):
      "the certificate of \(role) expired at \(date.inWords); compare the clocks of both machines, else it must join again with a new token"
    case .notYetValid(let role, let early):
      "the certificate of \(role) becomes valid in \(early.inWords); compare the clocks of both machines"
    case .authorityOutOfTime(let from, let to):
      "the authority's own certificate is valid from \(from.inWords) to \(to.inWords) only; check the clock"
    case .revoked(let role, let serial):
      "the certificate \(serial) of \(role) is revoked; it must join again with a new token"
    case .noIdentity: "the peer's certificate does not name a node or an operator"
    case .severalIdentities(let count): "the peer's certificate has \(count) names instead of one"
    case .wrongUse: "the peer's certificate is not for both sides of TLS"
    case .wrongRole(let expected, let presented):
      "the peer is \(presented), and \(expected) was expected; check the address"
    case .notTheTokensAuthority:
      """
      the peer does not show the authority that the token names: the address leads elsewhere, or the authority was \
      exchanged since; ask for a new token
      """
    case .mayNotAdmit(let role): "the peer is \(role), which may not admit joiners: the address leads elsewhere"
    }
  }
}
