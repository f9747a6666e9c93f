import Foundation
import Testing

@testable import StreamRouter

/// `streamrouter bench` from end to end, as short as it goes. What it measures on a machine that runs tests besides says
/// nothing; that it measures, cleans up and says what it could not measure does.
///
///     source 10.77.1.2 ---- relay 10.77.1.1 | 10.77.2.1 ---- 10.77.2.2 sink
@Suite(.serialized, .enabled(if: BenchObstacle.lab == nil, "\(BenchObstacle.lab ?? "")"))
struct BenchTests {
  /// Runs a benchmark and reads its results.json.
  private func bench(_ arguments: [String]) async throws -> BenchResults {
    let program = try LabFiles.ownProgram().string
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "bench-test-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    try await LabShell.run(
      "env",
      [program, "bench"] + arguments + [
        "--output", folder.path, "--peers-directory", repository.appending(path: "Benchmarks/peers").path,
      ])
    return try BenchResults(path: folder.path)
  }

  private func expectNothingLeft() {
    // Those of a run of a test beside this one bear its process's number.
    for name in LabPrivileges.namespaces() where name.hasPrefix("sr-bench-") {
      let process = name.split(separator: "-").dropFirst(2).first.flatMap { Int32($0) } ?? 0
      #expect(kill(process, 0) == 0, "\(name) is left over")
    }
  }

  @Test("udp: every way is there or skipped with a reason", .timeLimit(.minutes(10)))
  func udp() async throws {
    let results = try await bench([
      "udp", "--threads", "0,1", "--repetitions", "1", "--seconds", "0.05", "--transfer-seconds", "0.2",
    ])
    #expect(results.settings.threads == [0, 1])
    for way in BenchWay.own {
      if let skipped = results.skipped.first(where: { $0.way == way.rawValue }) {
        #expect(!skipped.reason.isEmpty)
        continue
      }
      for key in [
        "udp-best", "udp-full", "udp-offered", "transfer-average", "transfer-p999", "transfer-jitter-max",
      ] {
        for threads in [0, 1] {
          #expect(
            results.figure(key)?.point(way.rawValue, at: threads)?.values.count == 1,
            "\(key), \(way), \(threads)")
        }
      }
    }
    // These need nothing that the machine may lack.
    for way in ["process", "kernel", "sandbox"] {
      #expect(results.figure("udp-best")?.spread(way, at: 0)?.median ?? 0 > 0, "\(way)")
    }
    expectNothingLeft()
  }

  @Test(
    "tcp: wget fetches from Apache by the kernel's forwarding",
    .enabled(if: BenchObstacle.tcp == nil, "\(BenchObstacle.tcp ?? "")"), .timeLimit(.minutes(5)))
  func tcp() async throws {
    let results = try await bench([
      "tcp", "--ways", "kernel", "--threads", "0", "--repetitions", "1", "--size", "1",
    ])
    #expect(results.skipped == [])
    #expect(results.figure("tcp-rate")?.spread("kernel", at: 0)?.median ?? 0 > 0)
    expectNothingLeft()
  }

  @Test("cost upcall: what guests counted is shown as emulated, and the module's rows are there or skipped")
  func upcall() async throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).json")
    defer { try? FileManager.default.removeItem(at: file) }
    try """
    {"format": 1, "date": "2026-11-29", "qemu": "7.2.22", "guests": [{"kernel": "6.12.117", \
    "upcallPrivate": 1300, "upcallShared": 1000, "roundTripFIFO": 10000, "roundTripOther": 11000}]}
    """.write(to: file, atomically: true, encoding: .utf8)
    let results = try await bench([
      "cost", "--only", "upcall", "--repetitions", "1", "--emulated", file.path,
    ])
    #expect(
      results.figure("cost-instructions")?.spread(
        "null upcall, mode private, kernel 6.12 (emulated)", at: 0)?.median == 1300)
    if results.figure("cost-upcall") == nil {
      #expect(results.skipped.map(\.way) == ["upcall"])
      #expect(results.figures.count == 1)
    } else {
      #expect(results.figure("cost-wake")?.spread("woken thread, SCHED_FIFO", at: 0)?.median ?? 0 > 0)
    }
    expectNothingLeft()
  }

  @Test("a run that is interrupted leaves nothing", .timeLimit(.minutes(5)))
  func interrupted() async throws {
    let program = try LabFiles.ownProgram().string
    let outcome = try await LabShell.attempt(
      "timeout", ["--signal=INT", "4", program, "bench", "udp", "--threads", "0", "--seconds", "1"])
    // timeout(1) says 124 where it had to end something.
    #expect(!outcome.succeeded)
    expectNothingLeft()
  }
}

/// Why benchmarks cannot be tested here; nil where they can.
private enum BenchObstacle {
  static let lab: String? =
    LabFixture.obstacle ?? (sysconf(Int32(_SC_NPROCESSORS_ONLN)) < 2 ? "benchmarks need two processors" : nil)

  static let tcp: String? =
    ["apache2", "wget"].first { BenchPeer.path(of: $0) == nil }.map { "\($0) is not installed" }
}
