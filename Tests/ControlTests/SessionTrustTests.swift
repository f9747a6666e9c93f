import ControlAPI
import Foundation
import GRPCCore
import Testing

@testable import Identity
@testable import StreamRouter

/// How a session follows what becomes of its certificate.
@Suite(.serialized) struct SessionTrustTests {
  @Test("a node that is revoked loses its session at once, and does not come back")
  func revoked() async throws {
    let here = try ControllerFixture()
    defer { here.remove() }
    let paths = try here.paths("edge")
    try here.issue(.node("edge"), to: paths)
    try await here.run {
      try await here.member("edge", paths: paths) { _ in
        #expect(try here.enrollment.revoke(.node("edge")) == 1)
        try await eventually("the session ends", within: .seconds(3)) {
          try await !here.isConnected("edge")
        }
        try await Task.sleep(for: .seconds(1))
        #expect(try await !here.isConnected("edge"))
        #expect(here.log.contains("a connection is ended: the certificate"))
      }
      // With a new certificate it may.
      try here.issue(.node("edge"), to: paths)
      try await here.member("edge", paths: paths) { _ in }
    }
  }

  @Test("an operator who is revoked hears no further event")
  func revokedOperator() async throws {
    let here = try ControllerFixture()
    defer { here.remove() }
    let alice = try here.identity(.operator("alice"))
    try await here.run {
      let heard = LogLines()
      let log = heard.logger("event")
      try await beside({
        try await here.call(as: alice) { client in
          try await APIOperator.Client(wrapping: client).events(.with { $0.past = 10 }) { response in
            for try await event in response.messages { log.info("\(event.text)") }
          }
        }
        log.info("the call ended")
      }) {
        let paths = try here.paths("edge")
        try here.issue(.node("edge"), to: paths)
        try await here.member("edge", paths: paths) { _ in
          try await eventually("an event is heard") { heard.contains("version") }
        }
        let before = here.log.all.count
        #expect(try here.enrollment.revoke(.operator("alice")) == 1)
        try await eventually("the connection ends", within: .seconds(3)) {
          here.log.all.dropFirst(before).contains { $0.contains("a connection is ended: the certificate") }
        }
        try await Task.sleep(for: .milliseconds(200))
        let count = heard.all.count
        // Somebody comes, of which she would hear.
        let other = try here.paths("core")
        try here.issue(.node("core"), to: other)
        try await here.member("core", paths: other) { _ in
          try await Task.sleep(for: .milliseconds(500))
        }
        #expect(heard.all.dropFirst(count).allSatisfy { $0.contains("the call ended") }, "\(heard.all)")
      }
    }
  }

  @Test("a session ends with the certificate that it was opened with")
  func expires() async throws {
    let here = try ControllerFixture(created: Date(timeIntervalSinceNow: -86_400))
    defer { here.remove() }
    let paths = try here.paths("edge")
    try here.issue(
      .node("edge"), signed: Date(timeIntervalSinceNow: 6 - 3600), lifetime: .seconds(3600), to: paths)
    try await here.run {
      try await here.member("edge", paths: paths, awaits: false, renews: false) { _ in
        try await eventually("it is seen") { here.log.contains("connected to the controller") }
        try await eventually("the session ends") { here.log.contains("node edge expired at") }
        try await eventually("it is gone") { try await !here.isConnected("edge") }
      }
    }
  }

  @Test("a certificate is renewed when it is due, with a new key, and the session goes on")
  func renewal() async throws {
    let here = try ControllerFixture(created: Date(timeIntervalSinceNow: -50 * 86_400))
    defer { here.remove() }
    let paths = try here.paths("edge")
    try here.issue(.node("edge"), signed: Date(timeIntervalSinceNow: -21 * 86_400), to: paths)
    let before = try Identity.load(from: paths.identity.string)
    let times = RenewalService.Times(look: .milliseconds(50), pause: .milliseconds(50)...(.milliseconds(100)))
    // At first there is no controller: it is tried again and again, and one line of the log says so.
    try await here.member("edge", paths: paths, times: times, awaits: false) { current in
      try await eventually("it is tried") { here.log.contains("renewing the certificate") }
      try await Task.sleep(for: .milliseconds(500))
      #expect(here.log.all.count { $0.contains("renewing the certificate") } == 1, "\(here.log.all)")
      #expect(here.log.contains("and it is tried again"))
      #expect(current.identity.certificate == before.certificate)
      try await here.run {
        try await here.connected("edge")
        try await eventually("it is renewed") { current.identity.certificate != before.certificate }
        let after = try Identity.load(from: paths.identity.string)
        #expect(after.certificate == current.identity.certificate && after.role == before.role)
        #expect(after.key.pem != before.key.pem)
        #expect(after.certificate.notAfter.timeIntervalSinceNow > 29 * 86_400)
        #expect(try await here.isConnected("edge"))
        #expect(!here.log.contains("a connection is ended"))
      }
    }
  }

