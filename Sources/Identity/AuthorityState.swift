import Foundation

/// Which authorities there are and which of them signs: one file, so that a crash leaves it before or after a step. The
/// keys and certificates have their own files, written before they are named here and removed after.
struct AuthorityState: Hashable, Sendable, Codable {
  /// The one that signs.
  var signing: CertificateDigest
  /// The one that others trust already and that will sign after the switch.
  var next: CertificateDigest?
  /// The one that signed before, trusted until the rotation is finished.
  var former: CertificateDigest?
  /// When it became so.
  var since: Date

  static let file = "authority.json"

  /// In the order of the trust bundle.
  var trusted: [CertificateDigest] { [signing] + [next, former].compactMap { $0 } }

  static func read(_ directory: StateDirectory) throws(IdentityError) -> AuthorityState {
    guard let state = try directory.value(AuthorityState.self, in: file) else {
      throw .noAuthority(path: directory.path)
    }
    return state
  }

  static func certificateFile(_ digest: CertificateDigest) -> String {
    "ca-\(digest.bytes.prefix(8).hexadecimal).pem"
  }

  static func keyFile(_ digest: CertificateDigest) -> String {
    "ca-\(digest.bytes.prefix(8).hexadecimal).key.pem"
  }
}

/// How far the exchange of the authority is.
public enum RotationPhase: String, Hashable, Sendable {
  /// One authority, nothing is being exchanged.
  case settled
  /// The next one is in the trust bundle, and does not sign yet.
  case begun
  /// The next one signs; the former is still trusted.
  case switched
}

/// The authority of an installation as it was when it was read.
public struct Authority: Sendable {
  let state: AuthorityState
  let signing: CertificateAuthority
  /// What every node and operator trusts, the one that signs first.
  public let trust: TrustBundle

  public var phase: RotationPhase {
    if state.former != nil { return .switched }
    return state.next == nil ? .settled : .begun
  }

  /// Since when the phase is what it is.
  public var since: Date { state.since }

  /// The certificate of the authority that signs, DER: a controller shows it to joiners after its own.
  public var certificate: [UInt8] { signing.encoded }

  static func read(_ directory: StateDirectory) throws(IdentityError) -> Authority {
    let state = try AuthorityState.read(directory)
    var certificates: [[UInt8]] = []
    for digest in state.trusted { certificates.append(try certificate(digest, directory)) }
    let keyFile = AuthorityState.keyFile(state.signing)
    let keyPath = directory.path(of: keyFile)
    guard let pem = try directory.read(keyFile, secret: true) else {
      throw .damaged(path: keyPath, reason: "it is missing")
    }
    do {
      let key = try IdentityKey(pem: String(decoding: pem, as: UTF8.self))
      return Authority(
        state: state, signing: try CertificateAuthority(key: key, encoded: certificates[0]),
        trust: try TrustBundle(certificates: certificates))
    } catch {
      throw .damaged(path: keyPath, reason: "it is not the key of the authority")
    }
  }

  private static func certificate(
    _ digest: CertificateDigest, _ directory: StateDirectory
  ) throws(IdentityError) -> [UInt8] {
    let file = AuthorityState.certificateFile(digest)
    guard let pem = try directory.read(file) else {
      throw .damaged(path: directory.path(of: file), reason: "it is missing")
    }
    guard let certificates = try? PEM.certificates(String(decoding: pem, as: UTF8.self)),
      certificates.count == 1,
      CertificateDigest(of: certificates[0]) == digest
    else {
      throw .damaged(path: directory.path(of: file), reason: "it is not the certificate that was written")
    }
    return certificates[0]
  }
}
