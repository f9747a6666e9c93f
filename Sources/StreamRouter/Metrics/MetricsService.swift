import Foundation
import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle

/// Answers `GET /metrics`, `/healthz` and `/readyz`.
///
/// A node relays whether or not it can be scraped: where the port is taken the service says so, waits, and tries
/// again. Whoever may connect can read names and counters and do nothing else. What a client may cost is limited below.
struct MetricsService: Service {
  let endpoint: MetricsEndpoint
  let telemetry: Telemetry
  let health: NodeHealth
  /// Of a node that joined.
  var certificateEnd: @Sendable () -> Date? = { nil }
  let log: Logger

  /// More wait in the kernel's queue. A Prometheus needs one connection.
  static let connectionLimit = 16
  /// Bytes of all header fields of a request; a longer one is answered 400 and the connection closed.
  static let headerLimitBytes = 16 << 10
  /// From the opening of a connection, or the latest answer on it, to the end of the next request. Longer than the
  /// usual scrape interval, so that Prometheus keeps its connection.
  static let idleLimit = TimeAmount.seconds(75)
  /// From a complete request to the last byte of the answer.
  static let answerLimit = TimeAmount.seconds(10)
  static let retryInterval = Duration.seconds(10)

  func run() async throws {
    do {
      try await cancelWhenGracefulShutdown { try await serveUntilCancelled() }
    } catch is CancellationError {
      // How accepting ends when the node stops.
    }
  }

  private func serveUntilCancelled() async throws {
    let http = HTTP1Channel(
      responder: { request, writer, channel in try await respond(to: request, writer, channel) },
      configuration: .init(
        idleTimeout: Self.idleLimit,
        httpDecoderConfiguration: .init(
          maxHeaderFieldSize: Self.headerLimitBytes, maxHeaderListSize: Self.headerLimitBytes,
          maxHeaderFieldCount: 100)))
    let server = try await open(http)
    // Hummingbird speaks of each connection; what a client does wrong is no concern of the node's log.
    var quiet = log
    quiet.logLevel = .error
    let logger = quiet
    try await server.executeThenClose { clients in
      try await withThrowingDiscardingTaskGroup { group in
        for try await client in clients {
          group.addTask { await http.handle(value: client, logger: logger) }
        }
      }
    }
  }

  // MARK: Listening

  /// Opens the socket, however long that takes.
  private func open(_ http: HTTP1Channel) async throws -> NIOAsyncChannel<HTTP1Channel.Value, Never> {
    var hasWarned = false
    while true {
      do {
        let server = try await bind(http)
        let address = server.channel.localAddress
        log.info(
          "answering /metrics, /healthz and /readyz on \(address?.ipAddress ?? "\(endpoint)") port \(address?.port ?? 0)"
        )
        return server
      } catch let error where !Task.isCancelled && !(error is CancellationError) {
        if !hasWarned { log.warning("\(Self.explain(error, endpoint))") }
        hasWarned = true
        try await Task.sleep(for: Self.retryInterval)
      }
    }
  }

  private func bind(_ http: HTTP1Channel) async throws -> NIOAsyncChannel<HTTP1Channel.Value, Never> {
    let log = self.log
    let bootstrap = ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .serverChannelOption(.backlog, value: 64)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .serverChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(
            AvailableConnectionsChannelHandler(maxConnections: Self.connectionLimit))
        }
      }
      .childChannelOption(.allowRemoteHalfClosure, value: true)
    switch endpoint {
    case .address(let address):
      return try await bootstrap.bind(host: "\(address.address)", port: Int(address.port)) {
        http.setup(channel: $0, logger: log)
      }
    case .descriptor(let descriptor):
      return try await bootstrap.bind(descriptor) { http.setup(channel: $0, logger: log) }
    }
  }

  /// Why there are no metrics, and what to do.
  static func explain(_ error: any Error, _ endpoint: MetricsEndpoint) -> String {
    let consequence =
      "the node runs without metrics and tries again every \(retryInterval.components.seconds) s"
    switch (error as? IOError)?.errnoCode {
    case EADDRINUSE?:
      return
        "metrics: \(endpoint) is in use, perhaps by another node's daemon; \(consequence); give this one another port with --metrics"
    case EADDRNOTAVAIL?:
      return "metrics: \(endpoint) is no address of this machine; \(consequence); correct --metrics"
    case EACCES?:
      return "metrics: no permission to listen on \(endpoint); \(consequence); take a port from 1024 up"
    default:
      return "metrics: cannot listen on \(endpoint): \(error); \(consequence)"
    }
  }

  // MARK: Answering

  /// What is answered to a request.
  struct Answer: Hashable, Sendable {
    var status: HTTPResponse.Status = .ok
    var contentType = "text/plain; charset=utf-8"
    var text: String
  }

  private func respond(
    to request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel
  ) async throws {
    // A client that does not read would hold its connection for ever.
    let deadline = channel.eventLoop.scheduleTask(in: Self.answerLimit) { channel.close(promise: nil) }
    defer { deadline.cancel() }
    guard let refusal = Self.refusal(of: request) else {
      let answer = await answer(path: request.uri.path)
      return try await write(answer, writer, to: request, closes: false)
    }
    try await write(refusal, writer, to: request, closes: true)
    // Ends the connection, body unread.
    throw CancellationError()
  }

  private func write(
    _ answer: Answer, _ writer: consuming ResponseWriter, to request: Request, closes: Bool
  ) async throws {
    let body = ByteBuffer(string: answer.text)
    var fields: HTTPFields = [.contentType: answer.contentType, .contentLength: String(body.readableBytes)]
    if closes { fields[.connection] = "close" }
    if answer.status == .methodNotAllowed { fields[.allow] = "GET, HEAD" }
    let head = HTTPResponse(status: answer.status, headerFields: fields)
    if request.method == .head { return try await writer.writeResponse(head) }
    try await writer.write(response: head, body: .init(byteBuffer: body))
  }

  /// Only questions are answered, and questions have no body.
  private static func refusal(of request: Request) -> Answer? {
    guard request.method == .get || request.method == .head else {
      return Answer(status: .methodNotAllowed, text: "only GET and HEAD\n")
    }
    let length = request.headers[.contentLength] ?? "0"
    guard length == "0", request.headers[.transferEncoding] == nil else {
      return Answer(status: .badRequest, text: "a question has no body\n")
    }
    return nil
  }

  func answer(path: String) async -> Answer {
    switch path {
    case "/metrics":
      do {
        let page = MetricsPage(
          snapshot: try await telemetry.snapshot(), health: health.state, version: Version.current,
          certificateEnd: certificateEnd())
        return Answer(contentType: MetricsText.contentType, text: page.text())
      } catch {
        log.warning("metrics: reading the account: \(error)")
        return Answer(status: .internalServerError, text: "reading the account: \(error)\n")
      }
    case "/healthz":
      return Answer(text: "ok\n")
    case "/readyz":
      guard let obstacle = health.state.obstacle else { return Answer(text: "ready\n") }
      return Answer(status: .serviceUnavailable, text: "not ready: \(obstacle)\n")
    default:
      return Answer(status: .notFound, text: "nothing here; there are /metrics, /healthz and /readyz\n")
    }
  }
}
