import Foundation
import Logging
import ServiceLifecycle
import SystemPackage
import Testing

@testable import StreamRouter

@Suite struct ControlServiceTests {
  private static func snapshot(relays: Int) -> NodeSnapshot {
    MonitorSample.node(
      "edge", seconds: 5,
      relays: (0..<relays).map { MonitorSample.relay("stream-\($0)", hop: 0, seconds: 5, lost: 3) }
    ).snapshot!
  }

  /// A socket takes some 200 kB at once: what comes behind it must not be thrown away when the answer is written.
  @Test func aLargeSnapshotArrivesWholeAtASlowReader() async throws {
    let path = "/tmp/sr-control-\(getpid()).sock"
    defer { unlink(path) }
    let wanted = Self.snapshot(relays: 2000)
    let service = ControlService(
      path: path, snapshot: { wanted }, log: Logger(label: "t") { _ in SwiftLogNoOpLogHandler() })
    let group = ServiceGroup(
      configuration: .init(
        services: [.init(service: service)], logger: Logger(label: "t") { _ in SwiftLogNoOpLogHandler() }))
    async let running: Void = group.run()
    let text = try await read(path)
    await group.triggerGracefulShutdown()
    try await running
    #expect(text.count > 1 << 20)
    #expect(try JSONDecoder().decode(NodeSnapshot.self, from: text) == wanted)
  }

  private func read(_ path: String) async throws -> Data {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    var isConnected = false
    for _ in 0..<500 where !isConnected {
      isConnected =
        withUnsafePointer(to: &address) {
          $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
          }
        } == 0
      if !isConnected { try await Task.sleep(for: .milliseconds(10)) }
    }
    try #require(isConnected)
    try await Task.sleep(for: .milliseconds(300))
    var text = Data()
    var part = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = Foundation.read(descriptor, &part, part.count)
      if count <= 0 { return text }
      text.append(contentsOf: part.prefix(count))
    }
  }

  /// Counters without those that are zero, histograms without empty buckets: nothing of it is lost.
  @Test func whatIsWrittenShortIsReadBackWhole() throws {
    let relay = MonitorSample.relay("cam", hop: 1, seconds: 7, lost: 2)
    let text = try JSONEncoder().encode(relay)
    #expect(try JSONDecoder().decode(RelaySnapshot.self, from: text) == relay)
    #expect(!String(decoding: text, as: UTF8.self).contains("drop_ttl"))
    #expect(text.count < 1200)
  }

  /// The answer comes from another process: a bucket that does not exist is an error, and no trap.
  @Test(arguments: [
    "1 1 112 1", "1 1 18446744073709551615 1", "1 1 5", "", "1", "1 -1", "1 1 5 5 ", " 1 1", "1  1", "1 x",
    "1 18446744073709551616", "1 /",
  ])
  func aHistogramThatIsNoneIsRefused(text: String) {
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode(ResidenceHistogram.self, from: Data("\"\(text)\"".utf8))
    }
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode(VariationHistogram.self, from: Data("\"7 \(text)\"".utf8))
    }
  }
}
