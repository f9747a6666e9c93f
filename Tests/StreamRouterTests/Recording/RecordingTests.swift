import Foundation
import GRDB
import Testing

@testable import StreamRouter

#if canImport(Glibc)
  import Glibc
#endif

/// Files: what is in them comes back, and what is no recording is told from one.
@Suite struct RecordingTests {
  private func removed(_ path: String) {
    for file in [path, path + "-journal", path + "-wal"] { try? FileManager.default.removeItem(atPath: file) }
  }

  @Test func readingsComeBackOverMinutes() async throws {
    let path = RecordingSample.path()
    defer { removed(path) }
    let readings = RecordingSample.readings(0...150)
    try await RecordingSample.record(readings, to: path)
    #expect(try RecordingSample.played(path) == readings)
    let recording = try Recording(path: path)
    #expect(recording.topology == "studio")
    #expect(recording.entries.map(\.isFull).enumerated().filter(\.element).map(\.offset) == [0, 60, 120])
    #expect(!FileManager.default.fileExists(atPath: path + "-wal"), "one file at rest")
    #expect(!FileManager.default.fileExists(atPath: path + "-journal"), "one file at rest")
  }

  /// From any reading on, with the one before it for the rates.
  @Test func seekingBringsThePast() async throws {
    let path = RecordingSample.path()
    defer { removed(path) }
    let readings = RecordingSample.readings(0...90)
    try await RecordingSample.record(readings, to: path)
    var cursor = try Recording(path: path).cursor()
    for target in [91, 0, 1, 59, 60, 61, 90, 89] {
      let passed = try cursor.seek(target)
      #expect(passed == Array(readings[(target - passed.count)..<target]))
      #expect(target == 0 || !passed.isEmpty)
      #expect(try cursor.next() == (target < readings.count ? readings[target] : nil))
    }
  }

  /// A recording that version 1 made. Where this fails, the JSON of snapshots is another one: raise
  /// `RecordingFile.version`, and have what this program still reads of older recordings decided in `Recording`. With
  /// `SR_REGENERATE=1` a new one is made, which only a new version justifies.
  @Test func recordingsOfThisVersionStayReadable() async throws {
    let fixture = MetricsSample.root.appending(path: "Tests/StreamRouterTests/Fixtures/version1.srrec").path
    if ProcessInfo.processInfo.environment["SR_REGENERATE"] != nil {
      removed(fixture)
      let readings = [0, 1, 2, 61].map {
        TimedReadings(
          timeNs: MonitorSample.time($0), readings: RecordingSample.full(seconds: $0), beginsAnew: $0 == 0)
      }
      try await RecordingSample.record(readings, to: fixture)
    }
    let found = try RecordingSample.played(fixture)
    // Seconds 0, 1, 2 and 61 of `RecordingSample.full`.
    #expect(found.map(\.timeNs) == [0, 1, 2, 61].map(MonitorSample.time))
    let last = try #require(found.last?.readings)
    #expect(last.map(\.node) == ["edge", "far", "never"])
    #expect(last[1].staleSeconds == 61.1 && last[2].problem == "connection \"refused\"\n☠")
    let snapshot = try #require(last[0].snapshot)
    #expect(snapshot.load.softirqSeconds == 61.0 / 3)
    #expect(snapshot.load.byProcessor?.map(\.netRxSoftirqs) == [10, 30])
    let relay = try #require(snapshot.relays.first)
    #expect(relay.counters["packets_in"] == 61 * 1_000_003 && relay.counters["drop_neighbour"] == 3)
    #expect(relay.jitterSeconds == Double(61 * 7919) / 16e9 && relay.residence.total == 15)
    #expect(relay.extensions.map(\.runs) == [512 + 61, 500] && relay.extensions[0].histogram?.sum == .max)
    #expect(relay.limits?.limits.count == 2 && relay.worker?.restarts == 2)
    #expect(relay.peers?.reports.first?.reception?.lostPackets == -61)
  }

