import Foundation
import Testing
import Topology

@testable import StreamRouter

/// The stream goes on, whatever happens to the daemons: 2,000 numbered datagrams a second from the camera to the studio.
///
///     sender --> camera ---- edge ---- studio --> receiver
///                              ^ killed, restarted, told to read a changed file
@Suite(.serialized, .enabled(if: LabFixture.obstacle == nil, "\(LabFixture.obstacle ?? "")"))
struct SurvivalTests {
  private static let count = 10_000
  private static let stream = "  numbers: {protocol: udp, from: \"camera:5012\", to: \"studio:5012\"}"

  @Test("SIGKILL of every daemon under load loses nothing", .timeLimit(.minutes(2)))
  func killedDaemons() async throws {
    let live = try LiveLab("kill", engine: .sandbox, streams: Self.stream)
    try await live.use {
      let collector = try DatagramCollector(live, node: "studio", at: "10.78.0.3:5012")
      async let sent: Void = Self.send(live)
      try await Task.sleep(for: .seconds(1.5))
      let before = try await live.account("numbers")
      #expect(before.allSatisfy { $0.counters["packets_in"] ?? 0 > 0 }, "the stream runs before the kill")
      let killed = try ["camera", "edge", "studio"].map { try live.pid($0) }
      for pid in killed { kill(pid, SIGKILL) }
      try await Task.sleep(for: .seconds(1))
      #expect(
        try await live.up() == .updated(restarted: ["camera", "edge", "studio"], reloaded: []), "all were dead")
      #expect(try ["camera", "edge", "studio"].map { try live.pid($0) } != killed)
      try await sent
      Self.expectAll(try await collector.all(expecting: Self.count))
      let after = try await live.account("numbers")
      #expect(after.map { $0.counters["packets_in"] } == Array(repeating: UInt64(Self.count), count: 3))
      #expect(after.map { $0.counters["packets_out"] } == Array(repeating: UInt64(Self.count), count: 3))
      #expect(after.map(\.dropped) == [0, 0, 0])
      #expect(after.allSatisfy { $0.engine == .sandbox })
    }
  }

  @Test(
    "a second sink on SIGHUP costs the first one nothing, and a wrong file changes nothing",
    .timeLimit(.minutes(2)), arguments: [EngineChoice.sandbox, .process])
  func changedFile(engine: EngineChoice) async throws {
    let live = try LiveLab("hup", engine: engine, streams: Self.stream)
    try await live.use {
      let first = try DatagramCollector(live, node: "studio", at: "10.78.0.3:5012")
      let second = try DatagramCollector(live, node: "edge", at: "10.78.0.2:7000")
      async let sent: Void = Self.send(live)
      try await Task.sleep(for: .seconds(1))
      try live.rewrite(
        engine: engine,
        streams: "  numbers: {protocol: udp, from: \"camera:5012\", to: [\"studio:5012\", \"edge:7000\"]}")
      #expect(try await live.up() == .updated(restarted: [], reloaded: ["camera", "edge", "studio"]))
      try await Task.sleep(for: .seconds(1))
      try "version: 1\nname: broken\nnodes: 7\n".write(to: live.file, atomically: true, encoding: .utf8)
      kill(try live.pid("edge"), SIGHUP)
      try await sent
      Self.expectAll(try await first.all(expecting: Self.count))
      let late = Self.numbers(try await second.all(expecting: 2000))
      #expect(late.count > 2000, "the second sink is served after the change")
      #expect(zip(late, late.dropFirst()).allSatisfy { $1 == $0 + 1 }, "and misses nothing from then on")
      let log = LabFiles.read(NodePaths(topology: live.topology.name, node: "edge").log) ?? ""
      #expect(log.contains("changed nothing"), "the wrong file is reported")
    }
  }

  private static func send(_ live: LiveLab) async throws {
    let socket = try NamespaceSocket(namespace: live.namespace("camera"), family: AF_INET)
    let ingress = try #require(Endpoint("10.78.0.1:5012"))
    let clock = ContinuousClock()
    let start = clock.now
    for number in 0..<count {
      let due = start + .microseconds(500 * number)
      if due > clock.now { try await Task.sleep(until: due, clock: clock) }
      try socket.send("\(number)", to: ingress)
    }
  }

  private static func numbers(_ datagrams: [[UInt8]]) -> [Int] {
    datagrams.compactMap { Int(String(decoding: $0, as: UTF8.self)) }
  }

  private static func expectAll(_ datagrams: [[UInt8]]) {
    let numbers = numbers(datagrams)
    #expect(numbers.count == count, "\(count - numbers.count) datagrams lost")
    let inOrder = numbers == Array(0..<count)
    #expect(inOrder, "every datagram once and in order")
  }
}
