import ControlAPI
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Identity
import Logging
import SystemPackage
import Topology

/// An operator's commands to a controller: over the unix socket of this machine, or with an operator's certificate.
public struct ControllerClient: Sendable {
  /// Those that it may ask, in their order.
  private let named: [ControllerAddress]
  /// nil on a unix socket, whose permissions say who may use it.
  let identity: OperatorIdentity?

  /// The controller of this machine.
  public init(socket: FilePath = ControllerDaemon.operatorSocket) {
    named = [ControllerAddress(path: socket.string)]
    identity = nil
  }

  /// Controllers on other machines: the one at work is asked.
  ///
  /// - Parameter controllers: Empty: where the operator joined, and what was heard of since.
  public init(_ identity: OperatorIdentity, at controllers: [ControllerAddress] = []) {
    named = controllers
    self.identity = identity
  }

  private var addresses: [ControllerAddress] { named.isEmpty ? identity?.places.addresses ?? [] : named }

  /// The one that answered last.
  var first: ControllerAddress {
    get throws {
      guard let first = addresses.first else {
        throw ControlError.forbidden("no controller is known: 'streamrouter operator join' says where one is")
      }
      return first
    }
  }

  /// What a file of a topology asks for, with the extensions that it names.
  public struct File: Sendable {
    /// The topology's name.
    public let topology: String
    var path: String
    var yaml: String
    var objects: [ExtensionObject]

    /// - Throws: ``TopologyError``, ``ExtensionError``.
    public init(path: String) throws {
      let library = ExtensionLibrary(places: ExtensionLibrary.places(for: path))
      let topology = try Topology.load(path: path, extensions: library.catalog)
      self.path = path
      self.topology = topology.name
      objects = try topology.extensionNames.map { try library.object(named: $0) }
      guard let data = FileManager.default.contents(atPath: path) else {
        throw TopologyError.unreadable(file: path, reason: "it is gone")
      }
      yaml = String(decoding: data, as: UTF8.self)
    }
  }

  /// What to deploy.
  public enum Wanted: Sendable {
    case file(File)
    /// A former revision.
    case revision(UInt64)
    case nothing
  }

  /// How to deploy it.
  public struct Options: Sendable {
    /// Goes on without nodes that do not answer.
    public var partial = false
    /// Seconds in which it has to be confirmed; 0: it is kept at once.
    public var confirmSeconds: UInt32 = 0

    public init(partial: Bool = false, confirmSeconds: UInt32 = 0) {
      self.partial = partial
      self.confirmSeconds = confirmSeconds
    }
  }

  // MARK: Calls

  public func plan(_ wanted: Wanted) async throws -> PlanDocument {
    try await call { service in
      let request = try await Self.request(wanted, Options(), service)
      return PlanDocument(try await service.plan(request, options: ControlTransport.callOptions))
    }
  }

  /// - Parameter progress: Told what is being done.
  /// - Throws: ``DeployFailure``; then everything is as it was.
  public func deploy(
    _ wanted: Wanted, _ options: Options, progress: @escaping @Sendable (String) -> Void
  ) async throws -> DeployDocument {
    try await call { service in
      let request = try await Self.request(wanted, options, service)
      let asked = addresses.map(\.description).joined(separator: ", ")
      return try await service.deploy(request, options: ControlTransport.streamOptions) { response in
        var hasBegun = false
        do {
          for try await event in response.messages {
            switch event.ending {
            case .done(let done): return DeployDocument(done)
            case .refused(let refused): throw DeployFailure(refused)
            case nil: progress(event.text)
            }
            hasBegun = true
          }
        } catch let error as RPCError where hasBegun && error.code == .unavailable {
          throw ControlError.unreachable(
            controller: asked,
            reason:
              "the connection was lost while the deploy was under way (\(RefusalNote.text(of: error))), and it goes on there; 'streamrouter status' tells what became of it"
          )
        }
        throw ControlError.unreachable(
          controller: asked,
          reason: "it ended before the deploy did; 'streamrouter status' tells what became of it")
      }
    }
  }

  /// - Returns: The number of the revision that is kept.
  public func confirm() async throws -> UInt64 {
    try await call {
      try await $0.confirm(.with { $0.who = Self.who }, options: ControlTransport.callOptions).revision
    }
  }

  public func status() async throws -> StatusDocument {
    try await call { StatusDocument(try await $0.status(.init(), options: ControlTransport.callOptions)) }
  }

  public func history() async throws -> HistoryDocument {
    try await call { HistoryDocument(try await $0.history(.init(), options: ControlTransport.callOptions)) }
  }

  /// The latest so many events, then those that come, to the end of time or of the connection.
  public func events(
    past: UInt32, follow: Bool, _ each: @escaping @Sendable (EventDocument) -> Void
  ) async throws {
    try await call { service in
      try await service.events(
        .with {
          $0.past = past
          $0.pastOnly = !follow
        }
      ) { response in
        for try await event in response.messages { each(EventDocument(event)) }
      }
    }
  }

  // MARK: Connection

