import EtcdAPI
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import ServiceLifecycle
import Synchronization

/// Calls to etcd: to one of its members, and to the next where that one does not answer.
///
/// A call whose answer is lost is made again, so it may be carried out twice: transactions compare what they read, the
/// rest is harmless when done twice.
final class EtcdClient: Service {
  /// How long a member may take to answer.
  private static let attempt = Duration.milliseconds(1_500)
  /// How long a call may take in all: members choose another leader within some two seconds.
  static let patience = Duration.seconds(8)
  private static let pause = Duration.milliseconds(50)
  /// The largest answer: all revisions without their texts, or one text.
  private static let messageBytes = 64 << 20

  private typealias Member = GRPCClient<HTTP2ClientTransport.Posix>

  let place: EtcdPlace
  private let members: [Member]
  /// The member that answered last.
  private let preferred = Mutex(0)

  /// - Throws: ``ControlError/unreadable(path:reason:)``.
  init(_ place: EtcdPlace) throws {
    self.place = place
    for path in [place.security?.authority, place.security?.certificate, place.security?.key] {
      guard let path, !FileManager.default.isReadableFile(atPath: path) else { continue }
      throw ControlError.unreadable(path: path, reason: "it is not there, or permission is denied")
    }
    members = try place.members.map { address in
      do {
        return Member(
          transport: try HTTP2ClientTransport.Posix(
            target: address.target, transportSecurity: place.transportSecurity,
            config: .defaults { config in
              config.backoff.initial = .milliseconds(100)
              config.backoff.max = .seconds(1)
            }))
      } catch {
        throw ControlError.storeUnreachable(members: address.description, reason: "\(error)")
      }
    }
  }

  /// Keeps connections to all members.
  func run() async throws {
    await withGracefulShutdownHandler {
      await withDiscardingTaskGroup { group in
        for member in members {
          // Ends with the shutdown; what a connection lacks is told by the calls.
          group.addTask { try? await member.runConnections() }
        }
      }
    } onGracefulShutdown: {
      self.shutDown()
    }
  }

  func shutDown() {
    for member in members { member.beginGracefulShutdown() }
  }

  // MARK: Calls

  /// - Parameters:
  ///   - end: The first key behind; nil: just the one.
  ///   - revision: The store's revision to read at; 0: the latest.
  func range(_ key: String, end: Data? = nil, at revision: Int64 = 0, keysOnly: Bool = false) async throws
    -> EtcdRangeResponse
  {
    let request = EtcdRangeRequest.with {
      $0.key = Data(key.utf8)
      $0.rangeEnd = end ?? Data()
      $0.revision = revision
      $0.keysOnly = keysOnly
    }
    return try await call { member, options in
      try await EtcdKV.Client(wrapping: member).range(request, options: options)
    }
  }

  func put(_ key: String, _ value: Data) async throws {
    let request = EtcdPutRequest.with {
      $0.key = Data(key.utf8)
      $0.value = value
    }
    _ = try await call { member, options in
      try await EtcdKV.Client(wrapping: member).put(request, options: options)
    }
  }

  func transact(
    _ compare: [EtcdCompare], _ success: [EtcdRequestOp], otherwise failure: [EtcdRequestOp] = []
  ) async throws -> EtcdTxnResponse {
    let request = EtcdTxnRequest.with {
      $0.compare = compare
      $0.success = success
      $0.failure = failure
    }
    return try await call { member, options in
      try await EtcdKV.Client(wrapping: member).txn(request, options: options)
    }
  }

  func grant(seconds: Int64) async throws -> Int64 {
    try await call { member, options in
      try await EtcdLease.Client(wrapping: member).leaseGrant(.with { $0.ttl = seconds }, options: options).id
    }
  }

  func revoke(_ lease: Int64) async throws {
    _ = try await call(within: .seconds(1)) { member, options in
      try await EtcdLease.Client(wrapping: member).leaseRevoke(.with { $0.id = lease }, options: options)
    }
  }

  /// - Returns: Seconds that the lease has from here on; 0: it is over.
  func keepAlive(_ lease: Int64, within patience: Duration) async throws -> Int64 {
    try await call(within: patience, attempt: .seconds(1)) { member, options in
      try await EtcdLease.Client(wrapping: member).leaseKeepAlive(
        options: options,
        requestProducer: { try await $0.write(.with { $0.id = lease }) },
        onResponse: { response in
          for try await answer in response.messages { return answer.ttl }
          throw RPCError(code: .unavailable, message: "the lease's renewal was not answered")
        })
    }
  }

  // MARK: From member to member

  private func call<Result: Sendable>(
    within patience: Duration = EtcdClient.patience, attempt: Duration = EtcdClient.attempt,
    _ body: @Sendable (GRPCClient<HTTP2ClientTransport.Posix>, CallOptions) async throws -> Result
  ) async throws -> Result {
    let limit = ContinuousClock.now + patience
    var options = CallOptions.defaults
    options.waitForReady = false
    options.maxResponseMessageBytes = Self.messageBytes
    var place = preferred.withLock { $0 }
    while true {
      do {
        options.timeout = attempt
        let result = try await body(members[place], options)
        preferred.withLock { $0 = place }
        return result
      } catch let error as RPCError {
        try Task.checkCancellation()
        guard Self.mayPass(error) else { throw ControlError.storeRefused(reason: error.message) }
        guard ContinuousClock.now < limit else {
          throw ControlError.storeUnreachable(members: self.place.text, reason: error.message)
        }
        place = (place + 1) % members.count
        try await Task.sleep(for: Self.pause)
      } catch let error as RuntimeError {
        throw ControlError.storeUnreachable(members: self.place.text, reason: error.message)
      }
    }
  }

  /// Whether another member, or the same a moment later, may answer otherwise.
  private static func mayPass(_ error: RPCError) -> Bool {
    switch error.code {
    case .unavailable, .deadlineExceeded, .internalError, .unknown, .aborted, .cancelled: true
    default: false
    }
  }
}

extension EtcdPlace {
  /// For messages.
  var text: String { members.map(\.description).joined(separator: ", ") }

  /// Runs something with a client of its own.
  func withClient<Result: Sendable>(
    _ body: @Sendable (EtcdClient) async throws -> Result
  ) async throws -> Result {
    let client = try EtcdClient(self)
    return try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await client.run() }
      let outcome: Swift.Result<Result, any Error>
      do { outcome = .success(try await body(client)) } catch { outcome = .failure(error) }
      client.shutDown()
      try await group.waitForAll()
      return try outcome.get()
    }
  }
}
