import Foundation
import TestSupport
import Testing

@testable import StreamRouter

/// TLS to etcd: both sides show certificates, and whoever has none of the authority is not spoken with.
@Suite(.serialized, .enabled(if: Certificates.obstacle == nil, "\(Certificates.obstacle ?? "")"))
struct EtcdSecurityTests {
  @Test(
    "with certificates the store is reached, and without or with others' it is not", .timeLimit(.minutes(2)))
  func certificates() async throws {
    let files = try await Certificates()
    defer { try? FileManager.default.removeItem(at: files.folder) }
    let cluster = try EtcdCluster(
      scheme: "https",
      security: [
        "--cert-file", files.path("etcd.crt"), "--key-file", files.path("etcd.key"), "--trusted-ca-file",
        files.path("ca.crt"), "--client-cert-auth",
      ])
    func store(_ authority: String, _ name: String?) async throws -> UInt64 {
      let security = EtcdPlace.Security(
        authority: files.path(authority), certificate: name.map { files.path($0 + ".crt") },
        key: name.map { files.path($0 + ".key") })
      let place = try #require(EtcdPlace(cluster.store, installation: "test", security: security))
      return try await place.withClient { try await EtcdStore($0, leadership: nil).nextNumber() }
    }
    #expect(try await store("ca.crt", "controller") == 1)
    // Neither without a certificate, nor with one of another authority, nor to members of another authority.
    for (authority, name) in [("ca.crt", nil), ("ca.crt", "stranger"), ("other.crt", "controller")] {
      let error = await #expect(throws: ControlError.self) { _ = try await store(authority, name) }
      guard case .storeUnreachable = error else {
        Issue.record("\(authority) \(name ?? "none"): \(String(describing: error))")
        continue
      }
    }
    let gone = ControlError.unreadable(
      path: files.path("none.crt"), reason: "it is not there, or permission is denied")
    await #expect(throws: gone) { _ = try await store("none.crt", "controller") }
  }
}

/// Two authorities, and what they signed.
private struct Certificates {
  static let obstacle =
    EtcdCluster.obstacle
    ?? (LabShell.searchPath.split(separator: ":").contains {
      FileManager.default.isExecutableFile(atPath: "\($0)/openssl")
    } ? nil : "needs openssl: run scripts/setup.sh test")

  let folder = FileManager.default.temporaryDirectory.appending(path: "sr-etcd-tls-\(UUID().uuidString)")

  func path(_ name: String) -> String { folder.appending(path: name).path }

  init() async throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n"
      .write(toFile: path("extensions"), atomically: true, encoding: .utf8)
    for authority in ["ca", "other"] {
      try await LabShell.run(
        "openssl",
        ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
          + [
            "-subj", "/CN=\(authority)", "-keyout", path(authority + ".key"), "-out",
            path(authority + ".crt"),
          ])
    }
    for (name, authority) in [("etcd", "ca"), ("controller", "ca"), ("stranger", "other")] {
      try await LabShell.run(
        "openssl",
        ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=\(name)"]
          + ["-keyout", path(name + ".key"), "-out", path(name + ".csr")])
      try await LabShell.run(
        "openssl",
        ["x509", "-req", "-days", "2", "-in", path(name + ".csr"), "-CA", path(authority + ".crt")]
          + ["-CAkey", path(authority + ".key"), "-CAcreateserial", "-extfile", path("extensions")]
          + ["-out", path(name + ".crt")])
    }
  }
}
