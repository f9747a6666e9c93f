import Foundation
import Identity
import Logging
import ServiceLifecycle

/// Follows the authority's records, which commands and other controllers change beside this one: ends the connections of
/// whose certificate counts no more, and has everyone renew who is not ready for the next step of an exchange of the
/// authority.
struct AuthorityWatch: Service {
  let authority: SharedAuthority
  /// Told what was found.
  let verifier: LiveVerifier
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

  /// What the records said at the latest look.
  private struct Seen {
    var known: LiveVerifier.Known
    /// Whether it was so at the look before: a handshake that was under way at that one may have gone by the former records.
    var isSettled: Bool
  }

  func run() async throws {
    await cancelWhenGracefulShutdown {
      await withDiscardingTaskGroup { group in
        group.addTask {
          var seen: Seen?
          await each { seen = try await look(seen) }
        }
        // Beside it: a node that does not answer must not keep those who were revoked.
        group.addTask {
          var asked = Asked()
          await each { try await haveRenewed(&asked) }
        }
      }
    }
  }

  /// Does it at each interval; the same trouble again and again is one line of the log.
  private func each(_ body: () async throws -> Void) async {
    var told = ""
    while !Task.isCancelled {
      do {
        try await body()
        told = ""
      } catch let error where !Task.isCancelled {
        if told != "\(error)" { log.error("following the authority: \(error)") }
        told = "\(error)"
      } catch { return }
      try? await Task.sleep(for: interval)
    }
  }

  private func look(_ former: Seen?) async throws -> Seen {
    let known = try await authority.perform { try LiveVerifier.Known($0) }
    self.verifier.take(known)
    let isKnown = former?.known == known
    let verifier = known.verifier
    let now = now()
    // Checking signatures of a thousand nodes each second would be dear: only where the answer can have changed.
    for peer in connections.known where !isKnown || former?.isSettled != true || peer.certificate.notAfter < now
    {
      do { _ = try await verifier.certificate(of: [peer.certificate.encoded], at: now) } catch {
        log.notice("a connection is ended: \(error)")
        if case .node(let name) = peer.certificate.role { events.add(.problem, node: name, "\(error)") }
        peer.channel.close(promise: nil)
      }
    }
    return Seen(known: known, isSettled: isKnown)
  }

  /// Who was asked to renew, and when.
  private struct Asked {
    var times: [Role: ContinuousClock.Instant] = [:]
    var told: [String: String] = [:]
  }

  private func haveRenewed(_ asked: inout Asked) async throws {
    let own = renewal.current.identity
    let time = now()
    let (authority, behind) = try await self.authority.perform { (try $0.load(), try $0.behind(at: time)) }
    guard authority.phase != .settled || own.trust != authority.trust else {
      asked = Asked()
      return
    }
    // Files have whole seconds: who renews in the one in which the phase began would not seem to have.
    guard now() >= authority.since.addingTimeInterval(1) else { return }
    let due = behind.filter { role in asked.times[role].map { $0.duration(to: .now) >= askAgain } ?? true }
    if own.trust != authority.trust || due.contains(own.role) {
      asked.times[own.role] = .now
      try await renewal.renew()
    }
    var nodes: [String] = []
    for case .node(let name) in due where await registry.isConnected(name) {
      asked.times[.node(name)] = .now
      nodes.append(name)
    }
    for (node, error) in await registry.askAll(nodes, { _ in .renew }) where asked.told[node] != "\(error)" {
      asked.told[node] = "\(error)"
      log.warning("node \(node) did not renew its certificate: \(error)")
    }
  }
}
