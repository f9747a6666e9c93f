import Foundation
import Identity
import Testing

@testable import StreamRouter

/// Joining over the network, as users do, and as who should not.
@Suite(.serialized) struct TokenTests {
  private func join(
    _ here: ControllerFixture, _ role: Role, _ token: String, at folder: String
  ) async throws -> StatePaths {
    let paths = try here.paths(folder)
    try await Enrollment(state: paths, log: here.log.logger("joiner")).join(
      role, token: token, join: [here.join], controllers: [here.listen])
    return paths
  }

  @Test("a token lets one in, once, and the certificate lasts as long as the controller says")
  func joins() async throws {
    let here = try ControllerFixture()
    defer { here.remove() }
    try await here.run(lifetime: .seconds(7200)) {
      let token = try here.enrollment.createToken(for: .node("edge"), lifetime: .seconds(900))
      let paths = try await join(here, .node("edge"), token, at: "edge")
      let identity = try Identity.load(from: paths.identity.string)
      #expect(identity.role == .node("edge"))
      #expect(abs(identity.certificate.notAfter.timeIntervalSinceNow - 7200) < 60)
      try await here.member("edge", paths: paths) { _ in }
      let refused = await #expect(throws: ControlError.self) {
        try await join(here, .node("edge"), token, at: "replayed")
      }
      #expect(refused == .forbidden("\(IdentityError.tokenNotValid(name: "edge"))"))
      #expect(here.log.contains("was used at"), "\(here.log.all)")
    }
  }

  @Test("a token that was removed, has expired, or is for another name lets nobody in")
  func refused() async throws {
    let here = try ControllerFixture(created: Date(timeIntervalSinceNow: -86_400))
    defer { here.remove() }
    try await here.run {
      let forEdge = try here.enrollment.createToken(for: .node("edge"), lifetime: .seconds(900))
      let old = try here.authority.tokens.create(
        for: .node("edge"), lifetime: .seconds(60), at: Date(timeIntervalSinceNow: -120))
      let removed = try here.enrollment.createToken(for: .node("late"), lifetime: .seconds(900))
      let id = try #require(here.enrollment.pendingTokens().first { $0.role == .node("late") }).id
      #expect(try here.enrollment.removeToken(id: id))
      #expect(try !here.enrollment.removeToken(id: id))
      for (name, token, cause) in [
        ("core", forEdge, "the token is for node edge"), ("edge", old.text, "expired at"),
        ("late", removed, "no such token"),
      ] {
        let refused = await #expect(throws: ControlError.self) {
          try await join(here, .node(name), token, at: "stranger")
        }
        #expect(refused == .forbidden("\(IdentityError.tokenNotValid(name: name))"))
        #expect(here.log.contains(cause), "\(cause): \(here.log.all)")
      }
      // What was refused used nothing up.
      _ = try await join(here, .node("edge"), forEdge, at: "edge")
    }
  }

  @Test("a token of another installation is not sent: its secret stays here, and is not used up")
  func otherAuthority() async throws {
    let here = try ControllerFixture()
    defer { here.remove() }
    let other = try ControllerFixture()
    defer { other.remove() }
    let token = try other.enrollment.createToken(for: .node("edge"), lifetime: .seconds(900))
    try await here.run {
      let refused = await #expect(throws: ControlError.self) {
        try await join(here, .node("edge"), token, at: "edge")
      }
      #expect(
        refused == .unreachable(controller: "\(here.join)", reason: "\(PeerRefusal.notTheTokensAuthority)"))
      #expect(!here.log.contains("token-redeemed"))
    }
    #expect(try other.enrollment.pendingTokens().count == 1)
  }

  @Test("an operator's token makes no node, and leaves nothing behind")
  func otherKind() async throws {
    let here = try ControllerFixture()
    defer { here.remove() }
    try await here.run {
      let token = try here.enrollment.createToken(for: .operator("ada"), lifetime: .seconds(900))
      let refused = await #expect(throws: ControlError.self) {
        try await join(here, .node("ada"), token, at: "ada")
      }
      #expect("\(refused as Any)".contains("the token is for operator ada, not for node ada"))
      let paths = try here.paths("ada")
      #expect(!FileManager.default.fileExists(atPath: paths.identity.string))
    }
  }
}
