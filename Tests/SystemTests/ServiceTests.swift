import Foundation
import SystemPackage
import TestSupport
import Testing
import Topology

@testable import StreamRouter

#if canImport(Glibc)
  import Glibc
#endif

/// The daemon as a service manager sees it: one node on the loopback device, without privileges.
@Suite(.serialized) struct ServiceTests {
  /// The next notice that is no sign of life.
  private func news(_ listener: NoticeListener) async throws -> [String] {
    while let notice = try await listener.next() {
      if notice != "WATCHDOG=1" { return notice.split(separator: "\n").map(String.init) }
    }
    return []
  }

  @Test("ready when it answers, a sign of life, reloading and ready again, stopping", .timeLimit(.minutes(1)))
  func notices() async throws {
    let name = "t-service-\(getpid())"
    let folder = FileManager.default.temporaryDirectory.appending(path: name)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "t.yaml")
    func write(_ streams: String) throws {
      let text = """
        version: 1
        name: \(name)
        nodes: {a: {address: 127.82.0.1, engine: process}}
        streams:
          one: {protocol: udp, from: "a:5004", to: "127.82.0.2:6000", sources: 127.0.0.0/8}
        \(streams)

        """
      try text.write(to: file, atomically: true, encoding: .utf8)
    }
    try write("")
    let listener = try NoticeListener(at: folder.appending(path: "notify").path)
    let program = try LabFiles.ownExecutable().removingLastComponent().appending(LiveLab.program).string
    let log = FilePath(folder.appending(path: "log").path)
    let daemon = try LabProcess.startDetached(
      [
        "env", "NOTIFY_SOCKET=\(folder.path)/notify", "WATCHDOG_USEC=400000", program, "node", "run", file.path,
        "--name", "a", "--log-format", "json",
      ], log: log, mark: "SR_TEST=\(name)")
    defer { daemon.signal(SIGKILL) }
    let paths = NodePaths(topology: name, node: "a")
    defer { try? LabFiles.removeTree(NodePaths.runtimeDirectory(topology: name)) }

    #expect(try await news(listener) == ["READY=1", "STATUS=1 relay of \(name): 1 process"])
    #expect(LabSocket.accepts(paths.controlSocket), "it said so before it answered")
    for _ in 0..<3 {
      let sign = try await listener.next()
      #expect(sign == "WATCHDOG=1")
    }

    try write("  two: {protocol: udp, from: \"a:5006\", to: \"127.82.0.2:6002\", sources: 127.0.0.0/8}")
    daemon.signal(SIGHUP)
    let reloading = try await news(listener)
    #expect(reloading.first == "RELOADING=1" && reloading.last?.hasPrefix("MONOTONIC_USEC=") == true)
    #expect(try await news(listener) == ["READY=1", "STATUS=2 relays of \(name): 2 process"])

    try write("  nonsense")
    daemon.signal(SIGHUP)
    #expect(try await news(listener).first == "RELOADING=1")
    let refused = try await news(listener)
    #expect(refused.first == "READY=1", "it runs what it ran before")
    #expect(refused.last?.contains("2 relays of \(name): 2 process; the latest change") == true, "\(refused)")

    daemon.signal(SIGTERM)
    #expect(try await news(listener) == ["STOPPING=1"])
    let end = ContinuousClock.now + .seconds(10)
    while daemon.isRunning, .now < end { try await Task.sleep(for: .milliseconds(10)) }
    #expect(!daemon.isRunning)
    let lines = (LabFiles.read(log) ?? "").split(separator: "\n")
    #expect(lines.count > 3)
    for line in lines {
      let object = try JSONDecoder().decode([String: String].self, from: Data(line.utf8))
      #expect(object["node"] == "a" && object["time"] != nil)
    }
  }
}
