import Foundation
import Testing
import Topology

@testable import StreamRouter

#if canImport(Glibc)
  import Glibc
#endif

/// Nodes that run as an ordinary user with the capabilities of the service's unit and no others.
///
///     sender --> camera 10.78.0.1 ---- edge 10.78.0.2 ---- studio 10.78.0.3 --> receiver
@Suite(.serialized, .enabled(if: ServiceUser.obstacle == nil, "\(ServiceUser.obstacle ?? "")"))
struct CapabilityTests {
  @Test("engine auto is sandbox for a user with capabilities, and outlives its daemon", .timeLimit(.minutes(2)))
  func relays() async throws {
    let place = FileManager.default.temporaryDirectory.appending(path: "t-caps-program-\(getpid())")
    let program = try ServiceUser.program(in: place)
    defer { try? FileManager.default.removeItem(at: place) }
    let name = "t-caps-auto-\(getpid())"
    // What tmpfiles.d and RuntimeDirectory= do for the service.
    let prepare = """
      mkdir -p "$1" && chown \(ServiceUser.id) "$1" "$2" && export STREAMROUTER_RUNTIME_DIR="$3" && shift 3 && exec "$@"
      """
    let folders = [
      NodePaths.pinDirectory(topology: name), NodePaths.runtimeDirectory(topology: name), NodePaths.runtimeRoot,
    ].map(\.string)
    let live = try LiveLab(
      "t-caps", engine: .auto, streams: "  video: {protocol: rtp, from: \"camera:5004\", to: \"studio:5004\"}"
    ) { file, node in
      ["sh", "-c", prepare, "sh"] + folders + ServiceUser.bounds(Capability.node)
        + [program, "node", "run", file, "--name", node]
    }
    try #require(live.topology.name == name)
    try await live.use {
      let first = try #require(LabProcess(running: live.pid("edge")))
      let status = try #require(LabFiles.read(.init("/proc/\(first.pid)/status")))
      #expect(
        status.contains("Uid:\t\(ServiceUser.id)\t\(ServiceUser.id)\t\(ServiceUser.id)\t\(ServiceUser.id)\n"))
      #expect(Capability.missing(Capability.allCases, in: status) == [.sysAdmin])

      let receiver = try DatagramCollector(live, node: "studio", at: "10.78.0.3:5004")
      let ingress = try #require(Endpoint("10.78.0.1:5004"))
      let numbers = 0..<20_000
      async let sending: Void = NumberedRTP.send(
        numbers, in: live.namespace("camera"), to: ingress, perSecond: 5000)
      while receiver.count < 3000 { try await Task.sleep(for: .milliseconds(10)) }
      first.signal(SIGKILL)
      while first.isRunning { try await Task.sleep(for: .milliseconds(10)) }
      // The next daemon finds what runs without asking the kernel for programs by number, which root alone may.
      #expect(try await live.up() == .updated(restarted: ["edge"], reloaded: []))
      #expect(receiver.count < numbers.count, "the load ended before the restart did")
      try await sending
      NumberedRTP.expectAll(try await receiver.all(expecting: numbers.count), numbers)
      let hops = try await live.account("video")
      #expect(hops.map(\.engine) == [.sandbox, .sandbox, .sandbox])
      #expect(hops.allSatisfy { $0.counters["packets_out"] == UInt64(numbers.count) && $0.dropped == 0 })
      let pins = NodePaths(topology: name, node: "edge").pins
      #expect(LabFiles.list(pins.appending("programs")).count == 1, "one program stands on devices")

      // It takes away what it made, as the same user.
      let second = try #require(LabProcess(running: live.pid("edge")))
      second.signal(SIGTERM)
      while second.isRunning { try await Task.sleep(for: .milliseconds(10)) }
      let removed = try await live.run(
        "edge",
        ServiceUser.bounds(Capability.node) + [program, "node", "remove", live.file.path, "--name", "edge"])
      #expect(removed.succeeded, "\(removed.errors)")
      #expect(!LabFiles.exists(pins))
      let left = try NetworkNamespace.run(in: live.namespace("edge")) {
        SandboxDevices.all().filter { SandboxDevices.programID(on: $0) != nil }.map(\.name)
      }
      #expect(left == [])
    }
  }

  /// A node on the loopback device that insists on engine sandbox, and how it ends.
  private func outcome(_ name: String, as command: [String]) async throws -> LabShell.Outcome {
    let place = FileManager.default.temporaryDirectory.appending(path: name)
    let program = try ServiceUser.program(in: place)
    defer { try? FileManager.default.removeItem(at: place) }
    let file = place.appending(path: "t.yaml")
    let text = """
      version: 1
      name: \(name)
      nodes: {a: {address: 127.81.0.1, engine: sandbox}}
      streams: {one: {protocol: udp, from: "a:5004", to: "127.81.0.2:6000", sources: 127.0.0.0/8}}

      """
    try Data(text.utf8).write(to: file)
    // A network of its own, whose lo it may change.
    return try await LabShell.attempt(
      "unshare", ["--net"] + command + [program, "node", "run", file.path, "--name", "a"])
  }

  @Test("each capability that is missing is named, and it alone", arguments: Capability.sandbox)
  func missing(_ capability: Capability) async throws {
    let outcome = try await outcome(
      "t-caps-\("\(capability)".lowercased())-\(getpid())",
      as: ServiceUser.bounds(Capability.node.filter { $0 != capability }))
    #expect(outcome.status == "exited(77)")
    #expect(outcome.errors.contains("this process lacks \(capability.rawValue);"), "\(outcome.errors)")
  }

  @Test("pins that belong to another user are named, with what to do")
  func foreignPins() async throws {
    let name = "t-caps-pins-\(getpid())"
    let pins = NodePaths.pinDirectory(topology: name)
    try LabFiles.makeFolder(pins)
    defer { rmdir(pins.string) }
    let outcome = try await outcome(name, as: ServiceUser.bounds(Capability.node))
    #expect(outcome.status == "exited(77)")
    #expect(
      outcome.errors.contains("\(pins)/a does not belong to this user; have root give"), "\(outcome.errors)")
  }
}
