import ControlAPI
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Identity
import Logging
import NIOCore
import NIOPosix
import Synchronization
import SystemPackage
import Testing
import Topology

@testable import StreamRouter

/// An installation in a folder of its own, with a controller in this process on ports of the loopback device:
///
///     member --- mutual TLS ---> 127.0.0.1:LISTEN  controller  127.0.0.1:JOIN <--- TLS --- who has a token
struct ControllerFixture: Sendable {
  static let name = "control"

  let folder: FilePath
  let listen: ControllerAddress
  let join: ControllerAddress
  let port: Int
  let log = LogLines()

  var state: StatePaths { StatePaths(folder.appending("controller")) }
  var socket: FilePath { folder.appending("operators.sock") }
  var enrollment: Enrollment { Enrollment(state: state, log: log.logger("enrollment")) }
  var authority: AuthorityStore { AuthorityStore(directory: state.authority.string, audit: Audit { _ in }) }
  /// Over the unix socket.
  var operators: ControllerClient { ControllerClient(socket: socket) }

  /// - Parameter created: When the installation was made.
  init(created: Date = Date()) throws {
    folder = FilePath("/tmp/t-control-\(UInt32.random(in: 0 ... .max))")
    try DurableFile.makeFolder(folder)
    port = try Self.freePort()
    listen = try #require(ControllerAddress("127.0.0.1:\(port)"))
    join = try #require(ControllerAddress("127.0.0.1:\(try Self.freePort())"))
    try DurableFile.makeFolder(state.root)
    try authority.create(at: created)
    try issue(.node(Self.name), admits: true, to: state)
  }

  func remove() { try? FileManager.default.removeItem(atPath: folder.string) }

  private static func freePort() throws -> Int {
    let server = try ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup).bind(
      host: "127.0.0.1", port: 0
    ).wait()
    defer { try? server.close().wait() }
    return server.localAddress?.port ?? 0
  }

  // MARK: Who takes part

  /// A certificate that was signed at some time.
  func identity(
    _ role: Role, admits: Bool = false, signed: Date = Date(),
    lifetime: Duration = IdentityLimits.defaultLifetime
  ) throws -> Identity {
    let key = IdentityKey()
    let certificate = try authority.sign(
      key.request(), for: role, admits: admits, at: signed, lifetime: lifetime)
    return try Identity(key: key, certificate: certificate, trust: authority.load().trust)
  }

  func issue(
    _ role: Role, admits: Bool = false, signed: Date = Date(),
    lifetime: Duration = IdentityLimits.defaultLifetime, to paths: StatePaths
  ) throws {
    try identity(role, admits: admits, signed: signed, lifetime: lifetime).save(to: paths.identity.string)
    try DurableFile.write(ControllerNote(address: listen, node: Self.name), to: paths.controllerNote)
  }

  /// Where a node or an operator keeps what is its own.
  func paths(_ name: String) throws -> StatePaths {
    let paths = StatePaths(folder.appending(name))
    try DurableFile.makeFolder(paths.root)
    return paths
  }

  // MARK: Running

  /// Runs the controller beside the body.
  func run<Result: Sendable>(
    lifetime: Duration = IdentityLimits.defaultLifetime, _ body: @Sendable () async throws -> Result
  ) async throws -> Result {
    let daemon = ControllerDaemon(
      configuration: .init(
        state: state, listen: listen, join: join, operators: socket, certificateLifetime: lifetime),
      log: log.logger("controller"))
    return try await beside({ try await daemon.run() }) {
      try await eventually("the controller answers") { (try? await operators.status()) != nil }
      return try await body()
    }
  }

  /// Runs a node's session with its renewal beside the body.
  func member<Result: Sendable>(
    _ name: String, paths: StatePaths, times: RenewalService.Times = .init(),
    now: @escaping @Sendable () -> Date = { Date() }, awaits: Bool = true, renews: Bool = true,
    places given: ControllerPlaces? = nil, _ body: @Sendable (CurrentIdentity) async throws -> Result
  ) async throws -> Result {
    let current = CurrentIdentity(
      try Identity.load(from: paths.identity.string), path: paths.identity, now: now)
    let member = try Member(
      node: name, folder: paths.member, capacity: SandboxCapacity(relays: 64), log: log.logger("member \(name)")
    )
    let places =
      given
      ?? ControllerPlaces(
        ControllerNote(address: listen, node: Self.name), path: nil, log: log.logger("member \(name)"))
    var renewal = CertificateRenewal.over(current, places, log: log.logger("member \(name)"))
    renewal.now = now
    let made = renewal
    let session = ControllerSession(
      member: member, places: places, renewal: made, snapshot: { nil },
      log: log.logger("member \(name)"))
    let service = RenewalService(renewal: made, times: times, log: log.logger("member \(name)"))
    return try await beside({
      await withTaskGroup(of: Void.self) { group in
        group.addTask { try? await session.run() }
        if renews { group.addTask { try? await service.run() } }
      }
      await member.stop()
    }) {
      if awaits { try await connected(name) }
      return try await body(current)
    }
  }

  func connected(_ name: String) async throws {
    try await eventually("\(name) is connected") { try await isConnected(name) }
  }

  func isConnected(_ name: String) async throws -> Bool {
    try await operators.status().nodes.contains { $0.node == name && $0.state == "connected" }
  }

  /// What an API answers on a certificate.
  func call<Result: Sendable>(
    as identity: Identity, _ body: @Sendable (GRPCClient<HTTP2ClientTransport.Posix>) async throws -> Result
  ) async throws -> Result {
    let current = CurrentIdentity(identity, path: folder.appending("unused"))
    let security = try current.client(expecting: .node(Self.name), RefusalNote())
    return try await withGRPCClient(transport: ControlTransport.client(listen, security)) {
      try await body($0)
    }
  }
}

/// Runs a task to the end of the body, then cancels it.
func beside<Result: Sendable>(
  _ task: @escaping @Sendable () async throws -> Void, _ body: @Sendable () async throws -> Result
) async throws -> Result {
  try await withThrowingTaskGroup(of: Void.self) { group in
    group.addTask { try await task() }
    do {
      let result = try await body()
      group.cancelAll()
      while (await group.nextResult()) != nil {}
      return result
    } catch {
      group.cancelAll()
      while (await group.nextResult()) != nil {}
      throw error
    }
  }
}

/// Waits until it is so.
func eventually(
  _ what: String, within patience: Duration = .seconds(15), _ body: () async throws -> Bool
) async throws {
  let end = ContinuousClock.now + patience
  while try await !body() {
    try #require(ContinuousClock.now < end, "\(what): not within \(patience)")
    try await Task.sleep(for: .milliseconds(20))
  }
}

/// Lines of a log, from any thread.
final class LogLines: Sendable {
  private let lines = Mutex<[String]>([])

  var all: [String] { lines.withLock { $0 } }
  func contains(_ text: String) -> Bool { all.contains { $0.contains(text) } }
  fileprivate func add(_ line: String) { lines.withLock { $0.append(line) } }

  func logger(_ label: String) -> Logger { Logger(label: label) { Handler(label: $0, lines: self) } }

  private struct Handler: LogHandler {
    let label: String
    let lines: LogLines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.add("\(label): \(event.level): \(event.message)") }
  }
}