  @Test("the time to the next look follows the certificate's life")
  func pauses() throws {
    let here = try ControllerFixture()
    defer { here.remove() }
    let identity = try here.identity(.node("edge"))
    let start = identity.certificate.notBefore
    let life = identity.certificate.notAfter.timeIntervalSince(start)
    func pause(at share: Double) -> Duration {
      let now = start.addingTimeInterval(life * share)
      let current = CurrentIdentity(identity, path: here.folder)
      let log = here.log.logger("")
      return RenewalService(
        renewal: CertificateRenewal(
          current: current, sign: { _ in throw ControlError.nothingDeployed }, now: { now }, log: log),
        log: log
      ).pause
    }
    #expect(pause(at: 0.1) == .seconds(60))
    #expect(pause(at: 2.0 / 3 - 10 / life) > .seconds(9) && pause(at: 2.0 / 3 - 10 / life) <= .seconds(10))
    #expect(pause(at: 0.7) == .seconds(600))
    #expect(pause(at: 1 - 3600 / life) > .seconds(170) && pause(at: 1 - 3600 / life) < .seconds(190))
    #expect(pause(at: 1 - 10 / life) == .seconds(10))
    #expect(pause(at: 1.1) == .seconds(600))
  }

  @Test("what does not fit the key, the name or the authority is not taken for a renewal")
  func wrongRenewals() async throws {
    let here = try ControllerFixture()
    defer { here.remove() }
    let other = try ControllerFixture()
    defer { other.remove() }
    let edge = try here.identity(.node("edge"))
    let trust = edge.trust
    let current = CurrentIdentity(edge, path: here.folder.appending("edge-identity"))
    let log = here.log.logger("")
    let answers: [@Sendable (CertificateRequest) throws -> CertificateRenewal.Signed] = [
      { .init(certificate: try here.authority.sign($0, for: .node("core"), at: Date()), trust: trust) },
      { .init(certificate: try other.authority.sign($0, for: .node("edge"), at: Date()), trust: trust) },
      { _ in .init(certificate: try here.identity(.node("edge")).certificate, trust: trust) },
    ]
    for answer in answers {
      let renewal = CertificateRenewal(current: current, sign: { try answer($0) }, log: log)
      await #expect(throws: (any Error).self) { try await renewal.renew() }
      #expect(current.identity.certificate == edge.certificate)
    }
    try await CertificateRenewal(
      current: current,
      sign: { .init(certificate: try here.authority.sign($0, for: .node("edge"), at: Date()), trust: trust) },
      log: log
    ).renew()
    #expect(current.identity.certificate != edge.certificate)
  }

  @Test(
    "a clock that is some minutes off does no harm; one that is further off is named as the cause",
    arguments: [-240.0, 240, -360])
  func clock(offset: TimeInterval) async throws {
    let here = try ControllerFixture()
    defer { here.remove() }
    let paths = try here.paths("edge")
    try here.issue(.node("edge"), to: paths)
    try await here.run {
      try await here.member(
        "edge", paths: paths, now: { Date(timeIntervalSinceNow: offset) }, awaits: false
      ) { _ in
        if abs(offset) < 300 {
          try await here.connected("edge")
        } else {
          try await eventually("it says so") { here.log.contains("compare the clocks of both machines") }
          #expect(try await !here.isConnected("edge"))
        }
      }
    }
  }

  @Test("a controller with another node's certificate is not the one that was joined")
  func otherController() async throws {
    let here = try ControllerFixture()
    defer { here.remove() }
    let paths = try here.paths("edge")
    try here.issue(.node("edge"), to: paths)
    try here.issue(.node("thief"), to: here.state)
    try await here.run {
      try await here.member("edge", paths: paths, awaits: false) { _ in
        try await eventually("it says so") {
          here.log.contains("the peer is node thief, and node control was expected")
        }
      }
    }
  }
}