  /// Live and played boards are the same, row by row.
  @Test func playedRowsAreTheLiveOnes() async throws {
    let path = RecordingSample.path()
    defer { removed(path) }
    var readings = RecordingSample.readings(0...70)
    // A node that is taken down and up counts from zero again; one falls silent for a while.
    for index in 30...70 { readings[index].readings[0] = MonitorSample.readings(seconds: index - 29)[0] }
    for index in 30...70 { readings[index].readings[0].snapshot?.timeNs = MonitorSample.time(index) }
    for index in 40...45 {
      readings[index].readings[1] = readings[39].readings[1]
      readings[index].readings[1].staleSeconds = Double(index - 39)
    }
    try await RecordingSample.record(readings, to: path)
    var live = MonitorBoard()
    for reading in readings { live.take(reading) }
    let feed = try RecordedFeed(try Recording(path: path))
    var played = MonitorBoard()
    while let next = try await feed.next() { played.take(next) }
    #expect(played.events == live.events && !live.events.isEmpty)
    #expect(played.rows.map(\.rates) == live.rows.map(\.rates))
    #expect(played.rows.map(\.history) == live.rows.map(\.history))
    let order = MonitorOrder()
    #expect(
      try MonitorDocument(played, order: order).json(pretty: true)
        == MonitorDocument(live, order: order).json(pretty: true))
  }

  @Test func anotherSessionIsAppended() async throws {
    let path = RecordingSample.path()
    defer { removed(path) }
    let (first, second) = (RecordingSample.readings(0...5), RecordingSample.readings(100...103))
    try await RecordingSample.record(first, to: path)
    try await RecordingSample.record(second, to: path)
    #expect(try RecordingSample.played(path) == first + second)
    // The gap is no interval.
    let feed = try RecordedFeed(try Recording(path: path))
    var board = MonitorBoard()
    for _ in 0...6 { if let next = try await feed.next() { board.take(next) } }
    #expect(board.rows.allSatisfy { $0.rates == nil })
  }

  @Test func filesOfOthersAreLeftAlone() async throws {
    let path = RecordingSample.path()
    defer { removed(path) }
    let start = RecordingSample.readings(0...1)
    try Data("not a recording, and dear to somebody".utf8).write(to: URL(filePath: path))
    await #expect(throws: RecordingError.isTaken(path: path)) {
      try await RecordingSample.record(start, to: path)
    }
    #expect(throws: RecordingError.notARecording(path: path)) { try Recording(path: path) }
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "not a recording, and dear to somebody")
    removed(path)
    // Another program's database.
    let queue = try DatabaseQueue(path: path)
    try await queue.write { try $0.execute(sql: "CREATE TABLE reading (id INTEGER PRIMARY KEY)") }
    try queue.close()
    await #expect(throws: RecordingError.isTaken(path: path)) {
      try await RecordingSample.record(start, to: path)
    }
    #expect(throws: RecordingError.notARecording(path: path)) { try Recording(path: path) }
  }

  @Test func anotherTopologyAndAnotherRecorderAreRefused() async throws {
    let path = RecordingSample.path()
    defer { removed(path) }
    let start = RecordingSample.readings(0...1)
    try await RecordingSample.record(start, to: path)
    await #expect(throws: RecordingError.otherTopology(path: path, found: "studio", wanted: "attic")) {
      try await RecordingSample.record(start, to: path, topology: "attic")
    }
    let running = try Recorder(path: path, topology: "studio", startedNs: 0)
    #expect(throws: RecordingError.isBusy(path: path)) {
      try Recorder(path: path, topology: "studio", startedNs: 0)
    }
    // What was recorded before can be read meanwhile.
    #expect(try RecordingSample.played(path) == start)
    #expect(await running.close() == nil)
  }

  @Test func anotherVersionIsTold() async throws {
    let path = RecordingSample.path()
    defer { removed(path) }
    try await RecordingSample.record(RecordingSample.readings(0...1), to: path)
    let queue = try DatabaseQueue(path: path)
    try await queue.write { try $0.execute(sql: "PRAGMA user_version = 99") }
    try queue.close()
    let expected = RecordingError.otherVersion(path: path, found: 99, known: 1)
    #expect(throws: expected) { try Recording(path: path) }
    #expect(throws: expected) { try Recorder(path: path, topology: "studio", startedNs: 0) }
  }

  @Test func aMissingFileIsUnreadable() {
    let path = RecordingSample.path()
    #expect(throws: RecordingError.unreadable(path: path, reason: "No such file or directory")) {
      try Recording(path: path)
    }
  }

  /// Cut off and overwritten at many places: told as damage, or read as far as it goes, never a trap.
  @Test func damagedFilesAreTold() async throws {
    let path = RecordingSample.path()
    defer { removed(path) }
    let readings = RecordingSample.readings(0...70)
    try await RecordingSample.record(readings, to: path)
    let whole = try Data(contentsOf: URL(filePath: path))
    var damaged = 0
    for place in stride(from: 200, to: whole.count, by: whole.count / 40) {
      for cuts in [true, false] {
        let copy = RecordingSample.path("damaged")
        defer { removed(copy) }
        var bytes = whole
        if cuts {
          bytes = bytes.prefix(place)
        } else {
          for offset in place..<min(place + 16, bytes.count) { bytes[offset] = 0xa5 }
        }
        try bytes.write(to: URL(filePath: copy))
        do {
          let found = try RecordingSample.played(copy)
          // Free space of a page may be overwritten; what is read then is right.
          #expect(readings.starts(with: found.prefix(readings.count)), "at \(place)")
        } catch let error as RecordingError {
          damaged += 1
          guard case .damaged = error else {
            Issue.record("\(error)")
            continue
          }
        }
      }
    }
    #expect(damaged > 40, "\(damaged)")
  }

  /// A recorder that is killed leaves everything but what it was about to write.
  @Test func whatWasCommittedIsThereWithoutClosing() async throws {
    let path = RecordingSample.path()
    defer { removed(path) }
    let readings = RecordingSample.readings(0...9)
    let recorder = try Recorder(path: path, topology: "studio", startedNs: 0)
    for (index, reading) in readings.enumerated() {
      await recorder.record(reading.readings, timeNs: reading.timeNs)
      let copy = RecordingSample.path("copy")
      defer { removed(copy) }
      try FileManager.default.copyItem(atPath: path, toPath: copy)
      #expect(try RecordingSample.played(copy) == Array(readings[...index]))
    }
    #expect(await recorder.close() == nil)
  }

  /// On a file system of 256 KiB.
  @Test(.enabled(if: geteuid() == 0, "needs root to mount a small file system"))
  func aFullDiskEndsTheRecordingAndNothingElse() async throws {
    let folder = RecordingSample.path("small")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try #require(mount("none", folder, "tmpfs", 0, "size=256k") == 0, "mount: \(errno)")
    defer {
      umount2(folder, Int32(MNT_DETACH))
      removed(folder)
    }
    let path = folder + "/full.srrec"
    let recorder = try Recorder(path: path, topology: "studio", startedNs: 0)
    var written = 0
    for second in 0..<2000 where await recorder.problem == nil {
      await recorder.record(
        RecordingSample.busy(nodes: 3, relays: 2, second: second), timeNs: MonitorSample.time(second))
      written = second
    }
    let problem = try #require(await recorder.close())
    guard case .cannotWrite(path, let reason, false) = problem else {
      Issue.record("\(problem)")
      return
    }
    #expect(reason.contains("full"))
    #expect(written > 50)
    let found = try RecordingSample.played(path)
    #expect(found.count == written, "all readings before the last are there")
    #expect(found.last?.readings == RecordingSample.busy(nodes: 3, relays: 2, second: written - 1))
  }
}
