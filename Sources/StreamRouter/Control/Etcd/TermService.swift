import Foundation
import Logging
import ServiceLifecycle

/// What a controller has of etcd.
struct EtcdSide: Sendable {
  let client: EtcdClient
  let leadership: Leadership
  let store: EtcdStore
  let extensions: EtcdExtensions

  /// - Parameter own: What others hear of this controller while it is at work.
  init(_ place: EtcdPlace, own: Leadership.Leader, log: Logger) throws {
    client = try EtcdClient(place)
    leadership = Leadership(client, own: own, log: log)
    store = EtcdStore(client, leadership: leadership)
    extensions = EtcdExtensions(client)
  }
}

/// The terms of a controller that shares etcd with others: takes up the deploy that the one before left, says which nodes
/// are there, and lets go of everything when the term is over.
struct TermService: Service {
  let etcd: EtcdSide
  let deployer: Deployer
  let registry: NodeRegistry
  let log: Logger

  private static let pause = Duration.milliseconds(500)

  func run() async throws {
    await cancelWhenGracefulShutdown {
      await etcd.leadership.run { lease in await term(lease) }
    }
  }

  private func term(_ lease: Int64) async {
    await withDiscardingTaskGroup { group in
      group.addTask { await resume() }
      await tellPresence(lease)
      await registry.endAll()
      group.cancelAll()
    }
    await deployer.standDown()
  }

  private func resume() async {
    while !Task.isCancelled {
      do { return try await deployer.resume() } catch {
        log.error("taking up the deploy that was under way: \(error)")
      }
      try? await Task.sleep(for: Self.pause * 4)
    }
  }

  /// Until the term is over.
  private func tellPresence(_ lease: Int64) async {
    var presence = NodePresence(etcd.client, lease: lease)
    while etcd.leadership.term == lease, !Task.isCancelled {
      // What etcd did not take now it takes the next time.
      try? await presence.update(registry.all())
      try? await Task.sleep(for: Self.pause)
    }
  }
}
