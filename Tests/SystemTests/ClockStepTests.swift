import Foundation
import SystemPackage
import Testing
import Topology

@testable import StreamRouter

/// Clocks that are set while things go on: the wall clock of one daemon, and not the time that passes. The lab is drawn at
/// ``RemoteLab``.
@Suite(.serialized, .enabled(if: Clocks.obstacle == nil, "\(Clocks.obstacle ?? "")"))
struct ClockStepTests {
  private static let one = "  video: {protocol: rtp, from: \"camera:5004\", to: \"studio:5004\"}"
  private static let two =
    "  video: {protocol: rtp, from: \"camera:5004\", to: [\"studio:5004\", \"edge:6000\"]}"
  private static let year = 365 * 86_400

  private static func lab(_ name: String, _ body: (RemoteLab, Clocks) async throws -> Void) async throws {
    var remote = RemoteLab(
      live: try LiveLab("clock-\(name)", engine: .sandbox, streams: one, control: .controller))
    let clocks = try await Clocks([RemoteLab.control, "edge"], in: remote.live.folder)
    remote.before = { clocks.before($0) }
    let made = remote
    try await made.use { try await body(made, clocks) }
  }

  @Test(
    "the time to confirm is the time that passes, however the clocks of controller and node are set meanwhile",
    .timeLimit(.minutes(2)))
  func confirmation() async throws {
    try await Self.lab("confirm") { remote, clocks in
      let live = remote.live
      let stream = try await TestStream.begin(live, perSecond: 500, for: "100s")
      let former = try await live.runningSinks()
      for seconds in [-600, 20 * 86_400] {
        try live.rewrite(engine: .sandbox, streams: Self.two)
        let began = ContinuousClock.now
        let deployed = try await live.command(["deploy", live.file.path, "--confirm", "5s"])
        #expect(deployed.succeeded, "\(seconds): \(deployed)")
        try clocks.set(RemoteLab.control, seconds: seconds)
        try clocks.set("edge", seconds: -seconds)
        let until = ContinuousClock.now + .seconds(3)
        while ContinuousClock.now < until {
          #expect(try await live.controlStatus().lockedBy != nil, "\(seconds): given up before its time")
          try await Task.sleep(for: .milliseconds(200))
        }
        try await live.until("\(seconds): it is given up") { try await live.controlStatus().lockedBy == nil }
        let took = ContinuousClock.now - began
        #expect(took > .seconds(5) && took < .seconds(12), "\(seconds): \(took)")
        #expect(try await live.runningSinks() == former, "\(seconds)")
        // The session goes on, and 'status' tells how far the clocks are apart.
        let offset = Double(-2 * seconds)
        try await live.until("\(seconds): the offset is known") {
          let edge = try await live.controlStatus().nodes.first { $0.node == "edge" }
          return edge?.state == "connected" && abs(Double(edge?.clockOffsetNs ?? 0) / 1e9 - offset) < 5
        }
        for who in [RemoteLab.control, "edge"] { try clocks.set(who, seconds: 0) }
      }
      let report = try await stream.end(interrupt: true)
      #expect(report.lost == 0 && report.duplicates == 0 && report.received > 100, "\(report)")
    }
  }

