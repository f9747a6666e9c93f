import Foundation
import SystemPackage
import Testing
import Topology

@testable import StreamRouter

/// The disk of a node, or of the controller, is full at each moment at which a deploy writes to it, while a stream flows;
/// the lab is drawn at ``DeployTests``.
@Suite(.serialized, .enabled(if: LabFixture.obstacle == nil, "\(LabFixture.obstacle ?? "")"))
struct FullDiskTests {
  private static let one = "  video: {protocol: rtp, from: \"camera:5004\", to: \"studio:5004\"}"
  private static let two =
    "  video: {protocol: rtp, from: \"camera:5004\", to: [\"studio:5004\", \"edge:6000\"]}"

  @Test(
    "a node's disk is full: it refuses, or follows once there is room, and is never half-way",
    .timeLimit(.minutes(2)))
  func node() async throws {
    let live = try LiveLab("full-node", engine: .sandbox, streams: Self.one, control: .controller)
    try await live.use {
      let member = LabController.state(live.topology.name, node: "edge").member
      try await SmallDisk.use(at: member) { disk in
        let stream = try await TestStream.begin(live, perSecond: 2_000, for: "100s")
        let former = try await live.runningSinks()
        try live.rewrite(engine: .sandbox, streams: Self.two)
        let wanted = try await live.wantedSinks()

        // It cannot prepare.
        try disk.fill()
        let unprepared = try await live.command("deploy", live.file.path)
        #expect(unprepared.status == "exited(1)", "\(unprepared)")
        for text in [
          "node edge refuses: cannot write \(member)/prepared.json", "No space left on device",
          "make room there",
        ] { #expect(unprepared.errors.contains(text), "\(unprepared)") }
        #expect(try await live.runningSinks() == former)
        try disk.free()

        // It cannot note its first step.
        async let unchanged = live.command("deploy", live.file.path)
        try await live.moment("edge has prepared") { live.prepared("edge") != nil }
        try disk.fill()
        let given = try await unchanged
        #expect(given.status == "exited(1)" && given.errors.contains("prepared.json"), "\(given)")
        #expect(try await live.runningSinks() == former)
        let back = try await live.controlStatus()
        #expect(back.revision == 1 && back.isWhole && back.lockedBy == nil, "\(back)")
        try disk.free()

        // It cannot note that the revision is its own, which is in force by then.
        async let unsettled = live.command("deploy", live.file.path)
        try await live.moment("edge has changed") { live.prepared("edge")?.hop != nil }
        try disk.fill()
        let done = try await unsettled
        #expect(done.succeeded && done.output.contains("follow when they are back: edge"), "\(done)")
        let tells = { () async throws -> Bool in
          try await live.controlStatus().nodes.contains {
            $0.node == "edge" && $0.problem?.contains("settled.json") == true
          }
        }
        try await live.until("'status' tells of it") { try await tells() }
        #expect(try await live.runningSinks() == wanted)
        // Killed with its disk full it finds what it ran.
        try await live.kill(node: "edge")
        try await live.lab.restartDaemons()
        try await live.until("it tells of it again") { try await tells() }
        #expect(try await live.runningSinks() == wanted)
        try disk.free()
        let freed = ContinuousClock.now
        try await live.until("edge follows") { try await live.controlStatus().isWhole }
        print("edge followed \(ContinuousClock.now - freed) after there was room")
        #expect(try await live.runningSinks() == wanted)

        let report = try await stream.end(interrupt: true)
        #expect(report.lost == 0 && report.duplicates == 0 && report.received > 100, "\(report)")
      }
    }
  }

  @Test(
    "the controller's disk is full: nothing is deployed, no node stays half-way, and it goes on once there is room",
    .timeLimit(.minutes(2)))
  func controller() async throws {
    let live = try LiveLab("full-control", engine: .sandbox, streams: Self.one, control: .controller)
    try await live.use {
      let folder = LabController.state(live.topology.name).controller
      try await SmallDisk.use(at: folder) { disk in
        let stream = try await TestStream.begin(live, perSecond: 2_000, for: "100s")
        let former = try await live.runningSinks()
        try live.rewrite(engine: .sandbox, streams: Self.two)
        let wanted = try await live.wantedSinks()

        // It cannot begin.
        try disk.fill()
        let unopened = try await live.command("deploy", live.file.path)
        #expect(unopened.status == "exited(1)", "\(unopened)")
        for text in ["cannot write \(folder)/state.json", "No space left on device", "make room there"] {
          #expect(unopened.errors.contains(text), "\(unopened)")
        }
        let untouched = try await live.controlStatus()
        #expect(untouched.isWhole && untouched.lockedBy == nil, "\(untouched)")
        try disk.free()

        // It cannot note that nodes change from now on, or, in the second round, that the revision is in force.
        for phase in ["preparing", "committing"] {
          async let deploying = live.command("deploy", live.file.path)
          try await live.moment("the deploy is \(phase)") { live.noted().contains("\"phase\":\"\(phase)\"") }
          try disk.fill()
          let given = try await deploying
          #expect(given.status == "exited(1)" && given.errors.contains("No space left on device"), "\(given)")
          #expect(try await live.runningSinks() == former, "\(phase)")
          let next = try await live.command("deploy", live.file.path)
          #expect(
            next.status == "exited(1)" && next.errors.contains("has to wait until that is written down"),
            "\(next)")
          if phase == "preparing" {
            // Another one begins with the disk full, and finds a deploy that is not over.
            try await live.killController()
            try await live.lab.restartController()
          }
          try disk.free()
          try await live.until("\(phase): it is noted that it was given up") {
            let status = try await live.controlStatus()
            return status.isWhole && status.lockedBy == nil
          }
          #expect(try await live.controlStatus().revision == 1)
          #expect(try await live.runningSinks() == former, "\(phase)")
        }

        let done = try await live.command("deploy", live.file.path)
        #expect(done.succeeded, "\(done)")
        #expect(try await live.runningSinks() == wanted)
        let history = try await live.command("history")
        #expect(history.succeeded && history.output.contains("refused"), "\(history)")
        let report = try await stream.end(interrupt: true)
        #expect(report.lost == 0 && report.duplicates == 0 && report.received > 100, "\(report)")
      }
    }
  }
}

