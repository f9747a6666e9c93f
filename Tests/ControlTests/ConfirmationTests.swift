import Foundation
import Logging
import SystemPackage
import Testing
import Topology

@testable import StreamRouter

/// What becomes of a deploy that waits to be confirmed while its controller is away.
@Suite struct ConfirmationTests {
  /// A controller's store with such a deploy, and the deployer that takes it up.
  private func deployer(until: UInt64) async throws -> (FileStore, Deployer, FilePath) {
    let folder = FilePath(FileManager.default.temporaryDirectory.path).appending(
      "sr-confirm-\(UUID().uuidString)")
    let store = try FileStore(folder: folder)
    let yaml = """
      version: 1
      name: t
      nodes: {a: {addresses: [127.0.0.1]}, b: {addresses: [127.0.0.2]}}
      links: [a -- b]
      streams: {video: {protocol: rtp, from: "a:5004", to: "b:5004"}}

      """
    let revision = Revision(
      number: 1, timeNs: realtimeNs(), who: "test", file: "t.yaml", topology: "t", yaml: yaml, extensions: [:],
      changes: 0)
    try await store.open(
      Deployment(
        revision: revision, former: 0, phase: .unconfirmed, nodes: ["a"], absent: [], confirmSeconds: 1,
        confirmUntilNs: until))
    let events = EventLog()
    let deployer = Deployer(
      store: store, registry: NodeRegistry(events: events),
      extensions: ControllerExtensions(try ExtensionStore(folder.appending("extensions")), copies: nil),
      events: events, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
      times: .init(step: .milliseconds(100), drain: .milliseconds(1)))
    return (store, deployer, folder)
  }

  @Test(
    "the time left to confirm is no longer than what was asked for, though the clock was set back by a year",
    arguments: [365 * 86_400, 1, -365 * 86_400])
  func clockWasSet(seconds: Int64) async throws {
    let (store, deployer, folder) = try await deployer(
      until: UInt64(Int64(realtimeNs()) + seconds * 1_000_000_000))
    defer { try? FileManager.default.removeItem(atPath: folder.string) }
    try await deployer.resume()
    try await eventually("it is given up", within: .seconds(4)) { await store.deployment() == nil }
    #expect(try await store.revisions().map(\.outcome) == [.unconfirmed])
  }
}
