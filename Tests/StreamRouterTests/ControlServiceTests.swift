import Foundation
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import StreamRouter

@Suite struct ControlServiceTests {
  private static func snapshot(relays: Int) -> NodeSnapshot {
    MonitorSample.node(
      "edge", seconds: 5,
      relays: (0..<relays).map { MonitorSample.relay("stream-\($0)", hop: 0, seconds: 5, lost: 3) }
    ).snapshot!
  }

  private static let quiet = Logger(label: "t") { _ in SwiftLogNoOpLogHandler() }

  /// Runs the service at a path of its own while the body runs.
  private func serving(
    _ snapshot: @escaping @Sendable () -> NodeSnapshot, _ body: (_ path: String) async throws -> Void
  ) async throws {
    let path = "/tmp/sr-control-\(UUID().uuidString.prefix(8)).sock"
    defer { unlink(path) }
    try await running(path, snapshot) { try await body(path) }
  }

  private func running(
    _ path: String, _ snapshot: @escaping @Sendable () -> NodeSnapshot, _ body: () async throws -> Void
  ) async throws {
    let service = ControlService(path: path, snapshot: snapshot, log: Self.quiet)
    let group = ServiceGroup(configuration: .init(services: [.init(service: service)], logger: Self.quiet))
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try await group.run() }
      // Not once more than needed: each try waits in the service's queue. Long, as all suites may run at once.
      let limit = ContinuousClock.now + .seconds(300)
      while !LabSocket.accepts(FilePath(path)), .now < limit { try await Task.sleep(for: .milliseconds(10)) }
      do { try await body() } catch {
        await group.triggerGracefulShutdown()
        throw error
      }
      await group.triggerGracefulShutdown()
      try await tasks.waitForAll()
    }
  }

  /// A socket takes some 200 kB at once: what comes behind it must not be thrown away when the answer is written.
  @Test func aLargeSnapshotArrivesWholeAtASlowReader() async throws {
    let wanted = Self.snapshot(relays: 2000)
    try await serving({ wanted }) { path in
      let text = try await exchange(path, "snapshot\n", pause: .milliseconds(300)) {
        $0.last == UInt8(ascii: "\n")
      }
      #expect(text.count > 1 << 19)
      #expect(try JSONDecoder().decode(NodeSnapshot.self, from: text) == wanted)
    }
  }

  /// Each answer is whole, and one in which little changed is short.
  @Test func readingsCountFromTheOneBefore() async throws {
    let count = Mutex(0)
    let snapshot: @Sendable () -> NodeSnapshot = {
      let second = count.withLock {
        $0 += 1
        return $0
      }
      return MonitorSample.node(
        "edge", seconds: second,
        relays: (0..<50).map { MonitorSample.relay("s\($0)", hop: 0, seconds: second, lost: UInt64(second)) }
      ).snapshot!
    }
    try await serving(snapshot) { path in
      let connection = ControlConnection(path, patience: .seconds(60))
      for second in 1...5 {
        let found = try await connection.snapshot()
        #expect(
          found.relays[7].counters
            == MonitorSample.relay("s7", hop: 0, seconds: second, lost: UInt64(second)).counters)
        #expect(found.relays.count == 50)
      }
    }
    var writer = ReadingFrame.Writer()
    let first = try writer.frame(snapshot())
    #expect(try writer.frame(snapshot()).count * 20 < first.count)
  }

  /// Whoever asks while another waits takes a connection of its own.
  @Test func questionsAtOnceAreAllAnswered() async throws {
    let wanted = Self.snapshot(relays: 20)
    try await serving({ wanted }) { path in
      let connection = ControlConnection(path, patience: .seconds(60))
      try await withThrowingTaskGroup(of: NodeSnapshot.self) { group in
        for _ in 0..<8 { group.addTask { try await connection.snapshot() } }
        for try await found in group { #expect(found == wanted) }
      }
    }
  }

  @Test func aDaemonThatWasReplacedIsAskedAnew() async throws {
    let path = "/tmp/sr-control-\(UUID().uuidString.prefix(8)).sock"
    defer { unlink(path) }
    let connection = ControlConnection(path, patience: .seconds(60))
    for relays in [3, 4] {
      let wanted = Self.snapshot(relays: relays)
      try await running(path, { wanted }) {
        for _ in 0..<2 {
          let found = try await connection.snapshot()
          #expect(found == wanted)
        }
      }
    }
    await #expect(throws: (any Error).self) { try await connection.snapshot() }
  }

  /// The daemon answers what it knows and hangs up on the rest; nobody else notices.
  @Test(arguments: [
    "snapshots\n", "\n", "\0\0\0\0\n", String(repeating: "reading", count: 1000), "GET / HTTP/1.1\r\n\r\n",
  ])
  func whatIsNoRequestEndsTheConnection(request: String) async throws {
    let wanted = Self.snapshot(relays: 1)
    try await serving({ wanted }) { path in
      let answer = try await exchange(path, request) { _ in false }
      #expect(answer.isEmpty)
      let found = try await ControlConnection(path, patience: .seconds(60)).snapshot()
      #expect(found == wanted)
    }
  }

  @Test func requestsMayComeInPieces() async throws {
    let wanted = Self.snapshot(relays: 1)
    try await serving({ wanted }) { path in
      let two = try await exchange(path, "snapshot\nsnap", "shot\n") {
        $0.count { $0 == UInt8(ascii: "\n") } == 2
      }
      #expect(
        try two.split(separator: UInt8(ascii: "\n")).map {
          try JSONDecoder().decode(NodeSnapshot.self, from: $0)
        } == [wanted, wanted])
    }
  }

  /// Who answers may be anything: an error, no trap, and no wait without an end.
  @Test(
    arguments: [
      [], [0, 0, 0, 0], [0, 0, 0, 1, 9], [255, 255, 255, 255, 0], [0, 0, 0, 4, 1, 1, 255, 1],
      Array("{\"topology\":".utf8),
      [0, 0, 0, 3, 1, 1], [0, 0, 0, 12, 1, 1, 1, 5, 255, 255, 255, 255, 255, 255, 255, 255],
      [0, 0, 0, 5, 1, 1, 0, 1, 9],
    ] as [[UInt8]])
  func anAnswerThatIsNoneIsAnError(answer: [UInt8]) async throws {
    let path = "/tmp/sr-control-\(UUID().uuidString.prefix(8)).sock"
    defer { unlink(path) }
    let server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .childChannelInitializer { $0.writeAndFlush(ByteBuffer(bytes: answer)) }
      .bind(unixDomainSocketPath: path).get()
    let connection = ControlConnection(path, patience: .milliseconds(100))
    for _ in 0..<2 {
      await #expect(throws: (any Error).self) { try await connection.snapshot() }
    }
    try await server.close()
  }

  /// Bytes of a true answer, changed at random.
  @Test func damagedFramesNeverTrap() throws {
    var writer = ReadingFrame.Writer()
    let frame = Array(try writer.frame(Self.snapshot(relays: 3)).dropFirst(ReadingFrame.headerBytes))
    var random = SeededRandom(seed: 815)
    for round in 0..<2000 {
      var bytes = round % 2 == 0 ? frame : Array(frame.prefix(Int.random(in: 0..<frame.count, using: &random)))
      for _ in 0..<Int.random(in: 0...6, using: &random) where !bytes.isEmpty {
        // The beginning has the numbers; behind it is mostly the text of shapes.
        let end = Bool.random(using: &random) ? min(bytes.count, 40) : bytes.count
        bytes[Int.random(in: 0..<end, using: &random)] = .random(in: 0...255, using: &random)
      }
      var reader = ReadingFrame.Reader()
      _ = try? reader.snapshot(bytes)
    }
  }

  /// Writes the parts of a request and reads until there is enough, or the other side ends it. Never waits in the kernel.
  private func exchange(
    _ path: String, _ parts: String..., pause: Duration = .milliseconds(30), until isEnough: (Data) -> Bool
  ) async throws -> Data {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let isConnected =
      withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
      } == 0
    try #require(isConnected)
    for text in parts {
      _ = send(descriptor, text, text.utf8.count, Int32(MSG_NOSIGNAL))
      try await Task.sleep(for: pause)
    }
    var text = Data()
    var part = [UInt8](repeating: 0, count: 65_536)
    while !isEnough(text) {
      // A thread that waits here would be one of the few on which the service answers.
      let count = recv(descriptor, &part, part.count, Int32(MSG_DONTWAIT))
      if count < 0, errno == EAGAIN {
        try await Task.sleep(for: .milliseconds(5))
        continue
      }
      if count <= 0 { break }
      text.append(contentsOf: part.prefix(count))
    }
    return text
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

  @Test(arguments: [
    "packets_in", "packets_in ", "packets_in x", " 5", "packets_in 5 ", "packets_in 5  bytes_in 6",
    "packets_in 18446744073709551616", "packets_in -1",
  ])
  func countersThatAreNoneAreRefused(text: String) {
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode(SparseCounters.self, from: Data("\"\(text)\"".utf8))
    }
  }

  @Test func aCounterOfAnotherVersionIsKept() throws {
    let read = try JSONDecoder().decode(
      SparseCounters.self, from: Data(#""from_tomorrow 0 packets_in 7""#.utf8)
    ).wrappedValue
    #expect(read["packets_in"] == 7 && read["from_tomorrow"] == 0 && read["drop_ttl"] == 0)
    #expect(read.count == Counter.relay.count + 1)
    let text = try JSONEncoder().encode(SparseCounters(wrappedValue: read))
    #expect(try JSONDecoder().decode(SparseCounters.self, from: text).wrappedValue == read)
  }
}