  @Test(
    "a clock that is years off shuts its machine out with a message that says so, and the session is back once it is right",
    .timeLimit(.minutes(2)))
  func years() async throws {
    try await Self.lab("years") { remote, clocks in
      let live = remote.live
      let stream = try await TestStream.begin(live, perSecond: 500, for: "100s")
      let isWhole = { () async throws -> Bool in try await live.controlStatus().isWhole }

      // The controller's: to it, all certificates have expired.
      try clocks.set(RemoteLab.control, seconds: 2 * Self.year)
      try await live.until("the sessions end") {
        try await live.controlStatus().nodes.allSatisfy { $0.state == "silent" }
      }
      #expect(remote.says(RemoteLab.control, "a connection is ended: the certificate of node edge expired at"))
      try clocks.set(RemoteLab.control, seconds: 0)
      try await live.until("the sessions are back") { try await isWhole() }

      // A node's: what runs goes on, and as it connects anew the certificate of the controller is of another time.
      for (seconds, word) in [(2 * Self.year, "expired at"), (-2 * Self.year, "compare the clocks")] {
        try clocks.set("edge", seconds: seconds)
        try await live.kill(node: "edge")
        try await remote.start("edge")
        try await live.until("\(seconds): its log says why") { remote.says("edge", word) }
        #expect(try await live.controlStatus().nodes.contains { $0.node == "edge" && $0.state == "silent" })
        try clocks.set("edge", seconds: 0)
        try await live.until("\(seconds): edge is back") { try await isWhole() }
      }

      try live.rewrite(engine: .sandbox, streams: Self.two)
      #expect(try await live.command("deploy", live.file.path).succeeded)
      #expect(try await live.runningSinks() == live.wantedSinks())
      let report = try await stream.end(interrupt: true)
      #expect(report.lost == 0 && report.duplicates == 0 && report.received > 100, "\(report)")
    }
  }
}

/// The wall clocks of some daemons, each off by what a file says that it has mapped.
///
/// By a library of ours: with Debian's libfaketime a Swift program finds no arguments.
private struct Clocks: Sendable {
  static var obstacle: String? { LabFixture.obstacle ?? (compiler == nil ? "no C compiler is in PATH" : nil) }

  private static let compiler = ["clang", "cc"].first { name in
    LabShell.searchPath.split(separator: ":").contains { access("\($0)/\(name)", X_OK) == 0 }
  }

  private static let source = """
    #define _GNU_SOURCE
    #include <fcntl.h>
    #include <stdlib.h>
    #include <sys/mman.h>
    #include <sys/syscall.h>
    #include <sys/time.h>
    #include <time.h>
    #include <unistd.h>

    static const volatile long *seconds;

    __attribute__((constructor)) static void map(void) {
      int file = open(getenv("CLOCK_OFFSET"), O_RDONLY | O_CLOEXEC);
      void *page = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
      if (page != MAP_FAILED) seconds = page;
      close(file);
    }

    int clock_gettime(clockid_t clock, struct timespec *now) {
      int status = syscall(SYS_clock_gettime, clock, now);
      int isWall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
      if (status == 0 && isWall && seconds) now->tv_sec += *seconds;
      return status;
    }

    int gettimeofday(struct timeval *restrict now, void *restrict zone) {
      struct timespec time;
      int status = clock_gettime(CLOCK_REALTIME, &time);
      *now = (struct timeval){time.tv_sec, time.tv_nsec / 1000};
      return status;
    }

    time_t time(time_t *now) {
      struct timespec time;
      clock_gettime(CLOCK_REALTIME, &time);
      if (now) *now = time.tv_sec;
      return time.tv_sec;
    }

    """

  private let folder: URL
  private let names: Set<String>

  init(_ names: Set<String>, in folder: URL) async throws {
    self.folder = folder
    self.names = names
    let file = folder.appending(path: "clock.c")
    try Self.source.write(to: file, atomically: true, encoding: .utf8)
    try await LabShell.run(
      try #require(Self.compiler), ["-shared", "-fPIC", "-O1", "-o", library, file.path])
    for name in names { try set(name, seconds: 0) }
  }

  private var library: String { folder.appending(path: "clock.so").path }
  private func file(_ who: String) -> String { folder.appending(path: "clock-\(who)").path }

  func set(_ who: String, seconds: Int) throws {
    let file = try FileDescriptor.open(
      FilePath(file(who)), .writeOnly, options: [.create], permissions: .ownerReadWrite)
    try file.closeAfter {
      _ = try withUnsafeBytes(of: seconds) { try file.write(toAbsoluteOffset: 0, $0) }
    }
  }

  /// What stands before the command line of a daemon whose clock is set.
  func before(_ who: String) -> [String] {
    names.contains(who) ? ["env", "LD_PRELOAD=\(library)", "CLOCK_OFFSET=\(file(who))"] : []
  }
}
