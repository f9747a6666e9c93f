import Foundation
import SystemPackage
import Testing
import Topology

@testable import StreamRouter

/// The topologies of the extensions that we ship, each in a lab with real daemons and numbered RTP packets: the
/// extension does what its file says.
@Suite(.serialized, .enabled(if: ExtensionBuilding.obstacle == nil, "\(ExtensionBuilding.obstacle ?? "")"))
struct ExtensionExampleTests {
  /// Where the examples of one run stand, with all shipped extensions built beside them; made once.
  private static let shop = Task { () throws -> URL in
    let folder = FileManager.default.temporaryDirectory.appending(path: "sr-shipped-\(getpid())")
    let extensions = folder.appending(path: "extensions")
    try FileManager.default.createDirectory(at: extensions, withIntermediateDirectories: true)
    atexit {
      try? FileManager.default.removeItem(
        at: FileManager.default.temporaryDirectory.appending(path: "sr-shipped-\(getpid())"))
    }
    let builder = try ExtensionBuilder()
    for file in try FileManager.default.contentsOfDirectory(atPath: package.appending(path: "Extensions").path)
    where file.hasSuffix(".swift") {
      _ = try await builder.build(
        source: FilePath(package.appending(path: "Extensions/\(file)").path), into: FilePath(extensions.path))
    }
    return folder
  }

  private static let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  /// A lab of topologies/extensions/`name`.yaml under a name of the test's own.
  private struct Example {
    let topology: Topology
    let file: URL
    let lab: Lab

    func namespace(_ node: String) -> String { LabNames.namespace(topology: topology.name, node: node) }

    func send(_ range: Range<Int>, from node: String, to ingress: String, perSecond rate: Int = 5000)
      async throws
    {
      try await NumberedRTP.send(
        range, in: namespace(node), to: try #require(Endpoint(ingress)), perSecond: rate)
    }

    /// The account of a node's only relay, once it has seen that many packets.
    func account(_ node: String, packets: Int) async throws -> RelaySnapshot {
      let deadline = ContinuousClock.now + .seconds(10)
      while true {
        let reading = await ControlSnapshotSource(topology: topology.name, nodes: [node]).read()
        let relay = try #require(
          reading.first?.snapshot?.relays.first, "\(reading.first?.problem ?? "no relay")")
        if relay.counters["packets_in"] ?? 0 >= packets || ContinuousClock.now > deadline {
          #expect(relay.counters["packets_in"] == UInt64(packets) && relay.engine == .sandbox)
          return relay
        }
        try await Task.sleep(for: .milliseconds(20))
      }
    }
  }

  private static func use(_ name: String, _ body: (Example) async throws -> Void) async throws {
    let folder = try await shop.value
    let own = "x-\(name.prefix(8))-\(getpid())"
    let text = try String(
      contentsOf: package.appending(path: "topologies/extensions/\(name).yaml"), encoding: .utf8
    ).replacing("\nname: \(name)\n", with: "\nname: \(own)\n")
    let file = folder.appending(path: "\(own).yaml")
    try text.write(to: file, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(at: file) }
    let topology = try Topology.loadWithExtensions(path: file.path)
    let program = try LabFiles.ownExecutable().removingLastComponent().appending(LiveLab.program).string
    let lab = Lab(
      topology: own, launcher: { file, node in [program, "node", "run", file, "--name", node] })
    do {
      _ = try await lab.up(topology, file: FilePath(file.path))
      try await body(Example(topology: topology, file: file, lab: lab))
    } catch {
      _ = try? await lab.downAnyway(topology)
      throw error
    }
    _ = try await lab.downAnyway(topology)
  }

  @Test func police() async throws {
    try await Self.use("police") { example in
      try await example.send(0..<1000, from: "camera", to: "10.80.0.1:5004")
      let found = try #require(try await example.account("camera", packets: 1000).extensions.first)
      // 50 at once, and 1,000 a second in at least the 0.2 s that sending takes.
      #expect(found.runs == 1000 && found.forwarded >= 240 && found.dropped > 0, "\(found)")
      #expect(found.counters["tooManyPackets"] == found.dropped)
    }
  }

  @Test func thin() async throws {
    try await Self.use("thin") { example in
      try await example.send(0..<300, from: "camera", to: "10.80.0.1:5004")
      _ = try await example.account("camera", packets: 300)
      let found = try #require(try await example.account("studio", packets: 300).extensions.first)
      #expect(found.runs == 300 && found.dropped > 0, "\(found)")
      #expect(found.counters.values.reduce(0, +) == found.dropped)
      _ = try await example.account("field", packets: Int(found.forwarded))
    }
  }

  @Test func rewrite() async throws {
    try await Self.use("rewrite") { example in
      try await example.send(0..<300, from: "camera", to: "10.80.0.1:5004")
      let found = try #require(try await example.account("camera", packets: 300).extensions.first)
      #expect(found.counters["rtp"] == 300)
      let next = try await example.account("studio", packets: 300)
      #expect(next.ssrc == 0x1234_abcd && next.counters["rtp_packets"] == 300 && next.rtpLost == 0)
    }
  }

  @Test func dejitterMark() async throws {
    try await Self.use("dejitter-mark") { example in
      try await example.send(0..<300, from: "camera", to: "10.80.0.1:5004")
      let found = try #require(try await example.account("studio", packets: 300).extensions.first)
      #expect(found.runs == 300 && found.forwarded == 300)
      let histogram = try #require(found.histogram)
      #expect(histogram.name == "lateness_us" && histogram.counts.reduce(0, +) > 250, "\(histogram)")
    }
  }

  @Test func dedup() async throws {
    try await Self.use("dedup") { example in
      let sink = try DatagramCollector(namespace: example.namespace("studio"), at: "10.80.0.3:6000")
      // One way loses packets 100 to 149, the other one is whole and later.
      try await example.send(0..<100, from: "north", to: "10.80.0.3:7000")
      try await example.send(150..<300, from: "north", to: "10.80.0.3:7000")
      try await example.send(0..<300, from: "south", to: "10.80.0.3:7000")
      let found = try #require(try await example.account("studio", packets: 550).extensions.first)
      #expect(found.runs == 550 && found.forwarded == 300 && found.dropped == 250, "\(found)")
      #expect(found.counters["copies"] == 250 && found.counters["filled"] == 50, "\(found.counters)")
      let numbers = NumberedRTP.numbers(try await sink.all(expecting: 300))
      #expect(numbers.count == 300 && Set(numbers) == Set(0..<300))
    }
  }

  @Test func sample() async throws {
    try await Self.use("sample") { example in
      let probe = try DatagramCollector(namespace: example.namespace("probe"), at: "10.80.0.3:6000")
      let studio = try DatagramCollector(namespace: example.namespace("studio"), at: "10.80.0.2:6000")
      try await example.send(0..<300, from: "camera", to: "10.80.0.1:5004")
      let found = try #require(try await example.account("studio", packets: 300).extensions.first)
      #expect(found.counters["sampled"] == 6, "\(found)")
      #expect(NumberedRTP.numbers(try await studio.all(expecting: 300)) == Array(0..<300))
      #expect(NumberedRTP.numbers(try await probe.all(expecting: 6)) == [0, 50, 100, 150, 200, 250])
    }
  }
}
