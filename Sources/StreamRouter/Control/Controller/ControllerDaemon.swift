import ControlAPI
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Identity
import Logging
import ServiceLifecycle
import SystemPackage
import UnixSignals

/// The controller: knows what is wanted, lets nodes in, and carries deploys out on them. Relays nothing itself, and nothing
/// that is relayed depends on it.
public struct ControllerDaemon: Sendable {
  public struct Configuration: Sendable {
    public var state: StatePaths
    /// Where nodes and operators connect, with certificates.
    public var listen: ControllerAddress
    /// Where nodes join, with a token; nil: none can.
    public var join: ControllerAddress?
    /// The unix socket of the machine's own operators.
    public var operators: FilePath
    /// How long the certificates that it gives are good.
    public var certificateLifetime: Duration
    public var store: StoreChoice
    /// Where nodes and operators reach it, if not at `listen`; what several controllers say of each other.
    public var advertise: ControllerAddress?

    public init(
      state: StatePaths, listen: ControllerAddress, join: ControllerAddress?,
      operators: FilePath = ControllerDaemon.operatorSocket, store: StoreChoice = .file,
      certificateLifetime: Duration = IdentityLimits.defaultLifetime, advertise: ControllerAddress? = nil
    ) {
      self.state = state
      self.listen = listen
      self.join = join
      self.operators = operators
      self.certificateLifetime = certificateLifetime
      self.store = store
      self.advertise = advertise
    }
  }

  /// Where commands look for the controller of this machine.
  public static var operatorSocket: FilePath { NodePaths.runtimeRoot.appending("controller.sock") }

  /// Whether this machine has a controller that runs.
  public static var answersHere: Bool { LabSocket.accepts(operatorSocket) }

  private let configuration: Configuration
  private let log: Logger

  public init(configuration: Configuration, log: Logger) {
    self.configuration = configuration
    self.log = log
  }

  /// Runs until SIGTERM or SIGINT.
  public func run() async throws {
    let notice = ServiceNotice.takeFromEnvironment(log: log)
    let paths = configuration.state
    let identity = try Identity.load(from: paths.identity.string)
    let log = self.log
    try DurableFile.makeFolder(paths.controller)
    let lock = try ProcessLock(paths.controller.appending("lock"), what: "a controller")
    defer { lock.release() }

    let audit = Audit { log.notice("\($0)") }
    let records = ControllerRecords(state: paths, audit: audit, log: log)
    let events = EventLog()
    let etcd: EtcdSide?
    let authority: SharedAuthority
    let verifier: LiveVerifier
    switch configuration.store {
    case .file:
      (authority, verifier) = try records.inFiles()
      etcd = nil
    case .etcd(let place):
      verifier = try await records.share(at: place)
      let side = try EtcdSide(
        place,
        own: .init(
          controller: identity.role.name,
          address: configuration.advertise?.description
            ?? configuration.listen.text(on: ProcessInfo.processInfo.hostName)), log: log)
      authority = SharedAuthority(
        directory: paths.authority.string, records: EtcdRecords(side.client), audit: audit)
      etcd = side
    }
    let list = etcd.map {
      ControllerList(
        $0.client, controller: identity.role.name,
        address: configuration.advertise ?? (configuration.listen.isOne ? configuration.listen : nil), log: log)
    }
    let controllers: @Sendable () -> [String] = { list?.addresses ?? [] }
    let registry = NodeRegistry(events: events, leadership: etcd?.leadership)
    let extensions = ControllerExtensions(
      try ExtensionStore(paths.controller.appending("extensions")), copies: etcd?.extensions)
    let deployer = Deployer(
      store: try etcd?.store ?? FileStore(folder: paths.controller), registry: registry,
      extensions: extensions, events: events, log: log)
    let current = CurrentIdentity(identity, path: paths.identity)
    let signing = Signing(
      authority: authority, controller: identity.role.name, lifetime: configuration.certificateLifetime,
      controllers: controllers)
    let renewal = CertificateRenewal.ofController(current, signing, log: log)
    let connections = ConnectionRegister()
    func services(_ listener: Caller.Listener) -> [any RegistrableRPCService] {
      let caller = Caller(listener: listener)
      return [
        NodeControlService(
          registry: registry, deployer: deployer, extensions: extensions, caller: caller,
          controllers: controllers),
        OperatorService(
          deployer: deployer, registry: registry, extensions: extensions, events: events, caller: caller,
          controllers: controllers),
        CertificateService(signing: signing, caller: caller),
      ]
    }
    let members = ControlTransport.Admission(
      security: {
        try .server(
          current.identity, verifier: verifier.now, now: { Date() },
          refused: { log.notice("a peer was not let in: \($0)") })
      }, register: connections)
    var all: [any Service] = [
      // First: who it is must be good before anyone sees it.
      RenewalService(renewal: renewal, log: log),
      try server(configuration.listen, services(.certificates), members),
    ]
    try prepareSocket(configuration.operators)
    if let etcd {
      // What the others need ends last.
      all.insert(etcd.client, at: 0)
    }
    if let list { all.append(list) }
    all.append(
      try server(ControllerAddress(path: configuration.operators.string), services(.operators), nil))
    if let join = configuration.join {
      let strangers = ControlTransport.Admission(
        security: { try .joinServer(current.identity, authority: verifier.certificate) },
        register: ConnectionRegister(
          limits: .init(patience: .seconds(30), handshakeMakesKnown: false)),
        // A request for a certificate, a secret, a name.
        messageBytes: 32 << 10)
      all.append(try server(join, [EnrollmentService(signing: signing)], strangers))
    }
    if let etcd {
      all.append(TermService(etcd: etcd, deployer: deployer, registry: registry, log: log))
    } else {
      all.append(ResumeService(deployer: deployer, log: log))
    }
    all.append(ClockService(registry: registry))
    all.append(
      AuthorityWatch(
        authority: authority, verifier: verifier, connections: connections, registry: registry,
        renewal: renewal, events: events,
        log: log))
    // Its sign of life is the registry's answer: where that hangs, nobody is answered.
    all.append(NoticeService(notice: notice, alive: { _ = await registry.isConnected("") }))
    log.info(
      "controller listens on \(configuration.listen)\(configuration.join.map { ", joins on \($0)" } ?? "")")
    notice.send(.ready, .status("listens on \(configuration.listen)"))
    defer { unlink(configuration.operators.string) }
    try await ServiceGroup(
      configuration: .init(
        services: all.map { .init(service: $0) }, gracefulShutdownSignals: [.sigterm, .sigint], logger: log)
    ).run()
  }

