import Foundation
import Identity
import Logging
import ServiceLifecycle

/// Renews the certificate at two thirds of its life, again and again until it works.
struct RenewalService: Service {
  let renewal: CertificateRenewal
  var times = Times()
  let log: Logger

  struct Times: Sendable {
    /// The time is looked at so often, as clocks may be set.
    var look = Duration.seconds(60)
    /// Between two tries: a twentieth of what is left, but within these.
    var pause = Duration.seconds(10)...Duration.seconds(600)
  }

  func run() async throws {
    try? await cancelWhenGracefulShutdown {
      var told = ""
      while !Task.isCancelled {
        do {
          renewal.current.takeFromDisk(at: renewal.now())
          try await step()
          told = ""
        } catch let error where !Task.isCancelled {
          let text = Self.text(error, renewal.current.identity.renewal(at: renewal.now()))
          // The same trouble again and again is one line of the log.
          if text != told { log.error("\(text)") }
          told = text
        }
        try await Task.sleep(for: pause)
      }
    }
  }

  private func step() async throws {
    switch renewal.current.identity.renewal(at: renewal.now()) {
    case .notDue: break
    // Also where it is too late by this machine's clock, which may be wrong.
    case .due, .expired: try await renewal.renew()
    }
  }

  /// Until the next look.
  var pause: Duration {
    let now = renewal.now()
    switch renewal.current.identity.renewal(at: now) {
    case .notDue(let until):
      return min(times.look, max(.milliseconds(10), .seconds(until.timeIntervalSince(now))))
    case .due(let end):
      let part = Duration.seconds(end.timeIntervalSince(now) / 20)
      return min(times.pause.upperBound, max(times.pause.lowerBound, part))
    case .expired: return times.pause.upperBound
    }
  }

  private static func text(_ error: any Error, _ state: Identity.Renewal) -> String {
    let consequence =
      switch state {
      case .notDue: "it is good for a while yet"
      case .due(let end): "it ends at \(end.formatted(.iso8601)), and it is tried again"
      case .expired(let end):
        "it ended at \(end.formatted(.iso8601)): compare the clocks, or join again with a new token"
      }
    return "renewing the certificate: \(RefusalNote.text(of: error)); \(consequence)"
  }
}
