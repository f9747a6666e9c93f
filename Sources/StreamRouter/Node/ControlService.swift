import Foundation
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle

/// The node's control socket. A client sends requests, each a line, and has an answer to each:
///
/// - `snapshot`: the node's snapshot as a line of JSON.
/// - `reading`: the same as a ``ReadingFrame``, which counts from the one before of this connection.
///
/// Anything else ends the connection. Later the control API speaks here; until then reading is all there is to do.
struct ControlService: Service {
  let path: String
  let snapshot: @Sendable () async throws -> NodeSnapshot
  let log: Logger
  /// Called once clients are answered.
  var answering: @Sendable () async -> Void = {}
  private static let patience = TimeAmount.seconds(10)
  /// The longest request, and its end.
  private static let requestBytes = 16

  func run() async throws {
    // A client is wrapped when its turn comes: one that waits in the queue when the node stops would be left without an end,
    // which NIO takes for a programmer's error. Until then nothing is read from it.
    let server: NIOAsyncChannel<any Channel, Never>
    do {
      try Self.prepareDirectory(of: path)
      server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
        .childChannelOption(.autoRead, value: false)
        .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true) { channel in
          channel.eventLoop.makeSucceededFuture(channel)
        }
      // The group may read; the world may not (0660).
      chmod(path, 0o660)
    } catch {
      throw NodeError.controlSocket(path: path, reason: "\(error)")
    }
    log.info("answering on \(path)")
    await answering()
    defer { unlink(path) }
    do {
      try await cancelWhenGracefulShutdown {
        try await server.executeThenClose { clients in
          try await withThrowingDiscardingTaskGroup { group in
            for try await client in clients {
              group.addTask { await answer(client) }
            }
          }
        }
      }
    } catch is CancellationError {
      // How accepting ends when the node stops.
    }
  }

  private func answer(_ channel: any Channel) async {
    do {
      let client = try await channel.eventLoop.submit {
        try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
      }.get()
      try await client.executeThenClose { inbound, _ in
        try await channel.setOption(.autoRead, value: true).get()
        var writer = ReadingFrame.Writer()
        var requests = RequestLines()
        for try await part in inbound {
          for request in try requests.take(part.readableBytesView) {
            let answer: ByteBuffer
            switch request {
            case .snapshot:
              answer = ByteBuffer(bytes: try JSONEncoder().encode(await snapshot()) + [UInt8(ascii: "\n")])
            case .reading: answer = ByteBuffer(bytes: try writer.frame(await snapshot()))
            }
            try await send(answer, to: channel)
          }
        }
      }
    } catch {
      // A client that went before it was answered is nobody's concern.
      log.debug("a client of the control socket: \(error)")
    }
  }

  private func send(_ answer: ByteBuffer, to channel: any Channel) async throws {
    // A client that does not read must not hold the answer for ever.
    let limit = channel.eventLoop.scheduleTask(in: Self.patience) { channel.close(promise: nil) }
    defer { limit.cancel() }
    // Closing throws away what the socket has not taken yet: only the promise of the write says that it has all.
    try await channel.writeAndFlush(answer).get()
  }

  private enum Request: String { case snapshot, reading }

  /// Cuts what comes into requests.
  private struct RequestLines {
    private var begun: [UInt8] = []

    struct NoRequest: Error {}

    /// Those that are whole. Throws where one is none, or none comes to an end.
    mutating func take(_ bytes: ByteBufferView) throws -> [Request] {
      var whole: [Request] = []
      for byte in bytes {
        if byte == UInt8(ascii: "\n") {
          guard let request = Request(rawValue: String(decoding: begun, as: UTF8.self)) else {
            throw NoRequest()
          }
          whole.append(request)
          begun = []
        } else {
          begun.append(byte)
          guard begun.count < requestBytes else { throw NoRequest() }
        }
      }
      return whole
    }
  }

  private static func prepareDirectory(of path: String) throws {
    let directory = (path as NSString).deletingLastPathComponent
    try FileManager.default.createDirectory(
      atPath: directory, withIntermediateDirectories: true,
      attributes: [.posixPermissions: NodePaths.runtimeMode])
  }
}
