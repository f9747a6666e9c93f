import Testing
import Topology

@testable import StreamRouter

/// `send` and `receive` over the loopback device: what one says it sent is what the other says it got.
@Suite(.serialized) struct SendReceiveTests {
  private static func pair(
    _ send: (inout TestSender.Settings) -> Void, _ receive: (inout TestReceiver.Settings) -> Void
  ) async throws -> (SendReport, ReceiveReport) {
    // A port that the kernel chose is free.
    let address = try #require(IPAddress("127.0.0.1"))
    let port = try TrafficSocket(in: nil, at: address, port: 0).local.port
    let endpoint = Endpoint(address: address, port: port)
    var receiver = TestReceiver.Settings(endpoint: endpoint)
    receiver.idleSeconds = 1
    receiver.seconds = 60
    receive(&receiver)
    var sender = TestSender.Settings(destination: endpoint)
    send(&sender)
    let (ready, listening) = AsyncStream.makeStream(of: Void.self)
    async let received = TestReceiver(receiver).run(until: StopFlag()) {
      listening.yield()
      listening.finish()
    }
    for await _ in ready { break }
    let sent = try await TestSender(sender).run(until: StopFlag())
    return (sent, try await received)
  }

  @Test("the two accounts are one, over a wrap of the sequence numbers", .timeLimit(.minutes(5)))
  func agreement() async throws {
    let (sent, received) = try await Self.pair(
      {
        $0.count = 5000
        $0.pace = Pace(perSecond: 5000, burst: 5)
        $0.sequence = 65_000
        $0.ssrc = 0xfeed
        $0.payloadType = 34
      }, { _ in })
    #expect(sent.packets == 5000 && sent.bytes == 1_000_000 && sent.lastSequence == 4463)
    #expect(received.packets == sent.packets && received.bytes == sent.bytes && received.queueDrops == 0)
    let run = try #require(received.runs.first)
    #expect(run.run == sent.run && run.received == 5000 && run.missing == 0 && run.duplicates == 0)
    let source = try #require(received.sources.first)
    #expect(received.sources.count == 1 && source.ssrc == 0xfeed && source.payloadTypes == [34])
    #expect(source.packets == 5000 && source.loss.lost == 0 && source.clockRate == 90_000)
    #expect(received.senders.map(\.port) == [sent.source.port])
    #expect(!received.exceeds(try #require(Threshold("loss>0"))))
    #expect(sent.text.contains("5 000") && received.text.contains("5 000 received of 5 000"))
  }

  @Test("plain UDP, and a datagram with room for nothing else", .timeLimit(.minutes(5)))
  func plainUDP() async throws {
    let (sent, received) = try await Self.pair(
      {
        $0.transport = .udp
        $0.bytes = TestSender.leastBytes(.udp)
        $0.count = 500
      }, { $0.transport = .udp })
    #expect(sent.ssrc == nil && sent.firstSequence == nil && sent.bytes == 500 * UInt64(Probe.bytes))
    #expect(
      received.runs.first?.received == 500 && received.sources.isEmpty && received.runs.first?.missing == 0)
  }

  @Test("receive ends after its count, and what came later is missing", .timeLimit(.minutes(5)))
  func count() async throws {
    let (sent, received) = try await Self.pair({ $0.count = 1000 }, { $0.count = 400 })
    #expect(sent.packets == 1000 && received.packets == 400)
    let run = try #require(received.runs.first)
    #expect(run.received == 400 && run.afterLast == 600 && run.lost == 0)
    #expect(received.exceeds(try #require(Threshold("loss>50%"))))
    #expect(!received.exceeds(try #require(Threshold("loss>60%"))))
  }

  @Test("a flag ends both, and the reports are made", .timeLimit(.minutes(5)))
  func interrupted() async throws {
    let endpoint = Endpoint(address: try #require(IPAddress("127.0.0.1")), port: 9)
    let flag = StopFlag()
    var settings = TestSender.Settings(destination: endpoint)
    settings.pace = Pace(perSecond: 0.1)
    async let report = TestSender(settings).run(until: flag)
    try await Task.sleep(for: .milliseconds(50))
    flag.set()
    #expect(try await report.packets <= 1)
  }

  @Test("a datagram that does not fit is an error that says what to do")
  func tooLarge() async throws {
    var settings = TestSender.Settings(
      destination: Endpoint(address: try #require(IPAddress("127.0.0.1")), port: 9))
    settings.bytes = TestSender.mostBytes
    settings.count = 1
    do {
      _ = try await TestSender(settings).run(until: StopFlag())
      // A loopback device with the largest MTU takes it.
    } catch TrafficError.cannotSend(_, let bytes, _, let remedy) {
      #expect(bytes == TestSender.mostBytes && remedy.contains("MTU"))
    }
  }
}
