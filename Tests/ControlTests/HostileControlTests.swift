import ControlAPI
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Identity
import NIOCore
import NIOPosix
import NIOSSL
import TestSupport
import Testing

@testable import StreamRouter

/// Who means harm to the controller, with and without a certificate.
@Suite(.serialized) struct HostileControlTests {
  private static let topology = """
    version: 1
    name: t-hostile
    nodes:
      control: {address: 127.0.0.1, engine: process}
      edge: {address: 127.0.0.2, engine: process}
    links: [{between: [control, edge]}]
    streams:
      video: {protocol: udp, from: "control:41004", to: "edge:41004"}
    """

  @Test(
    "a thousand garbage and half-open connections: the session stays, a deploy goes through, they are cut off")
  func flood() async throws {
    let here = try ControllerFixture()
    defer { here.remove() }
    let file = here.folder.appending("t.yaml").string
    try Self.topology.write(toFile: file, atomically: true, encoding: .utf8)
    var random = SeededRandom()
    let seed = random.seed
    let garbage = (0..<500).map { _ in random.bytes(Int.random(in: 1...600, using: &random)) }
    let both = (try here.paths("one"), try here.paths("two"))
    try here.issue(.node("control"), to: both.0)
    try here.issue(.node("edge"), to: both.1)
    try await here.run {
      try await here.member("control", paths: both.0) { _ in
        try await here.member("edge", paths: both.1) { _ in
          var open: [any Channel] = []
          for number in 0..<1_000 {
            guard
              let channel = try? await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .connect(host: "127.0.0.1", port: here.port).get()
            else { continue }
            open.append(channel)
            if number.isMultiple(of: 2) {
              try? await channel.writeAndFlush(ByteBuffer(bytes: garbage[number / 2]))
            } else if number.isMultiple(of: 3) {
              // The beginning of a handshake, and then nothing.
              try? await channel.writeAndFlush(ByteBuffer(bytes: [0x16, 0x03, 0x01, 0x02, 0x00, 0x01]))
            }
          }
          #expect(open.count == 1_000, "seed \(seed)")
          let begun = ContinuousClock.now
          let done = try await here.operators.deploy(.file(.init(path: file)), .init()) { _ in }
          #expect(done.revision == 1 && done.nodes == 2 && done.absent.isEmpty, "seed \(seed): \(done)")
          #expect(try await here.operators.status().isWhole)
          #expect(open.count { $0.isActive } <= ConnectionRegister.Limits().strangers, "seed \(seed)")
          let left = open
          try await eventually("all are cut off", within: .seconds(13)) { left.allSatisfy { !$0.isActive } }
          #expect(begun.duration(to: .now) < .seconds(13))
          // Neither session noticed.
          #expect(here.log.all.count { $0.contains("connected to the controller") } == 2, "\(here.log.all)")
          _ = try await here.operators.deploy(.nothing, .init()) { _ in }
        }
      }
    }
  }

  /// Bytes as they are, as a request and as an answer.
  private struct Raw: MessageSerializer, MessageDeserializer {
    func serialize<Bytes: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Bytes { Bytes(message) }
    func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> [UInt8] {
      bytes.withUnsafeBytes { [UInt8]($0) }
    }
  }

