import Crypto
import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import Testing
import X509

@testable import Identity
@testable import StreamRouter

/// Who does not get past the handshake of a controller that runs: no byte of the API answers him.
@Suite(.serialized) struct HandshakeTests {
  /// How a client comes.
  enum Stranger: String, CaseIterable, Sendable {
    case none, expired, otherAuthority, selfSigned, revoked, oldTLS
  }

  @Test("only a certificate of ours gets past the handshake", arguments: Stranger.allCases)
  func stranger(_ kind: Stranger) async throws {
    let here = try ControllerFixture(created: Date(timeIntervalSinceNow: -50 * 86_400))
    defer { here.remove() }
    let other = try ControllerFixture()
    defer { other.remove() }
    let edge = try here.identity(.node("edge"))
    try await here.run {
      var configuration = try Self.configuration(edge)
      // What gets in shows that the others are refused for the reason that is tried.
      #expect(try await Self.answered(here.port, configuration))
      switch kind {
      case .none: (configuration.certificateChain, configuration.privateKey) = ([], nil)
      case .expired:
        configuration = try Self.configuration(
          here.identity(.node("edge"), signed: Date(timeIntervalSinceNow: -40 * 86_400)))
      case .otherAuthority: configuration = try Self.configuration(other.identity(.node("edge")))
      case .selfSigned:
        let key = IdentityKey()
        configuration = try Self.configuration([Self.selfSigned(key)], key)
      case .revoked: #expect(try here.enrollment.revoke(.node("edge")) == 1)
      case .oldTLS:
        (configuration.minimumTLSVersion, configuration.maximumTLSVersion) = (.tlsv12, .tlsv12)
      }
      #expect(try await !Self.answered(here.port, configuration))
      let reasons: [Stranger: String] = [
        .expired: "the certificate of node edge expired at", .otherAuthority: "is not signed by our authority",
        .selfSigned: "is not signed by our authority", .revoked: "of node edge is revoked",
      ]
      if let reason = reasons[kind] { #expect(here.log.contains(reason), "\(here.log.all)") }
      #expect(try await here.operators.status().nodes.isEmpty)
    }
  }

  @Test("who lets in those that join answers them, and knows nothing else")
  func joinPort() async throws {
    let here = try ControllerFixture()
    defer { here.remove() }
    let edge = try here.identity(.node("edge"))
    try await here.run {
      let security = try CurrentIdentity(edge, path: here.folder).client(
        expecting: .node(ControllerFixture.name), RefusalNote())
      await #expect(throws: (any Error).self) {
        try await withOperator(here.join, security) { try await $0.status(.init()) }
      }
    }
  }

  private static func configuration(_ identity: Identity) throws -> TLSConfiguration {
    try configuration([identity.certificate.encoded], identity.key)
  }

  private static func configuration(_ chain: [[UInt8]], _ key: IdentityKey) throws -> TLSConfiguration {
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.certificateVerification = .none
    configuration.applicationProtocols = ["h2"]
    configuration.certificateChain = try chain.map {
      .certificate(try NIOSSLCertificate(bytes: $0, format: .der))
    }
    configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(key.pem.utf8), format: .pem))
    return configuration
  }

  private static func selfSigned(_ key: IdentityKey) throws -> [UInt8] {
    let name = try DistinguishedName { CommonName("edge") }
    return try Certificate(
      version: .v3, serialNumber: Serial.random(), publicKey: .init(key.p256.publicKey),
      notValidBefore: Date(timeIntervalSinceNow: -60), notValidAfter: Date(timeIntervalSinceNow: 86_400),
      issuer: name, subject: name, signatureAlgorithm: .ecdsaWithSHA256,
      extensions: Certificate.Extensions {
        try ExtendedKeyUsage([.clientAuth, .serverAuth])
        SubjectAlternativeNames([.uniformResourceIdentifier("streamrouter://node/edge")])
      }, issuerPrivateKey: .init(key.p256)
    ).encoded()
  }

  /// Whether the API says a word: the settings of HTTP/2, which a server sends first.
  static func answered(_ port: Int, _ configuration: TLSConfiguration) async throws -> Bool {
    let group = MultiThreadedEventLoopGroup.singleton
    let done = group.any().makePromise(of: Bool.self)
    let context = try NIOSSLContext(configuration: configuration)
    let channel = try await ClientBootstrap(group: group)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandlers([
            try NIOSSLClientHandler(context: context, serverHostname: nil), FirstWord(done),
          ])
        }
      }
      .connect(host: "127.0.0.1", port: port).get()
    let preface = ByteBuffer(string: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    try? await channel.writeAndFlush(preface)
    let answered = try await done.futureResult.get()
    try? await channel.close()
    return answered
  }
}

/// Used on its channel's event loop only.
private final class FirstWord: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  private let done: EventLoopPromise<Bool>

  init(_ done: EventLoopPromise<Bool>) { self.done = done }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) { done.succeed(true) }
  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    done.succeed(false)
    context.close(promise: nil)
  }
  func channelInactive(context: ChannelHandlerContext) { done.succeed(false) }
}
