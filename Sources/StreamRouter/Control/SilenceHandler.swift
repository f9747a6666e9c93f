import NIOCore

/// Closes a connection on which nothing has come for a while, at once and below TLS: the peer is cut off, and nobody will
/// answer a farewell.
///
/// gRPC's own keep-alive is what makes a live connection speak. Its server ends a dead one gracefully, which waits for the
/// peer: until the kernel gives up some 15 minutes later the node would count as connected.
final class SilenceHandler: ChannelInboundHandler {
  typealias InboundIn = NIOAny

  /// Puts it next to the socket, in front of all that is there.
  static func add(to channel: any Channel, patience: Duration) throws {
    try channel.pipeline.syncOperations.addHandlers(
      [IdleStateHandler(readTimeout: TimeAmount(patience)), SilenceHandler()], position: .first)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case .read? = event as? IdleStateHandler.IdleStateEvent else {
      return context.fireUserInboundEventTriggered(event)
    }
    context.close(promise: nil)
  }
}
