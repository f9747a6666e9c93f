import Foundation
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Testing
import Topology

@testable import StreamRouter

/// The HTTP endpoint over a real socket of this machine, asked by hand: clients that do wrong are the point.
@Suite(.serialized) struct MetricsServiceTests {
  @Test func pathsAnswerAsTheyShould() async throws {
    try await serve { port, health in
      let metrics = try await ask(port, "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      #expect(metrics.hasPrefix("HTTP/1.1 200 OK\r\n"))
      #expect(metrics.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"))
      #expect(metrics.contains("\nstreamrouter_node_up{topology=\"t\",node=\"n\"} 1\n"))
      #expect(try await status(port, "GET /healthz") == 200)
      #expect(try await status(port, "GET /readyz") == 200)
      #expect(try await status(port, "GET /readyz?verbose=1") == 200)
      #expect(try await status(port, "GET /") == 404)
      health.refused("f.yaml:3:1: error: no such node")
      let refused = try await ask(port, "GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      #expect(refused.hasPrefix("HTTP/1.1 503 ") && refused.contains("f.yaml:3:1: error: no such node"))
      #expect(try await status(port, "GET /healthz") == 200)
      health.followed()
      #expect(try await status(port, "GET /readyz") == 200)
    }
  }

  @Test func headHasNoBody() async throws {
    try await serve { port, _ in
      let head = try await ask(port, "HEAD /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      #expect(head.hasPrefix("HTTP/1.1 200 OK\r\n") && head.contains("Content-Length: 3\r\n"))
      #expect(head.hasSuffix("\r\n\r\n"))
    }
  }

  /// Each is answered and its connection closed, and the next client is served.
  @Test(arguments: [
    ("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\nx", 405),
    ("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    ("GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 400),
    ("GET /metrics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ("GET /metrics HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 40_000))\r\n\r\n", 400),
    (
      "GET /metrics HTTP/1.1\r\nHost: a\r\n\((0..<200).map { "X\($0): y\r\n" }.joined())\r\n", 400
    ),
    ("\u{0}\u{1}\u{2} nonsense\r\n\r\n", 400),
  ])
  func wrongRequestsAreRefusedAndClosed(request: String, expected: Int) async throws {
    try await serve { port, _ in
      let answer = try await ask(port, request)
      #expect(answer.hasPrefix("HTTP/1.1 \(expected) "), "\(answer.prefix(100))")
      #expect(try await status(port, "GET /healthz") == 200)
    }
  }

  /// More silent clients than there may be connections: the rest waits, and is served once one has gone.
  @Test func silentClientsTakeNoMoreThanTheirPlaces() async throws {
    try await serve { port, _ in
      var silent: [Int32] = []
      defer { for descriptor in silent { close(descriptor) } }
      for _ in 0..<MetricsService.connectionLimit { silent.append(try connect(port)) }
      async let patient = status(port, "GET /healthz")
      try await Task.sleep(for: .milliseconds(200))
      close(silent.removeLast())
      #expect(try await patient == 200)
    }
  }

  /// The node stops at once, whatever its clients leave open: half a request, an idle connection. Where hundreds of tests
  /// share two processors nothing is at once, so one of several times counts.
  @Test func openConnectionsDoNotKeepTheNode() async throws {
    var shortest = Duration.seconds(3600)
    for _ in 0..<5 where shortest >= .seconds(5) {
      shortest = min(shortest, try await timeToStop())
    }
    #expect(shortest < .seconds(5))
  }

  private func timeToStop() async throws -> Duration {
    var open: [Int32] = []
    defer { for descriptor in open { close(descriptor) } }
    let stopping = ContinuousClock()
    var began = stopping.now
    try await serve { port, _ in
      open = [try connect(port), try connect(port)]
      _ = "GET /met".withCString { write(open[0], $0, 8) }
      #expect(try await status(port, "GET /healthz") == 200)
      began = stopping.now
    }
    return began.duration(to: stopping.now)
  }

  /// Two daemons with one port: the second says what to do and goes on without.
  @Test func aTakenPortIsAWarningThatSaysWhatToDo() async throws {
    try await serve { port, _ in
      let log = LogBox()
      try await serve(at: port, log: log) { _, _ in
        while !log.text.contains("in use") { try await Task.sleep(for: .milliseconds(5)) }
      }
      #expect(log.text.contains("127.0.0.1:\(port) is in use") && log.text.contains("--metrics"))
    }
  }

  @Test(arguments: [
    ("7480", "127.0.0.1:7480"), ("10.0.0.1:1", "10.0.0.1:1"), ("[::1]:7480", "[::1]:7480"), ("fd:3", "fd:3"),
  ])
  func endpointsAreReadAsWritten(text: String, expected: String) {
    #expect(MetricsEndpoint(text)?.description == expected)
  }

  @Test(arguments: [
    "", "0", "65536", "-1", "localhost:7480", "fd:0", "fd:2", "fd:x", "::1", ":7480", "1.2.3.4", "7480 ",
  ])
  func whatIsNoEndpointIsNil(text: String) { #expect(MetricsEndpoint(text) == nil) }

  @Test func anInheritedDescriptorMustListen() {
    #expect(MetricsEndpoint.descriptor(9999).obstacle?.contains("fd:9999") == true)
    #expect(MetricsEndpoint("7480")?.obstacle == nil)
  }

  // MARK: Serving and asking

  /// Runs the service of a node without relays on a free port while the body runs, then stops it gracefully.
  private func serve(
    at port: UInt16? = nil, log: LogBox? = nil, _ body: (UInt16, NodeHealth) async throws -> Void
  ) async throws {
    let (endpoint, port) =
      try port.map { (MetricsEndpoint.address(Endpoint("127.0.0.1:\($0)")!), $0) } ?? inherited()
    let reconciler = Reconciler(
      options: .init(engine: .process, pins: "/nonexistent"),
      log: Logger(label: "t") { _ in SwiftLogNoOpLogHandler() })
    let health = NodeHealth()
    let service = MetricsService(
      endpoint: endpoint,
      telemetry: Telemetry(
        topology: "t", node: "n", reconciler: reconciler,
        prober: LinkProber(log: Logger(label: "test"))),
      health: health,
      log: Logger(label: "t") { _ in log ?? LogBox() })
    let group = ServiceGroup(
      configuration: .init(
        services: [.init(service: service)], logger: Logger(label: "t") { _ in SwiftLogNoOpLogHandler() }))
    async let running: Void = group.run()
    do {
      try await body(port, health)
    } catch {
      await group.triggerGracefulShutdown()
      throw error
    }
    await group.triggerGracefulShutdown()
    try await running
  }

  /// A listening socket on a port of the kernel's choice, as `lab up` leaves one to a daemon.
  private func inherited() throws -> (MetricsEndpoint, UInt16) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    try #require(descriptor >= 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) | listen(descriptor, 64) | getsockname(descriptor, $0, &length)
      }
    }
    try #require(result == 0)
    return (.descriptor(descriptor), UInt16(bigEndian: address.sin_port))
  }

