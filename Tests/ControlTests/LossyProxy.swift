import Foundation
import NIOCore
import NIOPosix
import Synchronization
import TestSupport

/// Passes connections on to a port of this machine, and closes some of them at the moment when an answer comes back: the
/// request was carried out, and who asked does not hear of it. Or it is cut, as a link is: nothing passes any more.
final class LossyProxy: Sendable {
  let port: UInt16
  private let channel: any Channel
  private let losses: Losses

  private struct State {
    var random: SeededRandom
    /// How many answers go by for each that is lost; 0: none is lost.
    var every: Int
    var lost = 0
    var isCut = false
  }

  private final class Losses: Sendable {
    enum Fate { case passes, lost, nowhere }

    let state: Mutex<State>

    init(_ state: State) { self.state = Mutex(state) }

    func fate(isAnswer: Bool) -> Fate {
      state.withLock { state in
        if state.isCut { return .nowhere }
        guard isAnswer, state.every > 0, state.random.once(in: state.every) else { return .passes }
        state.lost += 1
        return .lost
      }
    }
  }

  /// - Parameter every: One answer of so many is lost; 0: none.
  init(to target: UInt16, losing every: Int, seed: UInt64? = nil) throws {
    let losses = Losses(State(random: SeededRandom(seed: seed), every: every))
    self.losses = losses
    let group = MultiThreadedEventLoopGroup.singleton
    channel = try ServerBootstrap(group: group)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { client in
        ClientBootstrap(group: client.eventLoop).connect(host: "127.0.0.1", port: Int(target)).flatMap {
          server in
          client.eventLoop.makeCompletedFuture {
            try client.pipeline.syncOperations.addHandler(Passing(to: server, losses, isAnswer: false))
            try server.pipeline.syncOperations.addHandler(Passing(to: client, losses, isAnswer: true))
          }
        }
      }
      .bind(host: "127.0.0.1", port: 0).wait()
    port = UInt16(channel.localAddress?.port ?? 0)
  }

  var lost: Int { losses.state.withLock { $0.lost } }
  func cut() { losses.state.withLock { $0.isCut = true } }

  func stop() { try? channel.close().wait() }

  /// One direction.
  private final class Passing: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let other: any Channel
    private let losses: Losses
    private let isAnswer: Bool

    init(to other: any Channel, _ losses: Losses, isAnswer: Bool) {
      self.other = other
      self.losses = losses
      self.isAnswer = isAnswer
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      switch losses.fate(isAnswer: isAnswer) {
      case .passes: other.writeAndFlush(unwrapInboundIn(data), promise: nil)
      case .lost: context.close(promise: nil)
      case .nowhere: break
      }
    }

    func channelInactive(context: ChannelHandlerContext) { other.close(promise: nil) }
  }
}
