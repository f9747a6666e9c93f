import EtcdAPI
import Foundation
import Logging
import Synchronization

/// The controller that is at work, as the others hear of it.
public struct ControllerAtWork: Hashable, Sendable, Codable, CustomStringConvertible {
  /// The node on whose machine it runs.
  public var controller: String
  /// Where nodes and operators reach it.
  public var address: String

  public var description: String { "\(controller) at \(address)" }

  init(controller: String, address: String) {
    self.controller = controller
    self.address = address
  }

  /// nil where the value is damaged; the lease counts all the same.
  init?(_ value: EtcdKeyValue) {
    guard let leader = try? JSONDecoder().decode(ControllerAtWork.self, from: value.value) else { return nil }
    self = leader
  }
}

/// Which of several controllers is at work: the one whose lease holds the key `leader`.
///
/// It counts as its own only as long as the lease is sure to last, by this machine's clock: a controller that was stopped
/// or cut off ceases before etcd lets another one begin.
final class Leadership: Sendable {
  typealias Leader = ControllerAtWork

  static let leaseSeconds: Int64 = 5
  /// What is under way on the network when the lease ends.
  private static let margin = Duration.milliseconds(500)
  private static let renewal = Duration.seconds(1)
  private static let candidature = Duration.milliseconds(500)

  private struct State {
    var lease: Int64?
    var until = ContinuousClock.now
    var other: Leader?
  }

  private let client: EtcdClient
  private let keys: EtcdKeys
  private let own: Leader
  private let log: Logger
  private let state = Mutex(State())

  init(_ client: EtcdClient, own: Leader, log: Logger) {
    self.client = client
    keys = EtcdKeys(installation: client.place.installation)
    self.own = own
    self.log = log
  }

  /// The lease of the term, even where it may have run out.
  var term: Int64? { state.withLock { $0.lease } }
  /// The lease of this term; nil where another controller is, or may be, at work.
  var lease: Int64? { state.withLock { $0.until > .now ? $0.lease : nil } }
  var isHeld: Bool { lease != nil }

  /// Why this controller does nothing.
  var refusal: ControlError {
    state.withLock { state in
      .notAtWork(other: state.lease == nil ? state.other : nil)
    }
  }

  /// Becomes the controller at work as often as there is none, and works until that ends.
  ///
  /// - Parameter work: Has to return soon after ``term`` is another than its own: no new term begins before.
  func run(_ work: @Sendable (_ lease: Int64) async -> Void) async {
    var told = ""
    while !Task.isCancelled {
      do {
        let lease = try await campaign()
        told = ""
        log.notice("this controller is at work: \(own)")
        await withDiscardingTaskGroup { group in
          group.addTask { await self.keep(lease) }
          await work(lease)
          group.cancelAll()
        }
        state.withLock { $0.lease = nil }
        // Also where this task was cancelled: the next controller need not wait.
        await Task { try? await self.client.revoke(lease) }.value
        log.notice("this controller is at work no more")
        // Others come first.
        try? await Task.sleep(for: Self.candidature * 2)
      } catch is CancellationError { return } catch {
        if "\(error)" != told { log.error("\(error)") }
        told = "\(error)"
        try? await Task.sleep(for: Self.candidature)
      }
    }
  }

  /// Waits until this controller is at work.
  private func campaign() async throws -> Int64 {
    while true {
      try Task.checkCancellation()
      guard let holder = try await client.range(keys.leader).kvs.first else {
        let begun = ContinuousClock.now
        let lease = try await client.grant(seconds: Self.leaseSeconds)
        let claim = try await client.transact(
          [.unchanged(keys.leader, since: 0)],
          [.put(keys.leader, try EtcdStore.encode(own), lease: lease)], otherwise: [.get(keys.leader)])
        let holder = claim.responses.first?.responseRange.kvs.first
        // A claim whose answer was lost is found to be there when it is made again.
        guard claim.succeeded || holder?.lease == lease else {
          try? await client.revoke(lease)
          continue
        }
        state.withLock { $0 = State(lease: lease, until: begun + Self.lasting(Self.leaseSeconds)) }
        return lease
      }
      let other = Leader(holder)
      let isNew = state.withLock { state in
        defer { state.other = other }
        return state.other != other
      }
      if isNew, let other { log.notice("controller \(other) is at work, and this one waits") }
      try await Task.sleep(for: Self.candidature)
    }
  }

  /// Renews the lease until it is over.
  private func keep(_ lease: Int64) async {
    while !Task.isCancelled {
      try? await Task.sleep(for: Self.renewal)
      let begun = ContinuousClock.now
      let left = state.withLock { $0.until } - begun
      do {
        let seconds = try await client.keepAlive(lease, within: max(left, .milliseconds(1)))
        guard seconds > 0 else { break }
        state.withLock { $0.until = max($0.until, begun + Self.lasting(seconds)) }
      } catch {
        guard left > .zero else { break }
      }
    }
    state.withLock { $0.lease = nil }
  }

  private static func lasting(_ seconds: Int64) -> Duration { .seconds(seconds) - margin }
}
