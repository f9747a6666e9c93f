import NIOCore
import NIOPosix

/// A connection to a node's control socket that is kept from one reading to the next, as each answer counts from the one
/// before. One that fails is opened anew with the next question.
actor ControlConnection {
  enum Failure: Error {
    /// No answer in time.
    case silent
    /// The daemon closed it.
    case ended
    /// An answer names a length that no snapshot has.
    case tooLarge
  }

  private let path: String
  /// How long an answer may take.
  let patience: Duration
  private var open: Open?

  private struct Open {
    var channel: any Channel
    var reader = ReadingFrame.Reader()
  }

  init(_ path: String, patience: Duration = .seconds(1)) {
    self.path = path
    self.patience = patience
  }

  deinit { open?.channel.close(promise: nil) }

  /// The node's snapshot of now. Two questions at once take two connections, of which one is kept.
  ///
  /// - Throws: ``Failure``, ``ByteReader/Damage``, or why the socket cannot be connected.
  func snapshot() async throws -> NodeSnapshot {
    if let former = open {
      // The daemon may have been replaced since the last answer: then a new connection knows better.
      do { return try await ask(former) } catch Failure.ended {} catch is ChannelError {} catch is IOError {}
    }
    return try await ask(Open(channel: try await connect()))
  }

  /// Whatever fails leaves no connection: an answer that is still on its way belongs to no later question.
  private func ask(_ connection: Open) async throws -> NodeSnapshot {
    open = nil
    let channel = connection.channel
    do {
      let answer = channel.eventLoop.makePromise(of: ByteBuffer.self)
      // On a closed channel no handler hears of the question.
      channel.writeAndFlush(FrameReceiver.Question(answer: answer)).whenFailure { answer.fail($0) }
      let limit = channel.eventLoop.scheduleTask(in: TimeAmount(patience)) { answer.fail(Failure.silent) }
      defer { limit.cancel() }
      let frame = try await withTaskCancellationHandler {
        try await answer.futureResult.get()
      } onCancel: {
        answer.fail(CancellationError())
      }
      var answered = connection
      let snapshot = try answered.reader.snapshot(Array(frame.readableBytesView))
      open?.channel.close(promise: nil)
      open = answered
      return snapshot
    } catch {
      channel.close(promise: nil)
      throw error
    }
  }

  private func connect() async throws -> any Channel {
    try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .connectTimeout(TimeAmount(patience))
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(FrameReceiver())
        }
      }
      .connect(unixDomainSocketPath: path).get()
  }
}

/// Sends questions and puts answers together. Owned by its channel's event loop.
private final class FrameReceiver: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = Question
  typealias OutboundOut = ByteBuffer

  struct Question {
    var answer: EventLoopPromise<ByteBuffer>
  }

  private var received = ByteBuffer()
  private var waiting: EventLoopPromise<ByteBuffer>?

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    waiting?.fail(ControlConnection.Failure.silent)
    waiting = unwrapOutboundIn(data).answer
    context.write(wrapOutboundOut(ByteBuffer(string: "reading\n")), promise: promise)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var part = unwrapInboundIn(data)
    received.writeBuffer(&part)
    guard let length: UInt32 = received.getInteger(at: received.readerIndex) else { return }
    guard length <= ReadingFrame.largest else {
      waiting?.fail(ControlConnection.Failure.tooLarge)
      waiting = nil
      return context.close(promise: nil)
    }
    guard received.readableBytes >= ReadingFrame.headerBytes + Int(length) else { return }
    received.moveReaderIndex(forwardBy: ReadingFrame.headerBytes)
    let frame = received.readSlice(length: Int(length)) ?? ByteBuffer()
    received.discardReadBytes()
    waiting?.succeed(frame)
    waiting = nil
  }

  func channelInactive(context: ChannelHandlerContext) {
    waiting?.fail(ControlConnection.Failure.ended)
    waiting = nil
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    waiting?.fail(error)
    waiting = nil
    context.close(promise: nil)
  }
}
