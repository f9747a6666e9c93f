import ControlAPI
import Foundation
import GRPCCore
import Identity

/// What nodes ask of the controller.
struct NodeControlService: APINodeControl.SimpleServiceProtocol {
  let registry: NodeRegistry
  let deployer: Deployer
  let extensions: ControllerExtensions
  let caller: Caller
  /// Where all controllers are, which nodes are told; empty: there is one.
  var controllers: @Sendable () -> [String] = { [] }

  private static let versionBytes = 64
  /// Of what a node says in words; the rest is cut off.
  private static let textCharacters = 2_000

  /// One session: questions go out, answers come in, until either side ends it.
  func session(
    request: RPCAsyncSequence<APINodeMessage, any Error>, response: RPCWriter<APIControllerMessage>,
    context: ServerContext
  ) async throws {
    let node = try caller.node(context)
    let (ended, end) = AsyncStream.makeStream(of: Void.self)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await talk(node, request, response) { end.finish() } }
      group.addTask {
        for await _ in ended {}
        throw RPCError(code: .unavailable, message: "this controller is at work no more")
      }
      try await group.next()
      group.cancelAll()
    }
  }

  private func talk(
    _ node: String, _ request: RPCAsyncSequence<APINodeMessage, any Error>,
    _ response: RPCWriter<APIControllerMessage>, end: @escaping @Sendable () -> Void
  ) async throws {
    var messages = request.makeAsyncIterator()
    guard let first = try await messages.next(), case .hello(let said) = first.message else {
      throw RPCError(code: .failedPrecondition, message: "a session begins with a hello")
    }
    // It is kept and shown: a node may not fill the controller with it.
    guard said.version.utf8.count <= Self.versionBytes else {
      throw RPCError(
        code: .invalidArgument, message: "the version of a hello has \(Self.versionBytes) bytes at most")
    }
    let hello = Hello(node: node, version: said.version, revision: said.revision, prepared: said.prepared)
    var reader = ReadingFrame.Reader()
    let (questions, queue) = AsyncStream.makeStream(of: APIControllerMessage.self)
    let number = try await registry.open(
      hello, send: { id, question in queue.yield(APIControllerMessage(id, question)) }, end: end)
    var reason = "the node ended the session"
    await withDiscardingTaskGroup { group in
      group.addTask {
        // Where writing fails, reading ends too.
        for await question in questions {
          var question = question
          question.controllers = controllers()
          try? await response.write(question)
        }
      }
      // So that the node hears at once that it is heard: it need not try another controller.
      group.addTask { await registry.readClock(node) }
      // Beside the reading: what is asked here is answered there.
      group.addTask { await deployer.converge(hello) }
      do {
        while let message = try await messages.next() { await take(message, node, number, &reader) }
      } catch {
        reason = "the connection was lost"
      }
      // What waits for an answer, converging among it, hears of the end first.
      await registry.close(node, session: number, reason: reason)
      queue.finish()
      group.cancelAll()
    }
  }

  private func take(
    _ message: APINodeMessage, _ node: String, _ session: UInt64, _ reader: inout ReadingFrame.Reader
  ) async {
    switch message.message {
    case .answer(let answer):
      await registry.heard(node, session: session, question: answer.id, Self.result(answer, node, &reader))
    case .status(let status):
      await registry.noted(node, problem: status.problem.isEmpty ? nil : Self.short(status.problem))
    case .hello, nil: break
    }
  }

  private static func short(_ text: String) -> String { String(text.prefix(textCharacters)) }

  private static func result(
    _ answer: APINodeAnswer, _ node: String, _ reader: inout ReadingFrame.Reader
  ) -> Result<Answer, any Error> {
    guard answer.refusal.isEmpty else {
      return .failure(ControlError.refused(node: node, reason: short(answer.refusal)))
    }
    guard !answer.snapshot.isEmpty else { return .success(Answer(timeNs: answer.timeNs)) }
    do {
      // The length stands before it, which the message has too.
      let frame = [UInt8](answer.snapshot.dropFirst(ReadingFrame.headerBytes))
      return .success(Answer(snapshot: try reader.snapshot(frame), timeNs: answer.timeNs))
    } catch {
      return .failure(
        ControlError.refused(node: node, reason: "its snapshot cannot be read: is it another version?"))
    }
  }

  func fetchExtension(request: APIExtensionRequest, context: ServerContext) async throws -> APIExtensionReply {
    _ = try caller.node(context)
    guard let bytes = try await extensions.bytes(request.content) else {
      throw RPCError(code: .notFound, message: "there is no such extension here")
    }
    return APIExtensionReply.with { $0.object = Data(bytes) }
  }
}

extension APIControllerMessage {
  init(_ id: UInt64, _ question: Question) {
    self.init()
    self.id = id
    switch question {
    case .prepare(let part, let seconds):
      prepare = .with {
        $0.revision = part.revision
        $0.part = (try? JSONEncoder().encode(part)) ?? Data()
        $0.revertAfterSeconds = seconds
      }
    case .advance(let revision, let hop):
      advance = .with {
        $0.revision = revision
        $0.hop = UInt32(hop)
      }
    case .settle(let revision): settle = .with { $0.revision = revision }
    case .abandon(let revision): abandon = .with { $0.revision = revision }
    case .snapshot: snapshot = .init()
    case .clock: clock = .init()
    case .renew: renew = .init()
    }
  }

  /// What it asks.
  ///
  /// - Throws: where it is none that this version knows, or is damaged.
  func asked() throws -> Question {
    switch question {
    case .prepare(let prepare):
      .prepare(
        try JSONDecoder().decode(NodePart.self, from: prepare.part),
        revertAfterSeconds: prepare.revertAfterSeconds)
    case .advance(let advance): .advance(revision: advance.revision, hop: Int(advance.hop))
    case .settle(let settle): .settle(revision: settle.revision)
    case .abandon(let abandon): .abandon(revision: abandon.revision)
    case .snapshot: .snapshot
    case .clock: .clock
    case .renew: .renew
    case nil: throw ControlError.unknownQuestion
    }
  }
}