  private func connect(_ port: UInt16) throws -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    address.sin_port = port.bigEndian
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try #require(result == 0)
    return descriptor
  }

  /// Writes a request and reads until the service closes the connection.
  private func ask(_ port: UInt16, _ request: String) async throws -> String {
    let client: NIOAsyncChannel<ByteBuffer, ByteBuffer> =
      try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .connect(host: "127.0.0.1", port: Int(port)) { channel in
        channel.eventLoop.makeCompletedFuture { try NIOAsyncChannel(wrappingChannelSynchronously: channel) }
      }
    return try await client.executeThenClose { inbound, outbound in
      try await outbound.write(ByteBuffer(string: request))
      var answer = ByteBuffer()
      do {
        for try await part in inbound { answer.writeImmutableBuffer(part) }
      } catch is IOError {
        // Closed with a part of the request unread: the answer came before.
      }
      return String(buffer: answer)
    }
  }

  private func status(_ port: UInt16, _ line: String) async throws -> Int? {
    let answer = try await ask(port, "\(line) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    return answer.split(separator: " ").dropFirst().first.flatMap { Int($0) }
  }
}

/// Keeps what is logged.
private final class LogBox: LogHandler, @unchecked Sendable {
  // Sendable: the text is touched under the lock only, and nothing else is ever set.
  private let lock = NSLock()
  private var lines: [String] = []
  var text: String { lock.withLock { lines.joined(separator: "\n") } }
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level = .info

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { nil }
    set {}
  }

  func log(event: LogEvent) { lock.withLock { lines.append("\(event.message)") } }
}
