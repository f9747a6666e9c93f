import CStreamRouter
import Foundation
import Testing
import Topology

@testable import StreamRouter

/// Bytes through relays of protocol tcp in engine process.
///
///     client --> ingress [ProcessEngine] --> ... --> server
@Suite(.timeLimit(.minutes(3))) struct SplitTransferTests {
  private let address = freshLoopback()

  @Test(arguments: [1, 3]) func bulkBothWaysAtOnce(hops: Int) async throws {
    let server = try TestServer(address)
    var engines: [ProcessEngine] = []
    var next = server.endpoint
    for _ in 0..<hops {
      let engine = try ProcessEngine()
      let ingress = try freeEndpoint(freshLoopback())
      try await engine.add(testRelay("web", .tcp, ingress: ingress, to: [next]))
      next = ingress
      engines.append(engine)
    }
    let client = try TestConnection(to: next)
    let accepted = try server.accept()
    let (there, back) = (randomBytes(64 << 20), randomBytes(64 << 20))
    let sending = aside {
      client.send(there)
      client.finish()
    }
    let answering = aside {
      accepted.send(back)
      accepted.finish()
    }
    let arriving = aside { accepted.receive() }
    let (answer, answerEnd) = try await aside { client.receive() }.value
    let (request, requestEnd) = try await arriving.value
    try await sending.value
    try await answering.value
    #expect(request == there)
    #expect(answer == back)
    #expect(requestEnd == .end && answerEnd == .end)
    for engine in engines {
      let snapshot = try await engine.snapshot { $0.counters["tcp_closed"] == 1 }
      #expect(snapshot.counters["bytes_in"] == 64 << 20)
      #expect(snapshot.counters["bytes_out"] == 64 << 20)
      #expect(snapshot.counters["reply_bytes"] == 64 << 20)
      #expect(snapshot.tcp?.open == 0)
      #expect(snapshot.residence.total > 0)
    }
  }

  @Test func ipv6() async throws {
    let address = IPAddress("::1")!
    let server = try TestServer(address)
    let engine = try ProcessEngine()
    let ingress = try freeEndpoint(address)
    try await engine.add(testRelay("web", .tcp, ingress: ingress, to: [server.endpoint], dscp: 46))
    let client = try TestConnection(to: ingress)
    let accepted = try server.accept()
    client.send(numbered(1, length: 5000))
    #expect(accepted.receive(5000).bytes.elementsEqual(numbered(1, length: 5000)))
    accepted.send(numbered(2, length: 7000))
    #expect(client.receive(7000).bytes.elementsEqual(numbered(2, length: 7000)))
  }

  @Test func theSinkSeesTheRelaysAddress() async throws {
    let server = try TestServer(address)
    let engine = try ProcessEngine()
    let ingress = try freeEndpoint(address)
    var relay = testRelay("web", .tcp, ingress: ingress, to: [server.endpoint])
    relay.sinks[0].source = Endpoint(address: freshLoopback(), port: ingress.port)
    try await engine.add(relay)
    let client = try TestConnection(to: ingress)
    #expect(try server.accept().peerEndpoint.address == relay.sinks[0].source.address)
    _ = client
  }

  @Test func halfClose() async throws {
    let server = try TestServer(address)
    let engine = try ProcessEngine()
    let ingress = try freeEndpoint(address)
    try await engine.add(testRelay("web", .tcp, ingress: ingress, to: [server.endpoint]))
    let client = try TestConnection(to: ingress)
    client.send([1, 2, 3])
    client.finish()
    let accepted = try server.accept()
    let request = accepted.receive()
    #expect(request.bytes == [1, 2, 3] && request.end == .end)
    // The other direction goes on.
    let answer = randomBytes(8 << 20)
    for start in stride(from: 0, to: answer.count, by: 1 << 20) {
      let part = Array(answer[start..<start + 1 << 20])
      let sending = aside { accepted.send(part) }
      // As a flag: the difference of two long arrays takes for ever.
      let isSame = client.receive(1 << 20).bytes == part
      #expect(isSame)
      #expect(try await sending.value == 1 << 20)
    }
    #expect(try await engine.snapshot().tcp?.open == 1)
    accepted.finish()
    #expect(client.receive().end == .end)
    #expect(try await engine.snapshot { $0.counters["tcp_closed"] == 1 }.counters["tcp_closed"] == 1)
  }

  /// A server that does not read stops the client, within bounds, and loses nothing.
  @Test func backPressure() async throws {
    let server = try TestServer(address, bufferBytes: 64 << 10)
    let engine = try ProcessEngine()
    let ingress = try freeEndpoint(address)
    try await engine.add(testRelay("web", .tcp, ingress: ingress, to: [server.endpoint]))
    let client = try TestConnection(to: ingress, bufferBytes: 64 << 10)
    let accepted = try server.accept()
    let bytes = randomBytes(64 << 20)
    let sending = aside { client.send(bytes) }
    var before: UInt64 = 0
    // Until nothing more goes in.
    for _ in 0..<200 {
      try await Task.sleep(for: .milliseconds(100))
      let now = try await engine.snapshot().counters["bytes_in"] ?? 0
      if now > 0, now == before { break }
      before = now
    }
    // The pipe, and two socket buffers as large as the kernel makes them.
    #expect(before < 24 << 20)
    let waiting = try await engine.snapshot()
    #expect(waiting.counters["bytes_in"]! - waiting.counters["bytes_out"]! <= UInt64(SplitLimits().pipeBytes))
    #expect(await engine.held().pipesInUse == 1)
    let isSame = accepted.receive(bytes.count).bytes == bytes
    #expect(isSame)
    #expect(try await sending.value == bytes.count)
    #expect(
      try await engine.snapshot { $0.counters["bytes_out"] == 64 << 20 }.counters["bytes_out"] == 64 << 20)
    #expect(await engine.held().pipesInUse == 0)
    // The byte that was followed through the wait took as long as that.
    #expect(try await engine.snapshot().residence.maxNs > 10_000_000)
  }

  @Test func urgentBytesGoInTheirPlace() async throws {
    let server = try TestServer(address)
    let engine = try ProcessEngine()
    let ingress = try freeEndpoint(address)
    try await engine.add(testRelay("web", .tcp, ingress: ingress, to: [server.endpoint]))
    let client = try TestConnection(to: ingress)
    let accepted = try server.accept()
    client.send([1, 2])
    client.send([3], flags: Int32(MSG_OOB))
    client.send([4, 5])
    #expect(accepted.receive(5).bytes == [1, 2, 3, 4, 5])
    client.send([6], flags: Int32(MSG_OOB))
    client.send([7])
    #expect(accepted.receive(2).bytes == [6, 7])
  }

  @Test func aThousandConnections() async throws {
    let server = try TestServer(address)
    let engine = try ProcessEngine()
    let ingress = try freeEndpoint(address)
    try await engine.add(testRelay("web", .tcp, ingress: ingress, to: [server.endpoint]))
    let clients = try (0..<1000).map { _ in try TestConnection(to: ingress) }
    let accepted = try clients.map { _ in try server.accept() }
    #expect(try await engine.snapshot { $0.tcp?.open == 1000 }.tcp?.open == 1000)
    for (number, client) in clients.enumerated() { client.send(numbered(number, length: 1000)) }
    // Which is which, the first bytes tell.
    var seen: Set<[UInt8]> = []
    for connection in accepted {
      let request = connection.receive(1000).bytes
      seen.insert(request)
      connection.send(request.reversed())
    }
    #expect(seen == Set((0..<1000).map { numbered($0, length: 1000) }))
    for (number, client) in clients.enumerated() {
      #expect(client.receive(1000).bytes.elementsEqual(numbered(number, length: 1000).reversed()))
    }
    for client in clients { client.close() }
    for connection in accepted { connection.close() }
    let after = try await engine.snapshot { $0.tcp?.open == 0 }
    #expect(after.tcp?.open == 0)
    #expect(after.counters["tcp_opened"] == 1000 && after.counters["tcp_established"] == 1000)
    #expect(after.counters["tcp_closed"] == 1000)
    #expect(await engine.held().connections == 0)
    #expect(await engine.held().pipesInUse == 0)
  }
}
