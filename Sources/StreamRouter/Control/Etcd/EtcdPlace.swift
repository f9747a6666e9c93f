import GRPCNIOTransportHTTP2Posix
import Topology

/// Where etcd is, and which part of it belongs to an installation.
public struct EtcdPlace: Hashable, Sendable {
  /// Files for TLS, PEM.
  public struct Security: Hashable, Sendable {
    /// Who signed the members' certificates; nil: whom this machine trusts.
    public var authority: String?
    /// The controller's own, where etcd asks for one.
    public var certificate: String?
    public var key: String?

    public init(authority: String?, certificate: String?, key: String?) {
      self.authority = authority
      self.certificate = certificate
      self.key = key
    }
  }

  /// Installations in one etcd are told apart by this.
  public static let defaultInstallation = "default"

  let members: [ControllerAddress]
  let installation: String
  let security: Security?

  /// - Parameters:
  ///   - text: `etcd://HOST:PORT[,HOST:PORT...]`.
  ///   - installation: Letters, digits, `-`, `_` and `.`, at most 64.
  ///   - security: nil: without TLS.
  public init?(_ text: String, installation: String = defaultInstallation, security: Security? = nil) {
    guard text.hasPrefix("etcd://") else { return nil }
    var members: [ControllerAddress] = []
    for member in text.dropFirst(7).split(separator: ",", omittingEmptySubsequences: false) {
      // A controller's port is none of etcd's: it has to be said.
      guard let colon = member.lastIndex(of: ":"), UInt16(member[member.index(after: colon)...]) != nil,
        let address = ControllerAddress(String(member)), address.path == nil
      else { return nil }
      members.append(address)
    }
    guard !members.isEmpty, (1...64).contains(installation.utf8.count),
      installation.utf8.allSatisfy({
        [0x2d, 0x2e, 0x5f].contains($0) || (0x30...0x39).contains($0) || (0x61...0x7a).contains($0 | 0x20)
      })
    else { return nil }
    self.members = members
    self.installation = installation
    self.security = security
  }

  var transportSecurity: HTTP2ClientTransport.Posix.TransportSecurity {
    guard let security else { return .plaintext }
    return .tls(
      .defaults { config in
        if let authority = security.authority {
          config.trustRoots = .certificates([.file(path: authority, format: .pem)])
        }
        if let certificate = security.certificate, let key = security.key {
          config.certificateChain = [.file(path: certificate, format: .pem)]
          config.privateKey = .file(path: key, format: .pem)
        }
      })
  }
}

/// Where a controller keeps what is wanted.
public enum StoreChoice: Hashable, Sendable {
  /// In files of its own: there is one controller.
  case file
  /// In etcd: several controllers may run, and one is at work.
  case etcd(EtcdPlace)
}
