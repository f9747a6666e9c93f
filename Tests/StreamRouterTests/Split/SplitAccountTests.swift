import CStreamRouter
import Foundation
import Glibc
import Testing
import Topology

@testable import StreamRouter

/// The account of relays of protocol tcp in engine process, and what their sockets are set to.
@Suite(.timeLimit(.minutes(2))) struct SplitAccountTests {
  private let address = freshLoopback()

  @Test func countersAreWhatWasSent() async throws {
    let server = try TestServer(address)
    let engine = try ProcessEngine()
    let relay = testRelay("web", .tcp, ingress: try freeEndpoint(address), to: [server.endpoint])
    try await engine.add(relay)
    let before = realtimeNs()
    let client = try TestConnection(to: relay.ingress)
    let accepted = try server.accept()
    // One segment each: the next one is sent when the one before has arrived.
    for number in 0..<20 {
      client.send(numbered(number, length: 100))
      #expect(accepted.receive(100).bytes == numbered(number, length: 100))
    }
    for number in 0..<10 {
      accepted.send(numbered(number, length: 300))
      #expect(client.receive(300).bytes == numbered(number, length: 300))
    }
    let open = try await engine.snapshot { $0.counters["reply_bytes"] == 3000 }
    #expect(
      open.counted == [
        "packets_in": 20, "bytes_in": 2000, "packets_out": 20, "bytes_out": 2000, "reply_packets": 10,
        "reply_bytes": 3000, "tcp_opened": 1, "tcp_established": 1,
      ])
    #expect(open.tcp?.open == 1)
    #expect(open.residence.total == 30)
    #expect((before...realtimeNs()).contains(open.lastSeenNs))
    // The handshake, then one for the reading.
    #expect(open.tcp?.sinkRoundTrip.durations.total == 2)
    #expect(open.tcp?.sourceRoundTrip.durations.total == 2)
    #expect(open.tcp!.sinkRoundTrip.durations.maxNs > 0)
    // Figures of datagrams stay empty.
    #expect(open.ipdv == VariationHistogram() && open.pdv == VariationHistogram())
    #expect(open.jitterSeconds == 0 && open.ssrc == nil)
    // Nothing new is no other sample.
    #expect(try await engine.snapshot().tcp == open.tcp)
    client.finish()
    accepted.finish()
    let closed = try await engine.snapshot { $0.counters["tcp_closed"] == 1 }
    #expect(closed.counted == open.counted.merging(["tcp_closed": 1]) { $1 })
    #expect(closed.tcp?.open == 0)
  }

  @Test func countersGoOnInAReplacement() async throws {
    let server = try TestServer(address)
    let engine = try ProcessEngine()
    let relay = testRelay("web", .tcp, ingress: try freeEndpoint(address), to: [server.endpoint])
    try await engine.add(relay)
    let client = try TestConnection(to: relay.ingress)
    let accepted = try server.accept()
    var renamed = relay
    renamed.stream = "page"
    try await engine.replace(relay, with: renamed)
    client.send([1, 2, 3])
    #expect(accepted.receive(3).bytes == [1, 2, 3])
    let snapshot = try await engine.snapshot { $0.counters["bytes_out"] == 3 }
    #expect(snapshot.stream == "page")
    #expect(snapshot.counters["tcp_opened"] == 1 && snapshot.counters["bytes_in"] == 3)
  }

  @Test(arguments: [UInt8?.none, 46]) func codePoints(dscp: UInt8?) async throws {
    let server = try TestServer(address)
    let engine = try ProcessEngine()
    let relay = testRelay("web", .tcp, ingress: try freeEndpoint(address), to: [server.endpoint], dscp: dscp)
    try await engine.add(relay)
    // The code point goes with the segment that completes the handshake.
    var tos: Int32 = 10 << 2
    setsockopt(server.descriptor, Int32(IPPROTO_IP), IP_RECVTOS, [1], socklen_t(MemoryLayout<Int32>.size))
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    setsockopt(descriptor, Int32(IPPROTO_IP), IP_TOS, &tos, socklen_t(MemoryLayout<Int32>.size))
    var ingress = SocketAddress(relay.ingress)
    #expect(ingress.withPointer { connect(descriptor, $0, $1) } == 0)
    let accepted = try server.accept()
    #expect(sr_tcp_dscp(accepted.descriptor, 1) == UInt32(dscp ?? 10))
  }

  @Test func deadPeersAreFound() async throws {
    let server = try TestServer(address)
    let keepAlive = SplitLimits().keepAlive
    #expect(keepAlive.idle + keepAlive.interval * keepAlive.probes <= 120)
    var settings = keepAlive
    let client = try TestConnection(to: server.endpoint)
    sr_tcp_prepare(client.descriptor, 1, &settings, 0)
    #expect(client.option(Int(SOL_SOCKET), SO_KEEPALIVE) == 1)
    #expect(client.option(IPPROTO_TCP, TCP_KEEPIDLE) == keepAlive.idle)
    #expect(client.option(IPPROTO_TCP, TCP_NODELAY) == 1)
  }
}
