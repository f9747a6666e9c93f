import Foundation
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle

/// The node's control socket: whoever connects is sent one snapshot as a line of JSON.
///
/// Later the control API speaks here; until then reading is all there is to do.
struct ControlService: Service {
  let path: String
  let snapshot: @Sendable () async throws -> NodeSnapshot
  let log: Logger
  private static let patience = TimeAmount.seconds(10)

  func run() async throws {
    let server: NIOAsyncChannel<NIOAsyncChannel<ByteBuffer, ByteBuffer>, Never>
    do {
      try Self.prepareDirectory(of: path)
      server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
        .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true) { channel in
          channel.eventLoop.makeCompletedFuture { try NIOAsyncChannel(wrappingChannelSynchronously: channel) }
        }
      // The group may read; the world may not (0660).
      chmod(path, 0o660)
    } catch {
      throw NodeError.controlSocket(path: path, reason: "\(error)")
    }
    log.info("answering on \(path)")
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

  private func answer(_ client: NIOAsyncChannel<ByteBuffer, ByteBuffer>) async {
    do {
      try await client.executeThenClose { _, _ in
        var line = try JSONEncoder().encode(await snapshot())
        line.append(UInt8(ascii: "\n"))
        // A client that does not read must not hold the answer for ever.
        let limit = client.channel.eventLoop.scheduleTask(in: Self.patience) {
          client.channel.close(promise: nil)
        }
        defer { limit.cancel() }
        // Closing throws away what the socket has not taken yet: only the promise of the write says that it has all.
        try await client.channel.writeAndFlush(ByteBuffer(bytes: line)).get()
      }
    } catch {
      // A client that went before it was answered is nobody's concern.
      log.debug("a client of the control socket: \(error)")
    }
  }

  private static func prepareDirectory(of path: String) throws {
    let directory = (path as NSString).deletingLastPathComponent
    try FileManager.default.createDirectory(
      atPath: directory, withIntermediateDirectories: true,
      attributes: [.posixPermissions: geteuid() == 0 ? 0o755 : 0o700])
  }
}
