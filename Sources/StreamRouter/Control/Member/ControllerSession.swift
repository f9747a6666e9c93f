import ControlAPI
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Identity
import Logging
import ServiceLifecycle
import Synchronization

/// The node's end of its session with the controller at work: says hello, answers questions one after the other, and begins
/// anew where the connection is lost, with the next controller where there are several.
struct ControllerSession: Service {
  let member: Member
  let places: ControllerPlaces
  /// The certificates are renewed while the node runs.
  let renewal: CertificateRenewal
  let snapshot: @Sendable () async throws -> NodeSnapshot?
  let log: Logger

  private static let shortestPause = Duration.milliseconds(100)
  private static let longestPause = Duration.seconds(5)
  /// While the controllers that answer wait for one of them to be at work, which takes some six seconds.
  private static let longestWait = Duration.seconds(1)
  /// Without a question of a deploy.
  private static let quiet = Duration.seconds(10)
  /// How long a controller may be silent before the next one is tried, where there is one.
  private static let patience = Duration.seconds(5)

  func run() async throws {
    try? await cancelWhenGracefulShutdown {
      var pause = Self.shortestPause
      var told: [ControllerAddress: String] = [:]
      while !Task.isCancelled {
        let round = await tryAll(&told)
        if round.lasted > .seconds(10) { pause = Self.shortestPause }
        if round.isTakeover { pause = min(pause, Self.longestWait) }
        // A thousand nodes that lost the same controller do not come to the next one at the same moment.
        try await Task.sleep(for: pause * Double.random(in: 0.5...1))
        pause = min(pause * 2, Self.longestPause)
      }
    }
  }

  /// What became of trying all controllers once.
  private struct Round {
    /// How long the session was that came of it.
    var lasted = Duration.zero
    /// Whether one answered that it is not at work.
    var isTakeover = false
  }

  /// Tries the controllers one after the other, until one has a session, and that to its end.
  private func tryAll(_ told: inout [ControllerAddress: String]) async -> Round {
    var round = Round()
    var queue = places.addresses
    var tried: Set<ControllerAddress> = []
    while let address = queue.first, !Task.isCancelled {
      queue.removeFirst()
      tried.insert(address)
      let others = places.addresses.contains { $0 != address } || !queue.isEmpty
      let begun = ContinuousClock.now
      let contact = Contact()
      let refusal = RefusalNote()
      var text = "ended the session"
      do {
        try await once(address, contact, refusal, patience: others ? Self.patience : nil)
      } catch {
        text = refusal.text(of: error)
        if let error = error as? RPCError, error.code == .aborted {
          round.isTakeover = true
          if let atWork = ControlError.atWork(error), !tried.contains(atWork) {
            queue.removeAll { $0 == atWork }
            queue.insert(atWork, at: 0)
          }
        }
      }
      // The same trouble every few seconds is one line of the log.
      if text != told[address] { log.warning("the controller at \(address): \(text)") }
      told[address] = text
      if contact.isMade {
        round.lasted = begun.duration(to: .now)
        break
      }
    }
    return round
  }

  /// One connection, to its end.
  ///
  /// - Parameter patience: How long the first word may take; nil: it may.
  private func once(
    _ address: ControllerAddress, _ contact: Contact, _ refusal: RefusalNote, patience: Duration?
  ) async throws {
    guard let patience else { return try await talk(address, contact, refusal) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await talk(address, contact, refusal) }
      group.addTask {
        try await Task.sleep(for: patience)
        guard contact.isMade else {
          throw ControlError.unreachable(controller: "\(address)", reason: "no answer within \(patience)")
        }
        // The group ends with the first to end: that is the connection then.
        try await Task.sleep(for: .seconds(Int32.max))
      }
      try await group.next()
      group.cancelAll()
    }
  }

  private func talk(
    _ address: ControllerAddress, _ contact: Contact, _ refusal: RefusalNote
  ) async throws {
    renewal.current.takeFromDisk()
    let certificate = renewal.current.identity.certificate
    let security = try renewal.current.client(expecting: places.controller, refusal)
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
          for try await message in response.messages {
            if contact.make() {
              log.info("connected to the controller at \(address)")
              places.answered(address)
            }
            places.learn(message.controllers, from: address)
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

/// Whether a controller has said something: it is at work.
private final class Contact: Sendable {
  private let made = Mutex(false)

  var isMade: Bool { made.withLock { $0 } }

  /// - Returns: Whether it was the first word.
  func make() -> Bool {
    made.withLock { made in
      defer { made = true }
      return !made
    }
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
