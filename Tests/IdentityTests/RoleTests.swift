import TestSupport
import Testing

@testable import Identity
@testable import Topology

@Suite struct RoleTests {
  @Test(arguments: [
    Role.node("edge"), .operator("anna"), .node("a"), .node("1-2"),
    .operator(String(repeating: "x", count: 32)),
  ])
  func aRoleIsReadFromItsURI(role: Role) {
    #expect(Role(uri: role.uri) == role)
  }

  @Test(arguments: [
    "", "streamrouter://", "streamrouter://node/", "streamrouter://node", "streamrouter://node/-a",
    "streamrouter://node/A",
    "streamrouter://node/a/b", "streamrouter://node/a ", "streamrouter://node/a\0", "streamrouter://node/a?x",
    "streamrouter://Node/a", "STREAMROUTER://node/a", "spiffe://x/node/a", "streamrouter://controller/a",
    "streamrouter://operator/a%20", " streamrouter://node/a", "streamrouter://node/ä",
    "streamrouter://net/node/a",
    "streamrouter://node/" + String(repeating: "a", count: 33),
  ])
  func otherTextIsNoRole(text: String) {
    #expect(Role(uri: text) == nil)
  }

  /// The rule stands in two rooms: here it is held together.
  @Test func namesAreThoseOfTheTopology() {
    #expect(IdentityLimits.nameLength == Limits.nameLength)
    var random = SeededRandom()
    let alphabet = Array("abz019-_AZ .é/\0")
    var names = 0
    for _ in 0..<20_000 {
      let count =
        random.once(in: 20) ? Int.random(in: 30...34, using: &random) : Int.random(in: 0...5, using: &random)
      let some = random.once(in: 2) ? alphabet[0..<7] : alphabet[...]
      let text = String((0..<count).map { _ in some.randomElement(using: &random)! })
      let expected = Grammar.isName(text, limit: Limits.nameLength)
      names += expected ? 1 : 0
      #expect(Role.isName(text) == expected, "\(text.debugDescription), seed \(random.seed)")
    }
    #expect((1000..<19_000).contains(names), "both kinds were tried, seed \(random.seed)")
  }
}
