import Foundation
import Identity
import Testing

@testable import StreamRouter

/// The authority is exchanged while a node is connected and one is away.
@Suite(.serialized) struct RotationOverTheWireTests {
  @Test("nodes that are connected follow each step within seconds, and nobody is shut out unasked")
  func exchange() async throws {
    let here = try ControllerFixture()
    defer { here.remove() }
    let (edge, away) = (try here.paths("edge"), try here.paths("away"))
    try here.issue(.node("edge"), to: edge)
    try here.issue(.node("away"), to: away)
    let first = try here.authority.load().certificate
    try await here.run {
      try await here.member("edge", paths: edge) { current in
        try here.enrollment.rotate(.begin, force: false)
        try await eventually("edge trusts both") { current.identity.trust.certificates.count == 2 }
        // Some seconds later another connection takes the place of this one, with the new certificate.
        try await eventually("the next connection uses it", within: .seconds(25)) {
          here.log.contains("the next connection to the controller uses the renewed certificate")
        }
        try await here.connected("edge")
        #expect(!here.log.contains("a connection is ended"))
        try await eventually("only who is away is behind") {
          try here.enrollment.rotation().behind == [.node("away")]
        }
        // Whom it would shut out stands in the way.
        let refused = #expect(throws: ControlError.self) { try here.enrollment.rotate(.switch, force: false) }
        #expect("\(refused as Any)".contains("node away did not fetch the next authority yet"))
        #expect(try here.enrollment.rotation().phase == .begun)
        // It comes, is asked, and goes.
        try await here.member("away", paths: away) { current in
          try await eventually("away trusts both") { current.identity.trust.certificates.count == 2 }
        }
        try await eventually("nobody is behind") { try here.enrollment.rotation().behind.isEmpty }

        try here.enrollment.rotate(.switch, force: false)
        let second = try here.authority.load().certificate
        #expect(second != first)
        try await eventually("edge and the controller have certificates of it") {
          try here.enrollment.rotation().behind == [.node("away")]
        }
        let alone = try TrustBundle(certificates: [second])
        for folder in [edge, here.state] {
          // It is noted as signed before its holder has it.
          try await eventually("\(folder.root) has it") {
            let certificate = try Identity.load(from: folder.identity.string).certificate.encoded
            return (try? await PeerVerifier(trust: alone).certificate(of: [certificate], at: Date())) != nil
          }
        }
        // Who joins meets the new one.
        let late = try here.paths("late")
        try await Enrollment(state: late, log: here.log.logger("late")).join(
          .node("late"),
          token: here.enrollment.createToken(for: .node("late"), lifetime: .seconds(900)), join: [here.join],
          controllers: [here.listen])

        #expect(throws: IdentityError.notRenewed([.node("away")])) {
          try here.enrollment.rotate(.finish, force: false)
        }
        try here.enrollment.rotate(.finish, force: true)
        #expect(try here.enrollment.rotation().phase == .settled)
        try await eventually("the controller drops the first") {
          try Identity.load(from: here.state.identity.string).trust.certificates == [second]
        }
        // Its connection from before the switch showed a certificate of the first: it comes back with the new one.
        try await here.connected("edge")
        try await here.member("late", paths: late) { _ in }
      }
      // Who was away has to join again.
      try await here.member("away", paths: away, awaits: false) { _ in
        try await eventually("it is refused") { here.log.contains("is not signed by our authority") }
        #expect(try await !here.isConnected("away"))
      }
    }
  }

  @Test("the node of the controller's machine, which has the controller's identity, is not shut out")
  func sharedIdentity() async throws {
    let here = try ControllerFixture()
    defer { here.remove() }
    try await here.run {
      try await here.member(ControllerFixture.name, paths: here.state) { _ in
        for step in Enrollment.RotationStep.allCases {
          try await eventually("nobody is behind") {
            let state = try here.enrollment.rotation()
            return state.behind.isEmpty && state.since.timeIntervalSinceNow < -2
          }
          try here.enrollment.rotate(step, force: false)
        }
        let signing = try here.authority.load().certificate
        try await eventually("the first authority is dropped") {
          try Identity.load(from: here.state.identity.string).trust.certificates == [signing]
        }
        try await Task.sleep(for: .seconds(2))
        try await here.connected(ControllerFixture.name)
      }
    }
  }
}
