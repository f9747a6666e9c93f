import Foundation
import Identity
import Testing
import Topology

@testable import StreamRouter

/// How a node goes, and what is said of who is there.
@Suite struct LeaveTests {
  private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

  @Test(
    "a node that leaves keeps nothing; while its daemon runs, and on the controller's machine, nothing changes")
  func leave() throws {
    let here = try ControllerFixture()
    defer { here.remove() }
    let paths = try here.paths("edge")
    try here.issue(.node("edge"), to: paths)
    var state = try MemberState(folder: paths.member)
    let part = NodePart(
      topology: "t-leave", node: "edge", revision: 1, engine: .process, scheduling: .other, relays: [],
      limits: [:])
    try state.prepare(part, revertAfterSeconds: 0)
    try state.settle()
    let enrollment = Enrollment(state: paths, log: here.log.logger("edge"))

    let daemon = try ProcessLock(paths.root.appending("node.lock"), what: "a daemon of node edge")
    let refused = #expect(throws: ControlError.self) { try enrollment.leave() }
    #expect("\(refused as Any)".contains("a daemon of node edge"))
    #expect(exists(paths.identity.string) && exists(paths.member.string))
    daemon.release()

    #expect(try enrollment.leave() == "edge")
    for path in [paths.identity, paths.member, paths.controllerNote] {
      #expect(!exists(path.string), "\(path)")
    }
    #expect(throws: IdentityError.noIdentity(path: paths.identity.string)) { try enrollment.leave() }

    let kept = #expect(throws: ControlError.self) { try here.enrollment.leave() }
    #expect("\(kept as Any)".contains("holds the installation's authority"))
    #expect(exists(here.state.identity.string))
  }

  @Test("who holds certificates is listed by name, with the end of the latest that counts")
  func holders() throws {
    let here = try ControllerFixture(created: Date(timeIntervalSinceNow: -50 * 86_400))
    defer { here.remove() }
    _ = try here.identity(.node("edge"), signed: Date(timeIntervalSinceNow: -20 * 86_400))
    let latest = try here.identity(.node("edge"))
    _ = try here.identity(.node("old"), signed: Date(timeIntervalSinceNow: -40 * 86_400))
    _ = try here.identity(.node("gone"))
    _ = try here.identity(.operator("ada"))
    #expect(try here.enrollment.revoke(.node("gone")) == 1)
    let document = HolderDocument(try here.enrollment.holders())
    #expect(
      document.holders.map { "\($0.kind) \($0.name)" } == [
        "node control", "node edge", "node gone", "operator ada",
      ])
    let edge = try #require(document.holders.first { $0.name == "edge" })
    #expect(edge.until == latest.certificate.notAfter && edge.certificates == 2 && edge.revoked == 0)
    let gone = try #require(document.holders.first { $0.name == "gone" })
    #expect(gone.until == nil && gone.certificates == 0 && gone.revoked == 1)
    let lines = document.text.split(separator: "\n")
    #expect(lines.count == 5 && lines[3].hasPrefix("node      gone"), "\(document.text)")
    #expect(lines[3].contains("revoked"))
  }
}
