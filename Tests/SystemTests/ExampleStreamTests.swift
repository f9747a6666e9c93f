import Foundation
import Testing
import Topology

@testable import StreamRouter

/// The example files carry their streams: from each kind of source that they allow to every sink that they name, the
/// ones outside the topology included. The topologies are drawn in the files.
@Suite(.serialized, .enabled(if: LabFixture.obstacle == nil, "\(LabFixture.obstacle ?? "")"))
struct ExampleStreamTests {
  private static let outside = LabNames.outside

  /// Brings up topologies/`example`.yaml under a name of the test's own.
  private static func use(_ example: String, _ body: (LabFixture) async throws -> Void) async throws {
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let text = try String(contentsOf: package.appending(path: "topologies/\(example).yaml"), encoding: .utf8)
      .replacing("\nname: \(example)\n", with: "\nname: t-\(example)-\(getpid())\n")
    let file = FileManager.default.temporaryDirectory.appending(path: "t-\(example)-\(UUID().uuidString).yaml")
    try Data(text.utf8).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let fixture = try LabFixture(try Topology.load(path: file.path))
    try Data(text.utf8).write(to: fixture.file)
    let program = try LabFiles.ownExecutable().removingLastComponent().appending("streamrouter").string
    try await fixture.use { _ in
      _ = try await fixture.up(fixture.lab { file, node in [program, "node", "run", file, "--name", node] })
      try await body(fixture)
    }
  }

  private static func namespace(_ fixture: LabFixture, _ node: String) -> String {
    LabNames.namespace(topology: fixture.topology.name, node: node)
  }

  /// Sends the payloads from an address of a node, a few at a time so that no queue overflows.
  private static func send(
    _ payloads: [[UInt8]], _ fixture: LabFixture, on node: String, from address: String, to endpoint: String
  ) async throws {
    let descriptor = try BenchSocket.open(in: namespace(fixture, node), address: address, port: 4000)
    defer { close(descriptor) }
    let destination = try #require(Endpoint(endpoint))
    for (number, payload) in payloads.enumerated() {
      RealWireTests.send(descriptor, payload, segment: 0, to: destination)
      if number % 16 == 15 { try await Task.sleep(for: .milliseconds(1)) }
    }
  }

