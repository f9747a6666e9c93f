import ControlAPI
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Identity
import Logging
import ServiceLifecycle
import Synchronization

/// The node's end of its session with the controller: says hello, answers questions one after the other, and begins anew
/// where the connection is lost.
struct ControllerSession: Service {
  let member: Member
  let address: ControllerAddress
  /// Whose certificate the controller shows.
  let controller: Role
  /// The certificates are renewed while the node runs.
  let renewal: CertificateRenewal
  let snapshot: @Sendable () async throws -> NodeSnapshot?
  let log: Logger

  private static let shortestPause = Duration.milliseconds(100)
  private static let longestPause = Duration.seconds(5)
  /// Without a question of a deploy.
  private static let quiet = Duration.seconds(10)

  func run() async throws {
    try? await cancelWhenGracefulShutdown {
      var pause = Self.shortestPause
      var told = ""
      while !Task.isCancelled {
        let begun = ContinuousClock.now
        var text = "ended the session"
        let refusal = RefusalNote()
        do { try await once(refusal) } catch { text = refusal.text(of: error) }
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
  private func once(_ refusal: RefusalNote) async throws {
    renewal.current.takeFromDisk()
    let certificate = renewal.current.identity.certificate
    let security = try renewal.current.client(expecting: controller, refusal)
    try await withGRPCClient(transport: ControlTransport.client(address, security, refusal)) { client in
      let control = APINodeControl.Client(wrapping: client)
      let (messages, queue) = AsyncStream.makeStream(of: APINodeMessage.self)
      defer { queue.finish() }
      let work = LatestWork()
      let hello = await member.hello()
      queue.yield(.with { $0.hello = hello })
      let log = self.log
      let frames = SnapshotFrames()
      try await control.session(
        options: ControlTransport.streamOptions,
        requestProducer: { writer in
          try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
              for await message in messages { try await writer.write(message) }
              return true
            }
            group.addTask {
              if await isHandover(from: certificate, work) { queue.finish() }
              return false
            }
            for try await isEnd in group where isEnd { group.cancelAll() }
          }
        },
        onResponse: { response in
          log.info("connected to the controller at \(address)")
          for try await message in response.messages {
            let answer = await answer(message, control, frames)
            // Snapshots and the time are asked for all the time, and nothing hangs on one.
            switch message.question {
            case .snapshot, .clock: break
            default: work.note()
            }
            queue.yield(.with { $0.answer = answer })
          }
          queue.finish()
        })
    }
  }

  /// Waits until another connection should take this one's place: the certificate was renewed, and no deploy seems to be
  /// under way, or the former certificate is about to end, and with it the connection.
  private func isHandover(from certificate: RoleCertificate, _ work: LatestWork) async -> Bool {
    while (try? await Task.sleep(for: .seconds(1))) != nil {
      guard renewal.current.identity.certificate != certificate else { continue }
      let left = certificate.notAfter.timeIntervalSince(renewal.now())
      if work.age > Self.quiet || left < 60 {
        log.info("the next connection to the controller uses the renewed certificate")
        return true
      }
    }
    return false
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
          let reply = try await control.fetchExtension(
            .with { $0.content = content }, options: ControlTransport.callOptions)
          try await member.put(extension: [UInt8](reply.object))
        }
        try await member.prepare(part, revertAfterSeconds: seconds)
      case .advance(let revision, let hop): try await member.advance(revision: revision, hop: hop)
      case .settle(let revision): try await member.settle(revision: revision)
      case .abandon(let revision): try await member.abandon(revision: revision)
      case .snapshot:
        if let snapshot = try await snapshot() { answer.snapshot = Data(try await frames.frame(snapshot)) }
      case .clock: break
      case .renew: try await renewal.renew()
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

/// When the node last did something that it was asked.
private final class LatestWork: Sendable {
  private let time = Mutex(ContinuousClock.now)

  func note() { time.withLock { $0 = .now } }
  var age: Duration { time.withLock { $0.duration(to: .now) } }
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
