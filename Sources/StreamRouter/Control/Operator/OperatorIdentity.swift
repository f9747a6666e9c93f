import ControlAPI
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Identity
import Logging
import SystemPackage

/// Who an operator on another machine than the controller's is, in a folder of the user's own.
public struct OperatorIdentity: Sendable {
  /// Where the operator finds controllers.
  let places: ControllerPlaces
  private let current: CurrentIdentity

  /// The latest life of a certificate that is used as it is: in a day everyone who works has the trust bundle of a new
  /// phase, when the authority is exchanged.
  private static let oldSeconds: TimeInterval = 86_400

  /// `$XDG_CONFIG_HOME/streamrouter/operator`, else `~/.config/streamrouter/operator`.
  public static var standardFolder: FilePath {
    let environment = ProcessInfo.processInfo.environment
    let config =
      environment["XDG_CONFIG_HOME"].flatMap { $0.hasPrefix("/") ? FilePath($0) : nil }
      ?? FilePath(environment["HOME"] ?? "/").appending(".config")
    return config.appending("streamrouter").appending("operator")
  }

  /// Whether an operator has joined with this folder.
  public static func exists(in folder: FilePath) -> Bool {
    FileManager.default.fileExists(atPath: StatePaths(folder).controllerNote.string)
  }

  /// - Throws: ``IdentityError``, ``ControlError``: where nobody joined, or it is a node's.
  public init(folder: FilePath = standardFolder) throws {
    let paths = StatePaths(folder)
    guard let note = try DurableFile.read(paths.controllerNote, as: ControllerNote.self) else {
      throw ControlError.forbidden(
        "\(folder) holds no operator's certificate: 'streamrouter operator join' gets one with a token")
    }
    let identity = try Identity.load(from: paths.identity.string)
    if case .expired(let end) = identity.renewal(at: Date()) {
      throw ControlError.forbidden(
        "the certificate of \(identity.role) ended at \(end.formatted(.iso8601)): join again with a new token")
    }
    places = ControllerPlaces(
      note, path: paths.controllerNote, log: Logger(label: "operator") { _ in SwiftLogNoOpLogHandler() })
    current = CurrentIdentity(identity, path: paths.identity)
  }

  func security(_ refusal: RefusalNote) throws -> TLSSettings {
    try current.client(expecting: places.controller, refusal)
  }

  /// Renews a certificate that is older than a day. That it does not work is no matter: the next command tries again.
  ///
  /// - Parameter address: Which of the known controllers it is; nil: one that was named for this command.
  func renewWhereOld(over client: GRPCClient<HTTP2ClientTransport.Posix>, at address: ControllerAddress?) async
  {
    let age = Date().timeIntervalSince(current.identity.certificate.notBefore)
    if case .notDue = current.identity.renewal(at: Date()), age < Self.oldSeconds { return }
    let renewal = CertificateRenewal(
      current: current,
      sign: { request in
        let encoded = request.encoded
        var options = CallOptions.defaults
        options.timeout = .seconds(5)
        let reply = try await APICertificates.Client(wrapping: client).renew(
          .with { $0.request = Data(encoded) }, options: options)
        if let address { places.learn(reply.controllers, from: address) }
        return try CertificateRenewal.Signed(reply)
      }, log: Logger(label: "operator") { _ in SwiftLogNoOpLogHandler() })
    try? await renewal.renew()
  }
}
