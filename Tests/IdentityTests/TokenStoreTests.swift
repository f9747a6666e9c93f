import Foundation
import Testing

@testable import Identity

@Suite struct TokenStoreTests {
  private let here: Installation
  private var tokens: TokenStore { here.store.tokens }

  init() throws { here = try Installation() }

  private func token(_ role: Role = .node("edge"), minutes: Int = 15) throws -> JoinToken {
    try tokens.create(for: role, lifetime: .seconds(minutes * 60), at: .after(0))
  }

  /// What a joiner is told, and what the audit was told last.
  private func attempt(_ secret: [UInt8], _ name: String, at now: Date) -> (joiner: String, audit: String)? {
    do {
      try tokens.redeem(secret: secret, name: name, at: now)
      return nil
    } catch {
      return ("\(error)", here.audit.last?.description ?? "")
    }
  }

  @Test func aTokenWorksOnce() throws {
    let token = try token()
    #expect(try tokens.redeem(secret: token.secret, name: "edge", at: .after(60)) == .node("edge"))
    let again = try #require(attempt(token.secret, "edge", at: .after(61)))
    #expect(again.joiner == "the token is not valid for the name edge: ask for a new one")
    #expect(again.audit.contains("refused: the token for node edge was used at 2027-01-15T08:01:00Z"))
  }

  @Test func aTokenWorksOnceForManyAtOnce() async throws {
    let token = try token()
    let tokens = tokens
    let won = await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<32 {
        group.addTask { (try? tokens.redeem(secret: token.secret, name: "edge", at: .after(1))) != nil }
      }
      return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
    }
    #expect(won == 1)
  }

  /// A joiner hears the same whatever is wrong; the audit hears what it was.
  @Test func theJoinerLearnsNothing() throws {
    let token = try token()
    let used = try self.token()
    try tokens.redeem(secret: used.secret, name: "edge", at: .after(1))
    let cases: [([UInt8], Date, String)] = [
      (token.secret, .after(15 * 60), "expired"), (used.secret, .after(2), "was used"),
      ([UInt8](repeating: 7, count: 16), .after(2), "no such token"), ([], .after(2), "no such token"),
      (token.secret + [0], .after(2), "no such token"),
    ]
    for (secret, time, reason) in cases {
      let refusal = try #require(attempt(secret, "edge", at: time))
      #expect(refusal.joiner == "the token is not valid for the name edge: ask for a new one")
      #expect(refusal.audit.contains(reason))
    }
    let wrong = try #require(attempt(token.secret, "core", at: .after(2)))
    #expect(wrong.joiner == "the token is not valid for the name core: ask for a new one")
    #expect(wrong.audit.contains("refused: the token is for node edge"))
    // Nothing of that used the token up.
    #expect(try tokens.redeem(secret: token.secret, name: "edge", at: .after(15 * 60 - 1)) == .node("edge"))
  }

  @Test func aNameThatIsNoneIsNotRepeated() throws {
    let refusal = try #require(attempt([1], "x\n2027 authority-created: done", at: .after(1)))
    #expect(!refusal.joiner.contains("2027"))
    #expect(!refusal.audit.contains("authority-created"))
  }

  @Test func secretsAreNowhere() throws {
    let token = try token()
    try tokens.redeem(secret: token.secret, name: "edge", at: .after(1))
    let kept = try here.text(of: "tokens.json") + here.audit.map(\.description).joined()
    #expect(kept.contains("edge"))
    for secret in [
      Base32.encode(token.secret), token.secret.hexadecimal, Data(token.secret).base64EncodedString(),
    ] {
      #expect(!kept.contains(secret))
    }
  }

  @Test func waitingTokensAreListedAndRemoved() throws {
    let token = try token()
    _ = try self.token(.operator("anna"), minutes: 1)
    #expect(try tokens.list(at: .after(0)).map(\.role) == [.node("edge"), .operator("anna")])
    let pending = try #require(try tokens.list(at: .after(60)).first)
    #expect(try tokens.list(at: .after(60)).count == 1)
    #expect(pending.expires == .after(15 * 60))
    #expect(try tokens.remove(id: pending.id, at: .after(61)))
    #expect(try !tokens.remove(id: pending.id, at: .after(61)))
    #expect(try tokens.list(at: .after(61)).isEmpty)
    #expect(throws: IdentityError.tokenNotValid(name: "edge")) {
      try tokens.redeem(secret: token.secret, name: "edge", at: .after(62))
    }
    #expect(here.audit.map(\.event).contains(.tokenRemoved))
  }

  @Test(arguments: [0, 59, 86_401])
  func lifetimesHaveLimits(seconds: Int) throws {
    #expect(throws: IdentityError.tokenLifetime(.seconds(seconds))) {
      try tokens.create(for: .node("edge"), lifetime: .seconds(seconds), at: .after(0))
    }
  }

  @Test func aTokenIsForAName() {
    #expect(throws: IdentityError.badName) {
      try tokens.create(for: .node("../edge"), lifetime: .seconds(60), at: .after(0))
    }
  }

  @Test func spentTokensAreForgottenAfterADay() throws {
    let token = try token()
    try tokens.redeem(secret: token.secret, name: "edge", at: .after(1))
    _ = try tokens.create(for: .node("core"), lifetime: .seconds(60), at: .after(15 * 60 + 86_400 - 1))
    #expect(try here.text(of: "tokens.json").contains("node/edge"))
    _ = try tokens.create(for: .node("core"), lifetime: .seconds(60), at: .after(15 * 60 + 86_400))
    #expect(try !here.text(of: "tokens.json").contains("node/edge"))
  }

  /// Many joins in a day forget old spent tokens, never one that waits.
  @Test func tokensHaveALimit() throws {
    let first = try tokens.create(for: .node("edge"), lifetime: .seconds(86_400), at: .after(0))
    let now = Date.after(0)
    let others = (0..<IdentityLimits.tokens * 2).map { number in
      TokenStore.Entry(
        secretDigest: CertificateDigest(of: Array("\(number)".utf8)), role: .node("core"), created: now,
        expires: .after(900), used: number.isMultiple(of: 2) ? now : nil)
    }
    let written = try tokens.directory.require([TokenStore.Entry].self, in: TokenStore.file) + others
    try tokens.directory.change { try $0.write(value: written, to: TokenStore.file) }
    #expect(throws: IdentityError.tooManyTokens) { try token() }
    // A quarter of an hour later all others are spent.
    _ = try tokens.create(for: .node("core"), lifetime: .seconds(60), at: .after(900))
    let kept = try tokens.directory.require([TokenStore.Entry].self, in: TokenStore.file)
    #expect(kept.count == IdentityLimits.tokens + 2)
    #expect(try tokens.redeem(secret: first.secret, name: "edge", at: .after(901)) == .node("edge"))
  }
}
