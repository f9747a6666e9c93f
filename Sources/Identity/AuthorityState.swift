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
  private let key: Result<CertificateAuthority, IdentityError>
  /// What every node and operator trusts, the one that signs first.
  public let trust: TrustBundle

  public var phase: RotationPhase {
    if state.former != nil { return .switched }
    return state.next == nil ? .settled : .begun
  }

  /// Since when the phase is what it is.
  public var since: Date { state.since }

  /// The certificate of the authority that signs, DER: a controller shows it to joiners after its own.
  public let certificate: [UInt8]

  /// The authority that signs.
  /// - Throws: ``IdentityError/keyElsewhere(path:)``, where another machine made it and its key was not brought here.
  var signing: CertificateAuthority { get throws(IdentityError) { try key.get() } }

  static func read(_ directory: StateDirectory) throws(IdentityError) -> Authority {
    let state = try AuthorityState.read(directory)
    var certificates: [[UInt8]] = []
    for digest in state.trusted { certificates.append(try certificate(digest, directory)) }
    let key: Result<CertificateAuthority, IdentityError>
    do throws(IdentityError) {
      key = .success(try self.key(state.signing, certificates[0], directory))
    } catch {
      // Who shares the records follows them without it, and cannot sign.
      guard directory.draft != nil else { throw error }
      key = .failure(error)
    }
    return Authority(
      state: state, key: key, trust: try TrustBundle(certificates: certificates), certificate: certificates[0])
  }

  /// The authority with this certificate, by its key.
  static func key(
    _ digest: CertificateDigest, _ certificate: [UInt8], _ directory: StateDirectory
  ) throws(IdentityError) -> CertificateAuthority {
    let file = AuthorityState.keyFile(digest)
    let path = directory.path(of: file)
    guard let pem = try directory.read(file, secret: true) else {
      throw directory.draft == nil ? .damaged(path: path, reason: "it is missing") : .keyElsewhere(path: path)
    }
    do {
      let key = try IdentityKey(pem: String(decoding: pem, as: UTF8.self))
      return try CertificateAuthority(key: key, encoded: certificate)
    } catch {
      throw .damaged(path: path, reason: "it is not the key of the authority")
    }
  }

  static func certificate(
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