  @Test("malformed messages in every call: each is answered, and the next caller too", .timeLimit(.minutes(2)))
  func malformedMessages() async throws {
    let here = try ControllerFixture()
    defer { here.remove() }
    var random = SeededRandom()
    let seed = random.seed
    let callers = [try here.identity(.operator("ada")), try here.identity(.node("edge"))]
    let services = ["Operator", "NodeControl", "Certificates"].map { "streamrouter.control.v1.\($0)" }
    let methods = [
      services[0]: [
        "Plan", "Deploy", "Confirm", "Status", "History", "MissingExtensions", "PutExtension", "Nothing",
      ],
      services[1]: ["Session", "FetchExtension"], services[2]: ["Renew"],
    ]
    var attempts: [(caller: Int, method: MethodDescriptor, message: [UInt8])] = []
    for (service, names) in methods.sorted(by: { $0.key < $1.key }) {
      for name in names {
        for number in 0..<40 {
          let method = MethodDescriptor(fullyQualifiedService: service, method: name)
          attempts.append((number % 2, method, Self.message(&random)))
        }
      }
    }
    let made = attempts
    try await here.run {
      var outcomes: [RPCError.Code: Int] = [:]
      for (index, caller) in callers.enumerated() {
        try await here.call(as: caller) { client in
          for attempt in made where attempt.caller == index {
            var options = CallOptions.defaults
            options.timeout = .seconds(5)
            do {
              try await client.bidirectionalStreaming(
                request: .init { try await $0.write(attempt.message) }, descriptor: attempt.method,
                serializer: Raw(), deserializer: Raw(), options: options
              ) { for try await _ in $0.messages {} }
            } catch let error as RPCError {
              #expect(
                ![.unavailable, .deadlineExceeded].contains(error.code),
                "seed \(seed): \(attempt.method) \(attempt.message): \(error)")
            }
          }
        }
        outcomes[.unknown, default: 0] += 1
      }
      #expect(outcomes[.unknown] == 2)
      #expect(try await here.operators.status().nodes.allSatisfy { $0.state != "connected" })
    }
  }

  /// Random bytes, or fields of protobuf with wrong types, lengths and nesting.
  private static func message(_ random: inout SeededRandom) -> [UInt8] {
    guard !random.once(in: 3) else { return random.bytes(Int.random(in: 0...200, using: &random)) }
    var message: [UInt8] = []
    for _ in 0..<Int.random(in: 1...8, using: &random) {
      let field = UInt8.random(in: 0...15, using: &random)
      switch UInt8.random(in: 0...7, using: &random) {
      case 2:
        let inner = random.bytes(Int.random(in: 0...40, using: &random))
        let length = random.once(in: 4) ? UInt8.random(in: 0...127, using: &random) : UInt8(inner.count)
        message += [field << 3 | 2, length] + inner
      case let type: message += [field << 3 | type] + random.bytes(Int.random(in: 0...9, using: &random))
      }
    }
    return message
  }

  @Test("malformed HTTP/2 behind a good handshake: the connection ends, the controller does not")
  func malformedHTTP2() async throws {
    let here = try ControllerFixture()
    defer { here.remove() }
    var random = SeededRandom()
    let seed = random.seed
    let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    let inputs = (0..<120).map { number -> [UInt8] in
      var bytes = random.once(in: 5) ? [] : preface
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let body = random.bytes(Int.random(in: 0...60, using: &random))
        let length = random.once(in: 3) ? Int.random(in: 0...0xff_ffff, using: &random) : body.count
        bytes += [UInt8(length >> 16 & 0xff), UInt8(length >> 8 & 0xff), UInt8(length & 0xff)]
        bytes += [UInt8.random(in: 0...12, using: &random), UInt8.random(in: 0 ... .max, using: &random)]
        bytes += [0, 0, 0, UInt8.random(in: 0...5, using: &random)] + body
      }
      return bytes
    }
    let ada = try here.identity(.operator("ada"))
    let settings = try CurrentIdentity(ada, path: here.folder).client(
      expecting: .node(ControllerFixture.name), RefusalNote())
    try await here.run {
      for bytes in inputs {
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
          .channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
              try channel.pipeline.syncOperations.addHandler(settings.clientHandler())
            }
          }
          .connect(host: "127.0.0.1", port: here.port).get()
        try? await channel.writeAndFlush(ByteBuffer(bytes: bytes))
        if isSlow(bytes) { try await Task.sleep(for: .milliseconds(2)) }
        try? await channel.close()
      }
      #expect(try await here.operators.status().nodes.isEmpty, "seed \(seed)")
      let answered = try await here.call(as: ada) {
        try await APIOperator.Client(wrapping: $0).status(.init()).nodes.isEmpty
      }
      #expect(answered, "seed \(seed)")
    }
  }

  /// Some connections are given time to be read, others are closed at once.
  private func isSlow(_ bytes: [UInt8]) -> Bool { bytes.last.map { $0 % 2 == 0 } ?? false }

  @Test("a hello of 60 MB is refused, and kept nowhere")
  func hugeHello() async throws {
    let here = try ControllerFixture()
    defer { here.remove() }
    let edge = try here.identity(.node("edge"))
    try await here.run {
      try await here.call(as: edge) { client in
        let refused = await #expect(throws: RPCError.self) {
          try await APINodeControl.Client(wrapping: client).session(
            requestProducer: { writer in
              try await writer.write(
                .with { $0.hello = .with { $0.version = String(repeating: "v", count: 60 << 20) } })
            }, onResponse: { for try await _ in $0.messages {} })
        }
        #expect(refused?.code == .invalidArgument, "\(refused as Any)")
      }
      #expect(try await here.operators.status().nodes.isEmpty)
    }
  }
}