/// A file system of some pages in place of a folder, which can be filled up.
struct SmallDisk: Sendable {
  private let folder: FilePath

  private var filler: FilePath { folder.appending("filler") }

  /// Puts it over a folder for the time of the body, with what the folder holds.
  static func use(at folder: FilePath, _ body: (SmallDisk) async throws -> Void) async throws {
    let copy = FilePath(NSTemporaryDirectory()).appending("sr-disk-\(UInt32.random(in: 0 ... .max))")
    try await LabShell.run("cp", ["-a", folder.string, copy.string])
    try await LabShell.run("mount", ["-t", "tmpfs", "-o", "size=256k,mode=0700", "small", folder.string])
    do {
      try await LabShell.run("cp", ["-a", copy.string + "/.", folder.string])
      try FileManager.default.removeItem(atPath: copy.string)
      try await body(SmallDisk(folder: folder))
    } catch {
      // Daemons have files of it open for a moment only, but this may be that moment.
      _ = try? await LabShell.run("umount", ["--lazy", folder.string])
      throw error
    }
    try await LabShell.run("umount", ["--lazy", folder.string])
  }

  /// Takes the last page.
  func fill() throws {
    let file = try FileDescriptor.open(
      filler, .writeOnly, options: [.create, .append], permissions: .ownerReadWrite)
    defer { try? file.close() }
    let page = [UInt8](repeating: 0x20, count: 4096)
    do {
      for _ in 0..<1_000 { try file.writeAll(page) }
    } catch Errno.noSpace { return }
    Issue.record("\(folder) does not fill up")
  }

  func free() throws { try #require(unlink(filler.string) == 0, "\(filler): \(errno)") }
}
