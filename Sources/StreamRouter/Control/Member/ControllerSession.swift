import ControlAPI
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Identity
import Logging
import ServiceLifecycle

/// The node's end of its session with the controller: says hello, answers questions one after the other, and begins anew
/// where the connection is lost.
struct ControllerSession: Service {
  let member: Member
  let address: ControllerAddress
  /// With the certificates of now: they are renewed while the node runs.
  let security: @Sendable () throws -> TLSSettings
  let snapshot: @Sendable () async throws -> NodeSnapshot?
  let log: Logger

  private static let shortestPause = Duration.milliseconds(100)
  private static let longestPause = Duration.seconds(5)

  func run() async throws {
    try? await cancelWhenGracefulShutdown {
      var pause = Self.shortestPause
      var told = ""
      while !Task.isCancelled {
        let begun = ContinuousClock.now
        var text = "ended the session"
        do { try await once() } catch let error as RPCError { text = error.message } catch { text = "\(error)" }
        // The same trouble every few seconds is one line of the log.
        if text != told { log.warning("the controller at \(address): \(text)") }
        told = text
        if begun.duration(to: .now) > .seconds(10) { pause = Self.shortestPause }
        try await Task.sleep(for: pause)
        pause = min(pause * 2, Self.longestPause)
      }
    }
  }

  /// One connection, to its end.
  private func once() async throws {
    try await withGRPCClient(transport: ControlTransport.client(address, security())) { client in
      let control = APINodeControl.Client(wrapping: client)
      let (messages, queue) = AsyncStream.makeStream(of: APINodeMessage.self)
      defer { queue.finish() }
      let hello = await member.hello()
      queue.yield(.with { $0.hello = hello })
      let log = self.log
      let frames = SnapshotFrames()
      try await control.session(
        requestProducer: { writer in
          for await message in messages { try await writer.write(message) }
        },
        onResponse: { response in
          log.info("connected to the controller at \(address)")
          for try await message in response.messages {
            let answer = await answer(message, control, frames)
            queue.yield(.with { $0.answer = answer })
          }
          queue.finish()
        })
    }
  }

  private func answer(
    _ message: APIControllerMessage, _ control: APINodeControl.Client<HTTP2ClientTransport.Posix>,
    _ frames: SnapshotFrames
  ) async -> APINodeAnswer {
    var answer = APINodeAnswer.with { $0.id = message.id }
    do {
      switch try message.asked() {
      case .prepare(let part, let seconds):
        for content in await member.missingExtensions(of: part) {
          let reply = try await control.fetchExtension(.with { $0.content = content })
          try await member.put(extension: [UInt8](reply.object))
        }
        try await member.prepare(part, revertAfterSeconds: seconds)
      case .advance(let revision, let hop): try await member.advance(revision: revision, hop: hop)
      case .settle(let revision): try await member.settle(revision: revision)
      case .abandon(let revision): try await member.abandon(revision: revision)
      case .snapshot:
        if let snapshot = try await snapshot() { answer.snapshot = Data(try await frames.frame(snapshot)) }
      case .clock: break
      }
    } catch {
      // The controller says whose refusal it is.
      if case ControlError.refused(_, let reason) = error {
        answer.refusal = reason
      } else {
        answer.refusal = "\(error)"
      }
      log.error("\(answer.refusal)")
    }
    answer.timeNs = realtimeNs()
    return answer
  }
}

/// The snapshots of one session, each counted from the one before.
private actor SnapshotFrames {
  private var writer = ReadingFrame.Writer()

  func frame(_ snapshot: NodeSnapshot) throws -> [UInt8] { try writer.frame(snapshot) }
}

extension Member {
  func hello() -> APINodeHello {
    APINodeHello.with {
      $0.version = Version.current
      $0.revision = settledRevision
      $0.prepared = preparedRevision
    }
  }
}
