import Foundation
import Identity
import Logging
import ServiceLifecycle

/// Follows the authority's files, which commands change beside the controller: ends the connections of whose certificate
/// counts no more, and has everyone renew who is not ready for the next step of an exchange of the authority.
struct AuthorityWatch: Service {
  let authority: AuthorityStore
  let connections: ConnectionRegister
  let registry: NodeRegistry
  /// The controller's own.
  let renewal: CertificateRenewal
  let events: EventLog
  var now: @Sendable () -> Date = { Date() }
  /// How long one who was revoked goes on at most.
  var interval = Duration.seconds(1)
  /// Who did not renew is asked again after this time.
  var askAgain = Duration.seconds(5)
  let log: Logger

  /// What the files said at the latest look.
  private struct Seen: Equatable {
    var trust: TrustBundle
    var revocations: Revocations
  }

  func run() async throws {
    try? await cancelWhenGracefulShutdown {
      var seen: Seen?
      var asked: ContinuousClock.Instant?
      var told = ""
      while !Task.isCancelled {
        do {
          seen = try await look(seen)
          if asked.map({ $0.duration(to: .now) >= askAgain }) ?? true, try await haveRenewed() { asked = .now }
          told = ""
        } catch let error where !Task.isCancelled {
          if told != "\(error)" { log.error("following the authority: \(error)") }
          told = "\(error)"
        }
        try await Task.sleep(for: interval)
      }
    }
  }

  private func look(_ former: Seen?) async throws -> Seen {
    let seen = Seen(trust: try authority.load().trust, revocations: try authority.revocations())
    let verifier = PeerVerifier(trust: seen.trust, revocations: seen.revocations)
    let now = now()
    // Checking signatures of a thousand nodes each second would be dear: only where the answer can have changed.
    for peer in connections.known where seen != former || peer.certificate.notAfter < now {
      do { _ = try await verifier.certificate(of: [peer.certificate.encoded], at: now) } catch {
        log.notice("a connection is ended: \(error)")
        if case .node(let name) = peer.certificate.role { events.add(.problem, node: name, "\(error)") }
        peer.channel.close(promise: nil)
      }
    }
    return seen
  }

  /// - Returns: Whether anyone was asked.
  private func haveRenewed() async throws -> Bool {
    let own = renewal.current.identity
    let authority = try authority.load()
    guard authority.phase != .settled || own.trust != authority.trust else { return false }
    let behind = Set(try self.authority.behind(at: now()))
    if own.trust != authority.trust || behind.contains(own.role) { try await renewal.renew() }
    var nodes: [String] = []
    for case .node(let name) in behind where await registry.isConnected(name) { nodes.append(name) }
    guard !nodes.isEmpty else { return false }
    for (node, error) in await registry.askAll(nodes.sorted(), { _ in .renew }) {
      log.warning("node \(node) did not renew its certificate: \(error)")
    }
    return true
  }
}
