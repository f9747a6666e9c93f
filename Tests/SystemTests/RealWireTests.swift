import CStreamRouter
import Foundation
import Testing
import Topology

@testable import StreamRouter

/// What a test run cannot show: checksums that are still partial, trains of datagrams, sockets that verify.
///
///     sender --> camera ---- edge ---- studio --> a socket that verifies checksums
///
/// Checksum offload of the links is off: what the rewritten packet carries is finished in software before the wire and
/// verified by the receiver. On veth with offload nobody would look at it.
@Suite(.serialized, .enabled(if: LabFixture.obstacle == nil, "\(LabFixture.obstacle ?? "")"))
struct RealWireTests {
  private static let obstacle: String? =
    LabShell.searchPath.split(separator: ":")
      .contains { FileManager.default.isExecutableFile(atPath: "\($0)/ethtool") }
    ? nil : "needs ethtool: run scripts/setup.sh test"

  private static let streams = """
      four: {protocol: udp, from: "camera:5012", to: "studio:5012"}
      six: {protocol: udp, from: "camera:5014", to: "studio:5014", family: ipv6, dscp: 46}
    """

  @Test(
    "single datagrams, trains and zero checksums, IPv4 and IPv6",
    .enabled(if: obstacle == nil, "\(obstacle ?? "")"),
    .timeLimit(.minutes(2)), arguments: [EngineChoice.sandbox, .process], [true, false])
  func checksums(engine: EngineChoice, offload: Bool) async throws {
    let live = try LiveLab(offload ? "wire" : "bare", engine: engine, streams: Self.streams)
    try await live.use {
      // A lab's wires carry datagrams one by one; here trains shall travel whole.
      for (node, devices) in [
        ("camera", ["lo", "to-edge"]), ("edge", ["to-camera", "to-studio"]), ("studio", ["lo", "to-edge"]),
      ] {
        for device in devices {
          let set = try await live.run(node, ["ip", "link", "set", device, "gso_max_segs", "65535"])
          #expect(set.succeeded, "\(set.errors)")
        }
      }
      if !offload {
        for (node, devices) in [
          ("camera", ["to-edge"]), ("edge", ["to-camera", "to-studio"]), ("studio", ["to-edge"]),
        ] {
          for device in devices {
            let set = try await live.run(node, ["ethtool", "-K", device, "tx", "off"])
            #expect(set.succeeded, "\(set.errors)")
          }
        }
      }
      for (stream, from, to, own) in [
        ("four", "10.78.0.1:5012", "10.78.0.3:5012", "10.78.0.1"),
        ("six", "[fd78::1]:5014", "[fd78::3]:5014", "fd78::1"),
      ] {
        let collector = try DatagramCollector(live, node: "studio", at: to)
        let descriptor = try BenchSocket.open(in: live.namespace("camera"), address: own, port: 4000)
        defer { close(descriptor) }
        var expected: [[UInt8]] = []
        // One by one, every length from nothing to what fits; odd ones tell of a checksum's last byte.
        for length in [0, 1, 2, 3, 47, 100, 101, 999, 1000, 1400] {
          let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ length) }
          Self.send(descriptor, bytes, segment: 0, to: try #require(Endpoint(from)))
          expected.append(bytes)
        }
        // A train: 20 datagrams of 1,200 bytes and a shorter one, handed over at once (UDP_SEGMENT).
        let train = (0..<24_500).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        Self.send(descriptor, train, segment: 1200, to: try #require(Endpoint(from)))
        expected += stride(from: 0, to: train.count, by: 1200).map {
          Array(train[$0..<min($0 + 1200, train.count)])
        }
        if stream == "four" {
          // Without a checksum (RFC 768); IPv6 does not know this.
          var on: Int32 = 1
          setsockopt(descriptor, SOL_SOCKET, SO_NO_CHECK, &on, socklen_t(MemoryLayout<Int32>.size))
          Self.send(descriptor, Array("unchecked".utf8), segment: 0, to: try #require(Endpoint(from)))
          expected.append(Array("unchecked".utf8))
        }
        let received = try await collector.all(expecting: expected.count)
        #expect(received.map(\.count) == expected.map(\.count), "\(stream)")
        let identical = received == expected
        #expect(identical, "\(stream): bytes differ")
        let hops = try await live.account(stream)
        #expect(hops.map { $0.counters["packets_in"] } == Array(repeating: UInt64(expected.count), count: 3))
        #expect(hops.map(\.dropped) == [0, 0, 0])
      }
    }
  }

  /// What the sockets of the other test do not show: the headers as the last hop meets them. The sums are made in
  /// software, since the links offload nothing, and a datagram that came without a checksum goes on without one.
  @Test(
    "headers on the wire: sums, TTL, code point, source", .enabled(if: obstacle == nil, "\(obstacle ?? "")"),
    .timeLimit(.minutes(2)))
  func headers() async throws {
    // Nothing but the stream shall be on the wire.
    let stream = "  four: {protocol: udp, from: \"camera:5012\", to: \"studio:5012\", dscp: 46}\nprobe: off"
    let live = try LiveLab("t-heads", engine: .sandbox, streams: stream)
    try await live.use {
      for (node, device) in [("camera", "to-edge"), ("edge", "to-studio")] {
        let set = try await live.run(node, ["ethtool", "-K", device, "tx", "off"])
        #expect(set.succeeded, "\(set.errors)")
      }
      let link = try await live.run("edge", ["ip", "-o", "link", "show", "dev", "to-studio"]).output
      let address = try #require(link.firstMatch(of: /link\/ether ([0-9a-f:]{17})/)).output.1
      let edge = address.split(separator: ":").compactMap { UInt8($0, radix: 16) }
      let wire = try NamespacePacketSocket(namespace: live.namespace("studio"), device: "to-edge")
      let collector = try DatagramCollector(live, node: "studio", at: "10.78.0.3:5012")
      let sender = try BenchSocket.open(in: live.namespace("camera"), address: "10.78.0.1", port: 4000)
      defer { close(sender) }

      let ingress = try #require(Endpoint("10.78.0.1:5012"))
      let payloads = [0, 1, 2, 47, 999, 1400].map { length in
        (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 13 &+ length) }
      }
      for payload in payloads { Self.send(sender, payload, segment: 0, to: ingress) }
      var on: Int32 = 1
      setsockopt(sender, SOL_SOCKET, SO_NO_CHECK, &on, socklen_t(MemoryLayout<Int32>.size))
      for payload in payloads { Self.send(sender, payload, segment: 0, to: ingress) }

      #expect(try await collector.all(expecting: 2 * payloads.count) == payloads + payloads)
      let datagrams = wire.waiting(from: edge).compactMap(WireDatagram.init)
      #expect(datagrams.map(\.payload) == payloads + payloads)
      #expect(datagrams.prefix(payloads.count).allSatisfy { $0.checksum != 0 })
      #expect(datagrams.dropFirst(payloads.count).allSatisfy { $0.checksum == 0 })
      for datagram in datagrams {
        #expect(datagram.sumsAreRight)
        #expect(datagram.source == [10, 78, 0, 2])
        // The sender's 64, less one at the camera and one at the edge.
        #expect(datagram.timeToLive == 62)
        #expect(datagram.codePoint == 46)
      }
    }
  }

  static func send(_ descriptor: Int32, _ bytes: [UInt8], segment: UInt32, to endpoint: Endpoint) {
    var bytes = bytes
    let sender = sr_sender_make()
    defer { sr_sender_free(sender) }
    bytes.withUnsafeMutableBytes { buffer in
      var piece = iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
      var train = sr_train(first_piece: 0, pieces: 1, segment: segment, dscp: 0)
      var to = sr_udp_address(address: endpoint.address.words, port: endpoint.port)
      sr_sender_load(sender, &train, 1, endpoint.address.family == .ipv4 ? 1 : 0, &piece)
      sr_sender_address(sender, &to, nil)
      #expect(sr_send(sender, descriptor, 0, 1) == 1, "sending \(buffer.count) bytes: errno \(errno)")
    }
  }
}