  /// RTP version 2 from `first` on, so that it serves protocol rtp and udp alike.
  private static func packets(_ count: Int, from first: Int = 0, bytes: Int = 1200) -> [[UInt8]] {
    (first..<first + count).map { number in
      let header: [UInt8] = [0x80, 96, UInt8(number >> 8 & 0xff), UInt8(number & 0xff), 0, 0, 0, 0, 0, 0, 0, 7]
      let body: [UInt8] = (12..<bytes).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ number) }
      return header + body
    }
  }

  private static func account(_ fixture: LabFixture, _ stream: String) async throws -> [String: RelaySnapshot] {
    let readings = await ControlSnapshotSource(
      topology: fixture.topology.name, nodes: fixture.topology.nodes.map(\.name)
    ).read()
    var account: [String: RelaySnapshot] = [:]
    for reading in readings {
      let snapshot = try #require(reading.snapshot, "\(reading.node): \(reading.problem ?? "no answer")")
      account[reading.node] = snapshot.relays.first { $0.stream == stream }
    }
    return account
  }

  private static func hardware(_ fixture: LabFixture, _ node: String, _ device: String) async throws -> [UInt8]
  {
    let said = try await LabShell.run(
      "ip", ["-n", namespace(fixture, node), "-o", "link", "show", "dev", device])
    let match = try #require(said.firstMatch(of: /link\/ether ([0-9a-f:]+)/))
    return match.output.1.split(separator: ":").compactMap { UInt8($0, radix: 16) }
  }

  @Test("fan-out.yaml delivers to both studios and to the archive outside", .timeLimit(.minutes(2)))
  func fanOut() async throws {
    try await Self.use("fan-out") { fixture in
      let sinks = try [
        ("studio-a", "10.43.1.3:6000"), ("studio-b", "10.43.2.3:6000"), (Self.outside, "192.0.2.10:7000"),
      ].map { (node: $0, sink: try DatagramCollector(namespace: Self.namespace(fixture, $0), at: $1)) }
      let edge = try await Self.hardware(fixture, "edge", LabNames.device(to: Self.outside))
      let wire = try NamespacePacketSocket(
        namespace: Self.namespace(fixture, Self.outside), device: LabNames.device(to: "edge"))

      // From the camera itself, from the prefix that the file allows besides, and from where nobody may send.
      let own = Self.packets(400)
      let guests = Self.packets(100, from: 400)
      try await Self.send(own, fixture, on: "camera", from: "10.43.0.1", to: "10.43.0.1:5000")
      try await Self.waitUntil {
        try await Self.account(fixture, "feed")["camera"]?.counters["packets_in"] == 400
      }
      try await Self.send(guests, fixture, on: Self.outside, from: "10.43.0.129", to: "10.43.0.1:5000")
      let strangers = Self.packets(7, from: 500)
      try await Self.send(strangers, fixture, on: Self.outside, from: "192.0.2.10", to: "10.43.0.1:5000")
      for (node, sink) in sinks {
        let arrived = try await sink.all(expecting: 500)
        // Compared as a flag: the bytes themselves would fill screens.
        let isSame = arrived == own + guests
        #expect(isSame, "\(node): \(arrived.count) of 500, or other bytes or another order")
      }

      // cs3 is 24, and ECN is left alone.
      let datagrams = wire.waiting(from: edge).filter {
        $0.count > 42 && $0[12] == 8 && $0[13] == 0 && $0[23] == 17
      }
      #expect(datagrams.count == 500)
      #expect(datagrams.allSatisfy { $0[15] == 24 << 2 })

      let account = try await Self.account(fixture, "feed")
      for (node, copies) in [("camera", 1), ("edge", 3), ("studio-a", 1), ("studio-b", 1)] {
        let relay = try #require(account[node])
        let refused: UInt64 = node == "camera" ? 7 : 0
        #expect(relay.counters["drop_source"] == refused && relay.dropped == refused, "\(relay.counters)")
        #expect(relay.engine == .sandbox)
        #expect(relay.counters["packets_in"] == 500 && relay.counters["packets_out"] == 500 * UInt64(copies))
      }
    }
  }

  /// No module for VLAN devices is needed: the kernel takes the tag off before traffic control sees the packet.
  @Test("a tagged frame from the wire is relayed without its tag", .timeLimit(.minutes(2)))
  func taggedFrame() async throws {
    try await Self.use("fan-out") { fixture in
      let sink = try DatagramCollector(
        namespace: Self.namespace(fixture, Self.outside), at: "192.0.2.10:7000")
      let edge = try await Self.hardware(fixture, "edge", LabNames.device(to: Self.outside))
      let after = try NamespacePacketSocket(
        namespace: Self.namespace(fixture, Self.outside), device: LabNames.device(to: "edge"))
      let before = try NamespacePacketSocket(
        namespace: Self.namespace(fixture, Self.outside), device: LabNames.device(to: "camera"))
      let camera = try await Self.hardware(fixture, "camera", LabNames.device(to: Self.outside))
      // 10.43.0.129:4000 to 10.43.0.1:5000, TTL 64, no UDP checksum (RFC 768).
      let ip: [UInt8] =
        [0x45, 0, 0, 34, 0, 0, 0, 0, 64, 17, 0x65, 0xf4, 10, 43, 0, 129, 10, 43, 0, 1]
      let udp: [UInt8] = [0x0f, 0xa0, 0x13, 0x88, 0, 14, 0, 0] + Array("tagged".utf8)
      let address: [UInt8] = camera + [2, 0, 0, 0, 0, 9]
      // VLAN 100, and VLAN 100 within VLAN 7 (IEEE 802.1ad).
      before.send(address + [0x81, 0, 0, 100, 8, 0] + ip + udp)
      before.send(address + [0x88, 0xa8, 0, 7, 0x81, 0, 0, 100, 8, 0] + ip + udp)
      #expect(try await sink.all(expecting: 2) == [Array("tagged".utf8), Array("tagged".utf8)])
      let frames = after.waiting(from: edge).filter { $0.suffix(6) == Array("tagged".utf8)[...] }
      #expect(frames.map(\.count) == [48, 48])
      #expect(frames.allSatisfy { $0[12] == 8 && $0[13] == 0 })
    }
  }

  @Test(
    "ipv6.yaml delivers on the edge and outside, and counts what is larger than its link",
    .timeLimit(.minutes(2)))
  func ipv6() async throws {
    try await Self.use("ipv6") { fixture in
      let sinks = try [("edge", "[fd44::2]:5004"), (Self.outside, "[2001:db8::7]:5004")]
        .map { (node: $0, sink: try DatagramCollector(namespace: Self.namespace(fixture, $0), at: $1)) }
      // 40 bytes of IPv6 and 8 of UDP make exactly the 1,280 of the link, and one more does not fit.
      let fitting = Self.packets(300, bytes: 1232)
      try await Self.send(fitting, fixture, on: "camera", from: "fd44::1", to: "[fd44::1]:5004")
      try await Self.send(
        Self.packets(3, from: 300, bytes: 1233), fixture, on: "camera", from: "fd44::1", to: "[fd44::1]:5004")
      for (node, sink) in sinks {
        let arrived = try await sink.all(expecting: 300)
        let isSame = arrived == fitting
        #expect(isSame, "\(node): \(arrived.count) of 300, or other bytes or another order")
      }
      let account = try await Self.account(fixture, "video")
      let camera = try #require(account["camera"])
      let edge = try #require(account["edge"])
      #expect(camera.engine == .sandbox && edge.engine == .sandbox)
      #expect(camera.counters["packets_in"] == 303 && camera.counters["packets_out"] == 300)
      #expect(camera.counters["drop_mtu"] == 3 && camera.dropped == 3)
      #expect(edge.counters["packets_in"] == 300 && edge.counters["packets_out"] == 600)
      #expect(edge.rtpLost == 0 && edge.dropped == 0)
    }
  }

  private static func waitUntil(_ holds: () async throws -> Bool) async throws {
    let limit = ContinuousClock.now + .seconds(10)
    while try await !holds(), .now < limit { try await Task.sleep(for: .milliseconds(20)) }
    #expect(try await holds())
  }
}