  private func prepareSocket(_ path: FilePath) throws {
    try? FileManager.default.createDirectory(
      atPath: path.removingLastComponent().string, withIntermediateDirectories: true,
      attributes: [.posixPermissions: geteuid() == 0 ? 0o755 : 0o700])
    guard !LabSocket.accepts(path) else {
      throw ControlError.alreadyRuns(what: "a controller", socket: path.string)
    }
    unlink(path.string)
  }

  private func server(
    _ address: ControllerAddress, _ services: [any RegistrableRPCService],
    _ admission: ControlTransport.Admission?
  ) throws -> ControlServer {
    guard let socket = address.socketAddress else {
      throw ControlError.unwritable(path: "\(address)", reason: "listen on an address, not on a name")
    }
    if let path = address.path { try prepareSocket(FilePath(path)) }
    return ControlServer(
      server: GRPCServer(transport: ControlTransport.server(socket, admission), services: services),
      path: address.path)
  }
}

/// One listener of the controller.
private struct ControlServer: Service {
  let server: GRPCServer<HTTP2ServerTransport.Posix>
  /// Of a unix socket, which the group may use, and the world may not.
  let path: String?

  func run() async throws {
    try await withGracefulShutdownHandler {
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await server.serve() }
        if let path {
          group.addTask {
            while access(path, F_OK) != 0 { try await Task.sleep(for: .milliseconds(5)) }
            chmod(path, 0o660)
            // A group ends with its first task.
            try await Task.sleep(for: .seconds(Int32.max))
          }
        }
        try await group.next()
        group.cancelAll()
      }
    } onGracefulShutdown: {
      server.beginGracefulShutdown()
    }
  }
}

/// Keeps what is known of the nodes' clocks fresh.
private struct ClockService: Service {
  let registry: NodeRegistry

  func run() async throws {
    try? await cancelWhenGracefulShutdown {
      while true {
        await registry.readClocks()
        try await Task.sleep(for: .seconds(2))
      }
    }
  }
}

/// Takes up a deploy that a former controller left.
private struct ResumeService: Service {
  let deployer: Deployer
  let log: Logger

  func run() async throws {
    do { try await deployer.resume() } catch { log.error("taking up the deploy that was under way: \(error)") }
    try? await gracefulShutdown()
  }
}