  /// Where several controllers are known, one must not be asked for what it may have begun and another one goes on with:
  /// so the one at work is found first, by a question that does no harm.
  private func call<Result: Sendable>(
    _ body: @Sendable (APIOperator.Client<HTTP2ClientTransport.Posix>) async throws -> Result
  ) async throws -> Result {
    var queue = addresses
    // Also where one is known: it says where the others are.
    guard queue.count > 1 || named.isEmpty else { return try await call(first, probe: false, body).get() }
    var tried: Set<ControllerAddress> = []
    var failures: [any Error] = []
    while let address = queue.first {
      queue.removeFirst()
      tried.insert(address)
      switch try await call(address, probe: true, body) {
      case .done(let result): return result
      case .elsewhere(let error, let atWork):
        failures.append(error)
        if let atWork, !tried.contains(atWork) {
          queue.removeAll { $0 == atWork }
          queue.insert(atWork, at: 0)
        }
      }
    }
    // One that answers says more than one that does not.
    throw failures.first { if case ControlError.notNow = $0 { true } else { false } } ?? failures[0]
  }

  /// What became of asking one controller.
  private enum Asked<Result: Sendable>: Sendable {
    case done(Result)
    /// It was not asked, since it cannot be reached or is not at work; and which is, where it said so.
    case elsewhere(ControlError, ControllerAddress?)

    func get() throws -> Result {
      switch self {
      case .done(let result): return result
      case .elsewhere(let error, _): throw error
      }
    }
  }

  private static var probePatience: Duration { .seconds(4) }

  private func call<Result: Sendable>(
    _ address: ControllerAddress, probe: Bool,
    _ body: @Sendable (APIOperator.Client<HTTP2ClientTransport.Posix>) async throws -> Result
  ) async throws -> Asked<Result> {
    if let path = address.path, !LabSocket.accepts(FilePath(path)) {
      return .elsewhere(
        .unreachable(
          controller: path,
          reason: access(path, F_OK) != 0
            ? "no controller runs on this machine; 'streamrouter controller run' starts one"
            : access(path, W_OK) != 0
              ? "no permission; run as root, or as a member of its group" : "nothing answers there"), nil)
    }
    let refusal = RefusalNote()
    let security = try identity?.security(refusal)
    do {
      return try await withGRPCClient(transport: ControlTransport.client(address, security, refusal)) {
        client in
        let service = APIOperator.Client(wrapping: client)
        if probe {
          var options = ControlTransport.callOptions
          options.timeout = Self.probePatience
          do {
            let status = try await service.status(.init(), options: options)
            if named.isEmpty {
              identity?.places.answered(address)
              identity?.places.learn(status.controllers, from: address)
            }
          } catch let error as RPCError {
            switch error.code {
            case .deadlineExceeded:
              return .elsewhere(
                .unreachable(
                  controller: address.description,
                  reason:
                    "it did not answer within \(Self.probePatience.components.seconds) s; nothing was asked of it"
                ),
                nil)
            case .unavailable, .cancelled, .aborted:
              return .elsewhere(Self.translated(error, address, refusal), ControlError.atWork(error))
            default: throw error
            }
          }
        }
        let result = try await body(service)
        await identity?.renewWhereOld(over: client, at: named.isEmpty ? address : nil)
        return .done(result)
      }
    } catch let error as RPCError { throw Self.translated(error, address, refusal) }
  }

  private static func translated(
    _ error: RPCError, _ address: ControllerAddress, _ refusal: RefusalNote
  ) -> ControlError {
    switch error.code {
    case .deadlineExceeded:
      .unreachable(
        controller: address.description,
        reason:
          "it did not answer within \(ControlTransport.callPatience.components.seconds) s; what was asked may have been done ('streamrouter status')"
      )
    case .unavailable:
      .unreachable(controller: address.description, reason: refusal.text(of: error))
    case .aborted: .notNow(error.message)
    case .permissionDenied, .unauthenticated: .forbidden(error.message)
    default: .asked(error.message)
    }
  }

  private static func request(
    _ wanted: Wanted, _ options: Options, _ service: APIOperator.Client<HTTP2ClientTransport.Posix>
  ) async throws -> APIDeployRequest {
    var request = APIDeployRequest.with {
      $0.who = who
      $0.partial = options.partial
      $0.confirmSeconds = options.confirmSeconds
    }
    switch wanted {
    case .nothing: request.destroy = true
    case .revision(let number): request.revision = number
    case .file(let file):
      request.topology = file.yaml
      request.file = file.path
      request.extensions = Dictionary(
        file.objects.map { ($0.manifest.name, $0.content) }, uniquingKeysWith: { first, _ in first })
      let calls = ControlTransport.callOptions
      let missing = try await service.missingExtensions(
        .with { $0.content = file.objects.map(\.content) }, options: calls)
      for object in file.objects where missing.content.contains(object.content) {
        _ = try await service.putExtension(.with { $0.object = Data(object.image) }, options: calls)
      }
    }
    return request
  }

  /// Who asks, as far as this machine knows: for history, and for others who wait.
  private static var who: String {
    let user = getenv("SUDO_USER").map { String(cString: $0) } ?? NSUserName()
    return "\(user) on \(ProcessInfo.processInfo.hostName), process \(getpid())"
  }
}

/// A deploy that was refused. Everything is as it was before, but on the nodes that are named as unclear.
public struct DeployFailure: Error, Hashable, Sendable, CustomStringConvertible {
  /// A node could not be reached.
  public var isUnreachable: Bool
  /// The topology, or what was asked, is not valid.
  public var isInvalid: Bool
  public var description: String

  init(_ refused: APIDeployRefused) {
    isUnreachable = refused.reason == .unreachable
    isInvalid = refused.reason == .invalid
    description =
      refused.text
      + (refused.unclear.isEmpty
        ? ""
        : "\nnot heard of while all went back: \(refused.unclear.joined(separator: ", ")); they go back when they return")
  }
}
