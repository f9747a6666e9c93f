import Foundation
import TestSupport
import Testing

@testable import Identity

@Suite struct StoredIdentityTests {
  private let here: Installation
  private var path: String { "\(here.scratch.path)/identity" }

  init() throws { here = try Installation() }

  @Test func anIdentityIsKept() throws {
    let identity = try here.identity(.node("edge"))
    try identity.save(to: path)
    let loaded = try Identity.load(from: path)
    #expect(loaded.role == .node("edge"))
    #expect(loaded.certificate == identity.certificate)
    #expect(loaded.trust == identity.trust)
    #expect(loaded.key.pem == identity.key.pem)
    #expect(here.scratch.mode("identity") == 0o700)
    for name in try FileManager.default.contentsOfDirectory(atPath: path) {
      #expect(here.scratch.mode("identity/\(name)") == 0o600, "\(name)")
    }
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: path).sorted() == [
        "certificate.pem", "key.pem", "lock", "trust.pem",
      ])
  }

  @Test func withoutOneTheNextStepIsNamed() throws {
    let error = #expect(throws: IdentityError.noIdentity(path: path)) { try Identity.load(from: path) }
    #expect(error?.description.contains("streamrouter node join") == true)
  }

  @Test func aCertificateIsForItsKey() throws {
    let identity = try here.identity(.node("edge"))
    #expect(throws: IdentityError.badCertificate(reason: "it is not for the key that asked for it")) {
      try Identity(key: IdentityKey(), certificate: identity.certificate, trust: identity.trust)
    }
  }

  @Test func renewalIsDueAtTwoThirds() throws {
    let identity = try here.identity(.node("edge"))
    let end = Date.after(30 * 86_400)
    // From five minutes before it was signed to its end, two thirds.
    let due = Date.after(-300 + (30 * 86_400 + 300) * 2 / 3)
    #expect(identity.renewal(at: .after(0)) == .notDue(until: due))
    #expect(identity.renewal(at: due.addingTimeInterval(-1)) == .notDue(until: due))
    #expect(identity.renewal(at: due) == .due(expires: end))
    #expect(identity.renewal(at: end) == .due(expires: end))
    #expect(identity.renewal(at: end.addingTimeInterval(1)) == .expired(end))
  }

  /// Key and certificate are two files: at each moment of a renewal the two that fit can be found.
  @Test func aCrashWhileSavingLeavesTheOldOrTheNewOne() throws {
    let old = try here.identity(.node("edge"))
    let new = try here.identity(.node("edge"))
    try old.save(to: path)
    let states = Snapshots()
    let path = path
    try new.save(to: StateDirectory(path: path, afterChange: { states.take(path) }))
    #expect(states.all.count == 4)
    var loaded: [RoleCertificate] = []
    for copy in states.all {
      let identity = try Identity.load(from: copy)
      #expect(identity.certificate.x509.publicKey == identity.key.publicKey)
      loaded.append(identity.certificate)
      // And the next renewal after that crash, interrupted again at each of its steps.
      let third = try here.identity(.node("edge"))
      let again = Snapshots()
      try third.save(to: StateDirectory(path: copy, afterChange: { again.take(copy) }))
      for copy in again.all { _ = try Identity.load(from: copy) }
      #expect(try Identity.load(from: copy).certificate == third.certificate)
    }
    #expect(loaded.map(\.serial) == [old, old, new, new].map(\.certificate.serial))
  }

  @Test func printingAKeyShowsNothing() throws {
    let identity = try here.identity(.node("edge"))
    var text = "\(identity.key) \(identity)"
    dump(identity, to: &text)
    let secret = Array(identity.key.p256.rawRepresentation)
    #expect(!text.contains(secret.hexadecimal) && !text.contains("PRIVATE KEY"))
    #expect(!text.contains("\(secret[0]), \(secret[1]), \(secret[2])"))
  }

  /// Files of both directories cut, random, empty, or something else than a file: an error, and no trap.
  @Test func damagedFilesAreErrors() throws {
    var random = SeededRandom()
    try here.identity(.node("edge")).save(to: path)
    _ = try here.store.tokens.create(for: .node("core"), lifetime: .seconds(900), at: .after(0))
    try here.store.revoke(.node("edge"), at: .after(1))

    func use() throws {
      _ = try Identity.load(from: path)
      let store = AuthorityStore(directory: here.path, audit: Audit { _ in })
      _ = try store.verifier()
      _ = try store.tokens.list(at: .after(0))
      _ = try store.sign(IdentityKey().request(), for: .node("edge"), at: .after(0))
    }
    try use()
    for directory in [path, here.path] {
      // The authority's bundle is written for others to read, never read by us.
      let unread = directory == path ? ["lock"] : ["lock", "trust.pem"]
      for name in try FileManager.default.contentsOfDirectory(atPath: directory) where !unread.contains(name) {
        let file = "\(directory)/\(name)"
        let whole = try Data(contentsOf: URL(filePath: file))
        for round in 0..<30 {
          let bytes =
            switch round {
            case 0: Data()
            case 1..<15: whole.prefix(Int.random(in: 0..<whole.count - 2, using: &random))
            default: Data(random.bytes(Int.random(in: 1...2000, using: &random)))
            }
          try bytes.write(to: URL(filePath: file))
          let error = #expect(throws: IdentityError.self, "\(name), round \(round), seed \(random.seed)") {
            try use()
          }
          #expect(error?.description.contains("PRIVATE KEY") == false)
        }
        try FileManager.default.removeItem(atPath: file)
        #expect(throws: IdentityError.self, "\(name) missing") { try use() }
        try FileManager.default.createDirectory(atPath: file, withIntermediateDirectories: false)
        #expect(throws: IdentityError.self, "\(name) is a directory") { try use() }
        try FileManager.default.removeItem(atPath: file)
        try FileManager.default.createSymbolicLink(atPath: file, withDestinationPath: "/dev/zero")
        #expect(throws: IdentityError.self, "\(name) is a link") { try use() }
        try FileManager.default.removeItem(atPath: file)
        #expect(mkfifo(file, 0o600) == 0)
        #expect(throws: IdentityError.self, "\(name) is a pipe") { try use() }
        try FileManager.default.removeItem(atPath: file)
        try whole.write(to: URL(filePath: file))
        #expect(chmod(file, 0o600) == 0)
        try use()
      }
    }
  }

  @Test func whatTheDiskRefusesIsNamed() throws {
    let error = #expect(throws: IdentityError.self) { try here.identity(.node("edge")).save(to: "/proc/none") }
    #expect(error?.description == "cannot make /proc/none: No such file or directory")
  }
}
