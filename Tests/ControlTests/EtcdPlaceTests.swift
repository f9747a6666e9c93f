import Testing

@testable import StreamRouter
@testable import streamrouter

/// Where etcd is, as users write it.
struct EtcdPlaceTests {
  @Test(
    "members are told by host and port",
    arguments: [
      ("etcd://10.0.0.1:2379", ["10.0.0.1:2379"]),
      ("etcd://10.0.0.1:2379,10.0.0.2:2379", ["10.0.0.1:2379", "10.0.0.2:2379"]),
      ("etcd://[fd00::1]:2379,etcd-2.example:12379", ["[fd00::1]:2379", "etcd-2.example:12379"]),
    ])
  func members(_ text: String, _ members: [String]) throws {
    #expect(try #require(EtcdPlace(text)).members.map(\.description) == members)
  }

  @Test(
    "what names no member, or no port, is refused",
    arguments: [
      "", "file", "10.0.0.1:2379", "http://10.0.0.1:2379", "etcd://", "etcd://10.0.0.1", "etcd://host",
      "etcd://[fd00::1]", "etcd://10.0.0.1:0", "etcd://10.0.0.1:65536", "etcd://10.0.0.1:2379,",
      "etcd://,10.0.0.1:2379", "etcd://unix:/tmp/etcd", "etcd://10.0.0.1:2379/path", "etcd://a b:1",
    ])
  func refused(_ text: String) {
    #expect(EtcdPlace(text) == nil)
  }

  @Test(
    "an installation's name cannot leave its place among the keys", arguments: ["", "a/b", "a b", "ä", "a\n"])
  func installation(_ name: String) {
    #expect(EtcdPlace("etcd://10.0.0.1:2379", installation: name) == nil)
    #expect(EtcdPlace("etcd://10.0.0.1:2379", installation: "a-b_c.9") != nil)
  }

  @Test("options that do not go together are refused")
  func options() throws {
    for wrong in [
      ["--store", "redis://10.0.0.1:1"], ["--etcd-ca", "ca.crt"],
      ["--store", "etcd://10.0.0.1:2379", "--etcd-cert", "a.crt"],
      ["--store", "etcd://10.0.0.1:2379", "--etcd-key", "a.key"],
      ["--store", "etcd://10.0.0.1:2379", "--store-prefix", "a/b"],
    ] {
      #expect(throws: (any Error).self, "\(wrong)") { try StoreOptions.parse(wrong) }
    }
    #expect(try StoreOptions.parse([]).choice == .file)
    let place = EtcdPlace(
      "etcd://10.0.0.1:2379", installation: "lab", security: .init(authority: "ca", certificate: nil, key: nil))
    #expect(
      try StoreOptions.parse(["--store", "etcd://10.0.0.1:2379", "--store-prefix", "lab", "--etcd-ca", "ca"])
        .choice
        == .etcd(try #require(place)))
  }
}
