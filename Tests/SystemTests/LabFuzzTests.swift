import Foundation
import Testing
import Topology

@testable import StreamRouter

/// Damaged frames on a real wire, into a node whose relays run in the kernel:
///
///     a (frames are made here) ----to-b  to-a---- b (relays) ----to-c  to-b---- c (what comes is looked at)
///
/// Frames here may be shorter than their headers, which a test run of the program cannot be given.
@Suite(.enabled(if: LabFixture.obstacle == nil, "needs CAP_NET_ADMIN and CAP_SYS_ADMIN"), .serialized)
struct LabFuzzTests {
  private static let frames = 20_000

  /// The streams come with the file, which the daemons read.
  private static func yaml(_ name: String) -> String {
    """
    version: 1
    name: \(name)
    nodes:
      a: {addresses: [10.78.0.1, "fd78::1"]}
      b: {addresses: [10.78.0.2, "fd78::2"], engine: sandbox}
      c: {addresses: [10.78.0.3, "fd78::3"]}
    links: [a -- b, b -- c]
    probe: off  # nothing but streams shall be on the wire
    streams:
      plain: {protocol: udp, from: "b:5004", to: "c:6000", sources: [10.78.0.1]}
      media: {protocol: rtp, from: "b:5010", to: "c:6010", sources: [10.78.0.1]}
      six: {protocol: udp, from: "b:5020", to: "c:6020", family: ipv6, sources: ["fd78::1"]}
    """
  }

  @Test func onlyWhatStreamsNameReachesTheSink() async throws {
    let name = "t-fuzz-\(getpid())"
    let file = FileManager.default.temporaryDirectory.appending(path: name + ".yaml")
    try Data(Self.yaml(name).utf8).write(to: file)
    let fixture = try LabFixture(try Topology.load(path: file.path))
    // The fixture's own file is of no use to a real daemon.
    try Data(Self.yaml(name).utf8).write(to: fixture.file)
    try await fixture.use { _ in
      let lab = fixture.lab(Self.realDaemon)
      _ = try await fixture.up(lab)
      let relays = fixture.topology.relays(on: "b")
      try #require(relays.count == 3)
      let hardware = try await Self.hardwareAddresses(of: "b", in: name)
      let wire = try NamespacePacketSocket(
        namespace: LabNames.namespace(topology: name, node: "a"), device: "to-b")
      let sink = try NamespacePacketSocket(
        namespace: LabNames.namespace(topology: name, node: "c"), device: "to-b")
      let before = try await Self.counters(name)

      var mutator = WireMutator(relays: relays, to: hardware.towardsA)
      var arrived: [[UInt8]] = []
      for number in 0..<Self.frames {
        wire.send(mutator.next())
        if number % 8 == 7 { arrived += sink.waiting(from: hardware.towardsC) }
      }
      // What the datapath says that it sent is on the wire, and nothing else is.
      var sent = try await Self.counters(name)
      for _ in 0..<200 {
        try await Task.sleep(for: .milliseconds(20))
        arrived += sink.waiting(from: hardware.towardsC)
        let again = try await Self.counters(name)
        if again == sent { break }
        sent = again
      }
      let seed: Comment = "SR_SEED=\(mutator.seed)"
      var datagrams: UInt64 = 0
      for frame in arrived {
        switch WireMutator.Content(frame) {
        case .datagram(let source, let destination):
          datagrams += 1
          let isNamed = relays.contains { relay in
            relay.sinks.contains {
              $0.destination.isTarget(of: destination, from: source, at: $0.source, relay)
            }
          }
          #expect(isNamed, "\(source) to \(destination), \(seed)")
        case .neighbourTalk: break
        case .other: Issue.record("a frame of no stream left towards the sink: \(frame), \(seed)")
        }
      }
      let out = sent.out - before.out
      #expect(out > 1000, seed)
      #expect(datagrams == out, seed)
      // Whatever came in was looked at, and each has one fate.
      #expect(sent.datapath["seen"]! - before.datapath["seen"]! >= UInt64(Self.frames) * 9 / 10, seed)
      #expect(sent.datapath.filter { $0.key != "seen" }.values.reduce(0, +) == sent.datapath["seen"]!, seed)
      #expect(sent.accounted == sent.datapath["relayed"]!, seed)
      #expect(try await lab.status().isUp, seed)
    }
  }

  /// The command beside this test's own program.
  private static let realDaemon: Lab.Launcher = { file, node in
    [
      try LabFiles.ownExecutable().removingLastComponent().appending("streamrouter").string, "node", "run",
      file,
      "--name", node,
    ]
  }

  private struct Counters: Equatable {
    var datapath: [String: UInt64]
    /// Packets that left.
    var out: UInt64
    /// Packets that left, or were dropped for one cause: each relay here has one sink.
    var accounted: UInt64
  }

  private static func counters(_ topology: String) async throws -> Counters {
    let reading = await ControlSnapshotSource(topology: topology, nodes: ["b"]).read()
    let snapshot = try #require(reading[0].snapshot, "node b does not answer: \(reading[0].problem ?? "")")
    let relays = snapshot.relays
    #expect(relays.allSatisfy { $0.engine == .sandbox })
    let drops = relays.flatMap { $0.counters.filter { $0.key.hasPrefix("drop_") }.values }.reduce(0, +)
    let out = relays.compactMap { $0.counters["packets_out"] }.reduce(0, +)
    return Counters(datapath: snapshot.datapath, out: out, accounted: out + drops)
  }

  private static func hardwareAddresses(
    of node: String, in topology: String
  ) async throws -> (towardsA: [UInt8], towardsC: [UInt8]) {
    func address(_ device: String) async throws -> [UInt8] {
      let said = try await LabShell.run(
        "ip", ["-n", LabNames.namespace(topology: topology, node: node), "-o", "link", "show", "dev", device])
      let match = try #require(said.firstMatch(of: /link\/ether ([0-9a-f:]+)/))
      return match.output.1.split(separator: ":").compactMap { UInt8($0, radix: 16) }
    }
    return (try await address("to-a"), try await address("to-c"))
  }
}

extension Endpoint {
  /// Whether a datagram is one that `relay` sends to this sink; RTCP goes from and to the port above.
  fileprivate func isTarget(of destination: Endpoint, from source: Endpoint, at own: Endpoint, _ relay: Relay)
    -> Bool
  {
    (0...(relay.transport == .rtp ? 1 : 0)).contains { step in
      destination == Endpoint(address: address, port: port + UInt16(step))
        && source == Endpoint(address: own.address, port: own.port + UInt16(step))
    }
  }
}
