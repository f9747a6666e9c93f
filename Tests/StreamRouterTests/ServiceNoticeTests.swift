import Foundation
import Logging
import ServiceLifecycle
import Synchronization
import TestSupport
import Testing
import Topology

@testable import StreamRouter

#if canImport(Glibc)
  import Glibc
#endif

/// What a service manager gets to read, over a real socket.
@Suite(.serialized) struct ServiceNoticeTests {
  private static let quiet = Logger(label: "t") { _ in SwiftLogNoOpLogHandler() }

  @Test(
    "lines arrive as one datagram", arguments: ["/tmp/sr-notice-\(getpid()).sock", "@sr-notice-\(getpid())"])
  func lines(socket: String) async throws {
    let listener = try NoticeListener(at: socket)
    let notice = ServiceNotice(socket: socket, log: Self.quiet)
    notice.send(.ready, .status("2 relays of t: 2 sandbox\nand more"))
    #expect(try await listener.next() == "READY=1\nSTATUS=2 relays of t: 2 sandbox; and more")
    let before = monotonicNs() / 1000
    notice.send(.reloading)
    let lines = try #require(await listener.next()).split(separator: "\n")
    #expect(lines.first == "RELOADING=1")
    let time = try #require(lines.last?.split(separator: "=").last.flatMap { UInt64($0) })
    #expect(time >= before && time <= monotonicNs() / 1000)
    notice.send(.stopping)
    #expect(try await listener.next() == "STOPPING=1")
  }

  @Test("a manager that is not there is a line in the log and nothing else")
  func nobodyListens() {
    let log = LinesLog()
    ServiceNotice(socket: "/tmp/sr-nobody-\(getpid()).sock", log: log.logger).send(.ready)
    ServiceNotice(socket: "vsock:2:1", log: log.logger).send(.ready)
    ServiceNotice(socket: nil, log: log.logger).send(.ready)
    #expect(log.lines.count == 2)
    #expect(log.lines.first?.contains("No such file") == true)
  }

  @Test("the variables are taken, so that no child has them")
  func environment() {
    setenv("NOTIFY_SOCKET", "@x", 1)
    setenv("WATCHDOG_USEC", "3000000", 1)
    setenv("WATCHDOG_PID", "\(getpid())", 1)
    let ours = ServiceNotice.takeFromEnvironment(log: Self.quiet)
    #expect(ours.socket == "@x" && ours.watchdog == .seconds(3))
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] { #expect(getenv(name) == nil) }

    setenv("WATCHDOG_USEC", "3000000", 1)
    setenv("WATCHDOG_PID", "1", 1)
    let others = ServiceNotice.takeFromEnvironment(log: Self.quiet)
    #expect(others.socket == nil && others.watchdog == nil)
    setenv("WATCHDOG_USEC", "0", 1)
    #expect(ServiceNotice.takeFromEnvironment(log: Self.quiet).watchdog == nil)
  }

  @Test(
    "signs of life come twice in the time, and end when the question is not answered", .timeLimit(.minutes(5)))
  func watchdog() async throws {
    let socket = "@sr-watchdog-\(getpid())"
    let listener = try NoticeListener(at: socket)
    let hangs = Mutex(false)
    let (never, end) = AsyncStream<Never>.makeStream()
    let service = NoticeService(
      notice: ServiceNotice(socket: socket, watchdog: .milliseconds(200), log: Self.quiet),
      alive: {
        guard hangs.withLock({ $0 }) else { return }
        for await _ in never {}
      })
    let group = ServiceGroup(configuration: .init(services: [.init(service: service)], logger: Self.quiet))
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try await group.run() }
      let start = ContinuousClock.now
      for _ in 0..<5 {
        let sign = try await listener.next()
        #expect(sign == "WATCHDOG=1")
      }
      let took = ContinuousClock.now - start
      #expect(took >= .milliseconds(300), "five signs took \(took)")
      hangs.withLock { $0 = true }
      try await Task.sleep(for: .milliseconds(200))
      while try await listener.next(patience: .zero) != nil {}
      let late = try await listener.next(patience: .milliseconds(600))
      #expect(late == nil, "it goes on though nobody answers")
      end.finish()
      await group.triggerGracefulShutdown()
      try await tasks.waitForAll()
    }
    var rest: [String] = []
    while let line = try await listener.next(patience: .milliseconds(50)) { rest.append(line) }
    #expect(rest.contains("STOPPING=1"))
  }

  @Test("the reconciler's answer waits for its engines")
  func answer() async throws {
    let reconciler = Reconciler(options: .init(engine: .process, pins: "/nowhere"), log: Self.quiet)
    await reconciler.answer()
    let status = NodeStatus(topology: "t", reconciler: reconciler, health: NodeHealth())
    #expect(await status.line() == .status("0 relays of t"))
    status.health.refused("f.yaml:1:1: wrong")
    guard case .status(let text) = await status.line() else { return }
    #expect(text.hasPrefix("0 relays of t; the latest change") && text.contains("f.yaml:1:1: wrong"))
  }
}

/// Keeps what is logged.
private final class LinesLog: Sendable {
  private let kept = Mutex<[String]>([])
  var lines: [String] { kept.withLock { $0 } }
  var logger: Logger { Logger(label: "t") { _ in Handler(log: self) } }

  private struct Handler: LogHandler {
    let log: LinesLog
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .trace
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }
    func log(event: LogEvent) { log.kept.withLock { $0.append("\(event.message)") } }
  }
}
