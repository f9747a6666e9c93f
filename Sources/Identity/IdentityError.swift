import Foundation

/// What failed in this room, on what, and what to do. Why a peer is not let in is ``PeerRefusal``.
public enum IdentityError: Error, Hashable, Sendable {
  /// A system call failed on a file.
  case file(path: String, action: String, errno: Int32)
  /// A file that is there and cannot be what it should be.
  case damaged(path: String, reason: String)
  /// A key that others than its owner may read.
  case tooOpen(path: String, mode: UInt32)
  /// An authority is to be made where there is one.
  case authorityExists(path: String)
  case noAuthority(path: String)
  /// Records are shared, and the key of the authority that signs is not on this machine.
  case keyElsewhere(path: String)
  /// Records are to be shared where there are none.
  case noRecords(path: String)
  /// Others changed the shared records all the time.
  case contended
  /// The authority ends before a certificate of the shortest life would.
  case authorityEnds(Date)
  /// This machine has no certificate yet.
  case noIdentity(path: String)
  /// A certificate that is not for the key it came for.
  case keyMismatch(path: String)
  /// Not the name of a node or an operator. The text itself is not repeated: it may come from anyone.
  case badName
  case badRequest(reason: String)
  case badCertificate(reason: String)
  case lifetime(Duration)
  case tooManyCertificates(Role)
  case token(TokenDefect)
  case tokenLifetime(Duration)
  case tooManyTokens
  /// What a joiner is told, whatever the cause: unknown, used, expired or another's. The audit knows which.
  case tokenNotValid(name: String)
  case noRotation
  case rotationNotSwitched
  case rotationUnfinished
  /// Names whose certificates the former authority signed and that hold none of the new one.
  case notRenewed([Role])

  /// What is wrong with a text that should be a token. None repeats the text.
  public enum TokenDefect: Hashable, Sendable {
    case prefix
    case length(part: String, is: Int, shouldBe: Int)
    case parts(Int)
    case characters(part: String)
  }
}

extension IdentityError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .file(let path, let action, let errno):
      "cannot \(action) \(path): \(String(cString: strerror(errno)))"
    case .damaged(let path, let reason):
      "\(path) is damaged: \(reason); restore it from a copy, or join again with `streamrouter node join`"
    case .tooOpen(let path, let mode):
      "\(path) has mode \(String(mode, radix: 8)), so others may read the key; chmod 600 it, and think about a new key"
    case .authorityExists(let path): "\(path) holds an authority already; nothing was changed"
    case .noAuthority(let path): "\(path) holds no authority; make one with `streamrouter node init`"
    case .keyElsewhere(let path):
      """
      \(path) is missing: it is the key of the authority that the shared records name, and nothing can be signed here \
      without it; copy the file from the machine that made it ('node init', 'authority rotate begin'), mode 600
      """
    case .noRecords(let path):
      """
      the records of the authority in \(path) were shared in another place, and are not in this one; name the former \
      place, or restore it from a backup
      """
    case .contended: "others change the authority's records all the time; try again"
    case .authorityEnds(let date):
      "the authority ends at \(date.inWords), too soon for a new certificate; rotate it"
    case .noIdentity(let path): "\(path) holds no certificate; get one with `streamrouter node join`"
    case .keyMismatch(let path):
      "the certificate in \(path) is not for the key there; join again with `streamrouter node join`"
    case .badName:
      """
      the name is not one of a node or an operator: lower-case letters, digits and hyphens between them, at most \
      \(IdentityLimits.nameLength)
      """
    case .badRequest(let reason): "the certificate request is refused: \(reason)"
    case .badCertificate(let reason): "not a certificate of StreamRouter: \(reason)"
    case .lifetime(let lifetime):
      """
      a certificate cannot last \(lifetime.inWords); choose from \(IdentityLimits.lifetime.lowerBound.inWords) to \
      \(IdentityLimits.lifetime.upperBound.inWords)
      """
    case .tooManyCertificates(let role):
      """
      \(role) holds \(IdentityLimits.certificatesPerRole) certificates that are valid; revoke it, or wait for them to \
      expire
      """
    case .token(let defect): "not a join token: \(defect); copy it again, whole"
    case .tokenLifetime(let lifetime):
      """
      a token cannot last \(lifetime.inWords); choose from \(IdentityLimits.tokenLifetime.lowerBound.inWords) to \
      \(IdentityLimits.tokenLifetime.upperBound.inWords)
      """
    case .tooManyTokens:
      "\(IdentityLimits.tokens) tokens are valid already; remove some, or wait for them to expire"
    case .tokenNotValid(let name): "the token is not valid for the name \(name): ask for a new one"
    case .noRotation: "no rotation of the authority has begun; begin one first"
    case .rotationNotSwitched: "the next authority does not sign yet; switch to it before you finish"
    case .rotationUnfinished: "the rotation before is not finished; finish it first"
    case .notRenewed(let roles):
      """
      certificates of the former authority are in use by \(roles.prefix(8).map(\.description).joined(separator: ", "))\
      \(roles.count > 8 ? " and \(roles.count - 8) more" : ""); wait for their renewal, revoke them, or force it and \
      let them join again
      """
    }
  }
}

extension IdentityError.TokenDefect: CustomStringConvertible {
  public var description: String {
    switch self {
    case .prefix: "it does not begin with \(JoinToken.prefix)-"
    case .parts(let count): "it has \(count) parts instead of 3"
    case .length(let part, let length, let expected):
      "its \(part) has \(length) characters instead of \(expected)\(length < expected ? ", it is cut short" : "")"
    case .characters(let part): "its \(part) has characters other than a-z and 2-7, or its last one is wrong"
    }
  }
}
