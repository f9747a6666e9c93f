import Foundation
import NIOCore
import NIOPosix
import Synchronization
import TestSupport

/// Passes connections on to a port of this machine, and closes some of them at the moment when an answer comes back: the
/// request was carried out, and who asked does not hear of it.
final class LossyProxy: Sendable {
  let port: UInt16
  private let channel: any Channel
  private let losses = Losses()

  final class Losses: Sendable {
    private let state: Mutex<(random: SeededRandom, lost: Int)> = Mutex((SeededRandom(seed: 1), 0))

    func seed(_ seed: Int) { state.withLock { $0.random = SeededRandom(seed: UInt64(seed)) } }
    var lost: Int { state.withLock { $0.lost } }

    /// Whether this answer is lost.
    func next() -> Bool {
      state.withLock { state in
        guard UInt8.random(in: 0..<8, using: &state.random) == 0 else { return false }
        state.lost += 1
        return true
      }
    }
  }

  init(to target: UInt16, seed: Int) throws {
    let losses = self.losses
    losses.seed(seed)
    let group = MultiThreadedEventLoopGroup.singleton
    channel = try ServerBootstrap(group: group)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { client in
        ClientBootstrap(group: client.eventLoop).connect(host: "127.0.0.1", port: Int(target)).flatMap {
          server in
          client.eventLoop.makeCompletedFuture {
            try client.pipeline.syncOperations.addHandler(Passing(to: server, losing: nil))
            try server.pipeline.syncOperations.addHandler(Passing(to: client, losing: losses))
          }
        }
      }
      .bind(host: "127.0.0.1", port: 0).wait()
    port = UInt16(channel.localAddress?.port ?? 0)
  }

  var lost: Int { losses.lost }

  func stop() { try? channel.close().wait() }

  /// One direction.
  private final class Passing: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let other: any Channel
    private let losses: Losses?

    init(to other: any Channel, losing losses: Losses?) {
      self.other = other
      self.losses = losses
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      if losses?.next() == true {
        context.close(promise: nil)
        return
      }
      other.writeAndFlush(unwrapInboundIn(data), promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { other.close(promise: nil) }
  }
}
