import ControlAPI
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Identity
import Testing

@testable import StreamRouter

/// One call of an operator over a connection of its own.
func withOperator<Result: Sendable>(
  _ address: ControllerAddress, _ security: TLSSettings,
  _ body: @Sendable (APIOperator.Client<HTTP2ClientTransport.Posix>) async throws -> Result
) async throws -> Result {
  try await withGRPCClient(transport: ControlTransport.client(address, security)) {
    try await body(APIOperator.Client(wrapping: $0))
  }
}

/// What a certificate lets its holder do, over real connections.
@Suite(.serialized) struct RoleTests {
  @Test("a node does not operate: no call of an operator answers it")
  func node() async throws {
    let here = try ControllerFixture()
    defer { here.remove() }
    let edge = try here.identity(.node("edge"))
    try await here.run {
      try await here.call(as: edge) { client in
        let service = APIOperator.Client(wrapping: client)
        let calls: [@Sendable () async throws -> Void] = [
          { _ = try await service.status(.init()) },
          { _ = try await service.history(.init()) },
          { _ = try await service.plan(.with { $0.destroy = true }) },
          { try await service.deploy(.with { $0.destroy = true }) { for try await _ in $0.messages {} } },
          { _ = try await service.confirm(.init()) },
          { _ = try await service.missingExtensions(.init()) },
          { _ = try await service.putExtension(.init()) },
          { try await service.events(.with { $0.pastOnly = true }) { for try await _ in $0.messages {} } },
        ]
        for call in calls {
          let refused = await #expect(throws: RPCError.self) { try await call() }
          #expect(refused?.code == .permissionDenied, "\(refused as Any)")
        }
      }
    }
  }

  @Test("an operator deploys from elsewhere, and opens no session of a node")
  func anOperator() async throws {
    let here = try ControllerFixture()
    defer { here.remove() }
    let paths = try here.paths("ada")
    try here.issue(.operator("ada"), to: paths)
    try await here.run {
      let client = ControllerClient(try OperatorIdentity(folder: paths.root))
      #expect(try await client.status().nodes.isEmpty)
      let ada = try Identity.load(from: paths.identity.string)
      try await here.call(as: ada) { client in
        let control = APINodeControl.Client(wrapping: client)
        let session = await #expect(throws: RPCError.self) {
          try await control.session(
            requestProducer: { try await $0.write(.with { $0.hello = .init() }) },
            onResponse: { for try await _ in $0.messages {} })
        }
        #expect(session?.code == .permissionDenied)
        let fetched = await #expect(throws: RPCError.self) { _ = try await control.fetchExtension(.init()) }
        #expect(fetched?.code == .permissionDenied)
      }
      // Shut out, he is refused at his next command.
      #expect(try here.enrollment.revoke(.operator("ada")) == 1)
      let refused = await #expect(throws: ControlError.self) { try await client.status() }
      guard case .unreachable = refused else { return #expect(Bool(false), "\(refused as Any)") }
      #expect(here.log.contains("of operator ada is revoked"))
    }
  }

  @Test("a node's folder is no operator's, and an old certificate is renewed by the next command")
  func identities() async throws {
    let here = try ControllerFixture(created: Date(timeIntervalSinceNow: -50 * 86_400))
    defer { here.remove() }
    let paths = try here.paths("ada")
    #expect(throws: ControlError.self) { try OperatorIdentity(folder: paths.root) }
    try here.issue(.operator("ada"), signed: Date(timeIntervalSinceNow: -3 * 86_400), to: paths)
    let before = try Identity.load(from: paths.identity.string)
    try await here.run {
      _ = try await ControllerClient(try OperatorIdentity(folder: paths.root)).status()
      let after = try Identity.load(from: paths.identity.string)
      #expect(after.certificate.notAfter > before.certificate.notAfter && after.role == before.role)
      // Fresh, it stays.
      _ = try await ControllerClient(try OperatorIdentity(folder: paths.root)).status()
      #expect(try Identity.load(from: paths.identity.string).certificate == after.certificate)
    }
    try here.issue(.operator("ada"), signed: Date(timeIntervalSinceNow: -40 * 86_400), to: paths)
    let refused = #expect(throws: ControlError.self) { try OperatorIdentity(folder: paths.root) }
    #expect("\(refused as Any)".contains("join again with a new token"))
  }
}
