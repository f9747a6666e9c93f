import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Synchronization

@testable import Identity

/// A server on a port of this machine that greets who got past the handshake, and clients for it.
final class Loopback: Sendable {
  static let greeting = "hello"

  private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  private let listener: any Channel
  private let roles = Greeted()

  /// What became of one client.
  struct Outcome: Sendable {
    /// Whether it got the greeting, which the server sends after its side of the handshake.
    var greeted: Bool
    var error: String?
  }

  /// - Parameter handler: makes the server's side of TLS, for each connection.
  init(_ handler: @escaping @Sendable () throws -> NIOSSLServerHandler) async throws {
    let greeted = roles
    listener = try await ServerBootstrap(group: group)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let tls = try handler()
          try channel.pipeline.syncOperations.addHandlers([tls, Greeter(tls, greeted)])
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
  }

  var port: Int { listener.localAddress?.port ?? 0 }

  /// Who was greeted; nil for a connection that showed no certificate.
  var greetedRoles: [Role?] { roles.all }

  func connect(_ handler: @escaping @Sendable () throws -> NIOSSLClientHandler) async throws -> Outcome {
    let done = group.any().makePromise(of: Outcome.self)
    let channel = try await ClientBootstrap(group: group)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandlers([handler(), GreetingReader(done)])
        }
      }
      .connect(host: "127.0.0.1", port: port).get()
    let outcome = try await done.futureResult.get()
    try? await channel.close()
    return outcome
  }

  /// Sends bytes that are no TLS, or nothing, and hangs up.
  func send(_ bytes: [UInt8]) async throws {
    let channel = try await ClientBootstrap(group: group).connect(host: "127.0.0.1", port: port).get()
    try? await channel.writeAndFlush(ByteBuffer(bytes: bytes))
    try? await channel.close()
  }

  func stop() async throws {
    try await listener.close()
    try await group.shutdownGracefully()
  }
}

/// Whom a server greeted, added from its event loop.
private final class Greeted: Sendable {
  private let roles = Mutex<[Role?]>([])
  func add(_ role: Role?) { roles.withLock { $0.append(role) } }
  var all: [Role?] { roles.withLock { $0 } }
}

private final class Greeter: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  private let tls: NIOSSLServerHandler
  private let greeted: Greeted

  init(_ tls: NIOSSLServerHandler, _ greeted: Greeted) {
    self.tls = tls
    self.greeted = greeted
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .handshakeCompleted = event as? TLSUserEvent {
      greeted.add(tls.peerValidatedCertificateChain.flatMap { try? RoleCertificate(validated: $0) }?.role)
      context.writeAndFlush(NIOAny(ByteBuffer(string: Loopback.greeting)), promise: nil)
    }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

private final class GreetingReader: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  private let done: EventLoopPromise<Loopback.Outcome>
  private var text = ""

  init(_ done: EventLoopPromise<Loopback.Outcome>) { self.done = done }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    text += String(buffer: unwrapInboundIn(data))
    if text == Loopback.greeting { done.succeed(.init(greeted: true)) }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    done.succeed(.init(greeted: false, error: "\(error)"))
    context.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    done.succeed(.init(greeted: false, error: "closed"))
  }
}
