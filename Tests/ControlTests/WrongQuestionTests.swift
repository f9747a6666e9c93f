import ControlAPI
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Identity
import Synchronization
import Testing
import Topology

@testable import StreamRouter

/// A controller that asks what a node must not do.
@Suite(.serialized) struct WrongQuestionTests {
  /// Asks its questions one after the other and keeps the answers.
  private struct WrongController: APINodeControl.SimpleServiceProtocol {
    let questions: [APIControllerMessage]
    let answers: Answers

    func session(
      request: RPCAsyncSequence<APINodeMessage, any Error>, response: RPCWriter<APIControllerMessage>,
      context: ServerContext
    ) async throws {
      var messages = request.makeAsyncIterator()
      _ = try await messages.next()
      for question in questions {
        try await response.write(question)
        if let message = try await messages.next(), case .answer(let answer) = message.message {
          answers.add(answer)
        }
      }
      while try await messages.next() != nil {}
    }

    func fetchExtension(request: APIExtensionRequest, context: ServerContext) async throws -> APIExtensionReply
    {
      throw RPCError(code: .notFound, message: "there is none")
    }
  }

  private final class Answers: Sendable {
    private let kept = Mutex<[APINodeAnswer]>([])
    func add(_ answer: APINodeAnswer) { kept.withLock { $0.append(answer) } }
    var all: [APINodeAnswer] { kept.withLock { $0 } }
  }

  @Test("a part of another node, unknown questions and damaged ones are refused, and the session goes on")
  func wrongQuestions() async throws {
    let here = try ControllerFixture()
    defer { here.remove() }
    let paths = try here.paths("edge")
    try here.issue(.node("edge"), to: paths)
    let part = NodePart(
      topology: "t", node: "core", revision: 1, engine: .process, scheduling: .other, relays: [], limits: [:])
    let encoded = try JSONEncoder().encode(part)
    let answers = Answers()
    let service = WrongController(
      questions: [
        .with {
          $0.id = 1
          $0.prepare = .with {
            $0.revision = 1
            $0.part = encoded
          }
        },
        // What a later version may ask.
        .with { $0.id = 2 },
        .with {
          $0.id = 3
          $0.prepare = .with { $0.part = Data("{]".utf8) }
        },
        .with {
          $0.id = 4
          $0.settle = .with { $0.revision = 9 }
        },
        .with {
          $0.id = 5
          $0.snapshot = .init()
        },
      ], answers: answers)
    let control = try Identity.load(from: here.state.identity.string)
    let verifier = try here.authority.verifier()
    let address = try #require(here.listen.socketAddress)
    let server = GRPCServer(
      transport: ControlTransport.server(
        address,
        .init(
          security: {
            try .server(control, verifier: { verifier }, now: { Date() }, refused: { _ in })
          }, register: ConnectionRegister())), services: [service])
    try await beside({ try await server.serve() }) {
      try await here.member("edge", paths: paths, awaits: false) { _ in
        try await eventually("all are answered") { answers.all.count == 5 }
      }
    }
    let refusals = answers.all.map(\.refusal)
    #expect(answers.all.map(\.id) == [1, 2, 3, 4, 5])
    #expect(refusals[0] == "a part of node core came to node edge")
    #expect(refusals[1] == "\(ControlError.unknownQuestion)")
    #expect(!refusals[2].isEmpty)
    #expect(refusals[3] == "revision 9 was asked for, and none is prepared")
    #expect(refusals[4].isEmpty)
  }
}
