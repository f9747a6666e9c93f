import Foundation
import Glibc
import TestSupport
import Testing
import Topology

@testable import StreamRouter

/// Connections that are used and ended in any order leave nothing behind; another run by `SR_SEED=n`.
@Suite(.timeLimit(.minutes(3))) struct SplitFuzzTests {
  @Test func anyOrderOfEnds() async throws {
    var random = SeededRandom()
    let seed = random.seed
    let address = freshLoopback()
    let (server, other) = (try TestServer(address), try TestServer(address))
    var limits = SplitLimits()
    limits.connections = 48
    limits.pipeBytes = 64 << 10
    limits.roundBytes = 16 << 10
    limits.idlePipes = 4
    limits.sweepMs = 10
    let engine = try ProcessEngine(split: limits)
    let relay = testRelay("web", .tcp, ingress: try freeEndpoint(address), to: [server.endpoint])
    var changed = relay
    changed.sinks[0].destination = other.endpoint
    try await engine.add(relay)
    for each in [server, other] { _ = fcntl(each.descriptor, F_SETFL, O_NONBLOCK) }

    var ends: [TestConnection] = []
    var isChanged = false
    for _ in 0..<6_000 {
      let which = ends.indices.randomElement(using: &random)
      switch Int.random(in: 0..<20, using: &random) {
      case 0..<5:
        if ends.count < 120, let client = try? TestConnection(to: relay.ingress) {
          ends.append(client.patient(false))
        }
      case 5..<8:
        for each in [server, other] { if let end = try? each.accept() { ends.append(end.patient(false)) } }
      case 8..<12:
        let bytes = [UInt8](repeating: 1, count: Int.random(in: 1...200_000, using: &random))
        if let which { ends[which].send(bytes) }
      case 12..<15: if let which { _ = ends[which].receive(Int.random(in: 1...400_000, using: &random)) }
      case 15: if let which { ends[which].finish() }
      case 16: if let which { ends.remove(at: which).close() }
      case 17: if let which { ends.remove(at: which).reset() }
      case 18: if let which { shutdown(ends[which].descriptor, Int32(SHUT_RD)) }
      default:
        if Int.random(in: 0..<20, using: &random) == 0 {
          try await engine.replace(isChanged ? changed : relay, with: isChanged ? relay : changed)
          isChanged.toggle()
        } else {
          _ = try await engine.snapshots()
        }
      }
    }
    while let end = ends.popLast() { end.close() }
    // Those that were never accepted; the engine's thread may still be about to make some.
    for _ in 0..<2000 {
      for each in [server, other] { while let end = try? each.accept() { end.close() } }
      if try await engine.snapshot().tcp?.open == 0 { break }
      try await Task.sleep(for: .milliseconds(10))
    }
    let after = try await engine.snapshot { $0.tcp?.open == 0 }
    #expect(after.tcp?.open == 0, "seed \(seed)")
    let counters = after.counters
    let ended = ["tcp_closed", "tcp_reset", "tcp_refused", "tcp_expired"].reduce(0) { $0 + counters[$1]! }
    #expect(counters["tcp_opened"] == ended, "seed \(seed)")
    #expect(counters["tcp_closed"]! > 0 && counters["tcp_reset"]! > 0, "seed \(seed)")
    #expect(counters["bytes_in"]! >= counters["bytes_out"]!, "seed \(seed)")
    // One wait of the thread lets go of what stood in the queue.
    for _ in 0..<500 where await engine.held().connections > 0 { try await Task.sleep(for: .milliseconds(10)) }
    let held = await engine.held()
    #expect(held.connections == 0 && held.pipesInUse == 0, "seed \(seed)")
    #expect(held.pipes <= 4, "seed \(seed)")
    // Of all sockets of this process those at these addresses: the two servers and the ingress.
    #expect(openSockets(at: address) == 3, "seed \(seed)")
    await engine.stop()
    #expect(openSockets(at: address) == 2, "seed \(seed)")
  }

  private func openSockets(at address: IPAddress) -> Int {
    let descriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
    return descriptors.compactMap { Int32($0) }.count { descriptor in
      var local = SocketAddress(Endpoint(address: IPAddress(high: 0, low: 0), port: 0))
      return local.withMutablePointer { getsockname(descriptor, $0, &$1) } == 0
        && local.endpoint.address == address
    }
  }
}

extension TestConnection {
  /// Calls do not block.
  fileprivate func patient(_ isPatient: Bool) -> TestConnection {
    _ = fcntl(descriptor, F_SETFL, isPatient ? 0 : O_NONBLOCK)
    return self
  }
}
