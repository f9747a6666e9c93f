import Foundation
import Testing
import Topology

@testable import StreamRouter

#if canImport(Glibc)
  import Glibc
#endif

/// What the command answers to wrong arguments, wrong files and missing privileges: its exit status, a message on
/// standard error, nothing on standard output, and nothing left behind.
@Suite(.serialized) struct WrongInputTests {
  private static let repository = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent()
    .deletingLastPathComponent()
  private static let threeHop = repository.appending(path: "topologies/three-hop.yaml").path
  private static let tenMistakes = repository.appending(path: "Tests/TopologyTests/Fixtures/ten-mistakes.yaml")
    .path
  private static let twoSources = repository.appending(path: "Tests/StreamRouterTests/Fixtures/two.pcap").path
  /// No lab and no topology of this name runs anywhere.
  private static let nobody = "t-nobody-\(getpid())"

  private static let canDropPrivileges =
    LabFixture.obstacle == nil && FileManager.default.isExecutableFile(atPath: "/usr/bin/setpriv")

  private func run(_ arguments: [String], without bounds: String? = nil) async throws -> LabShell.Outcome {
    let program = try LabFiles.ownExecutable().removingLastComponent().appending("streamrouter").string
    guard let bounds else { return try await LabShell.attempt("env", [program] + arguments) }
    return try await LabShell.attempt(
      "setpriv", ["--bounding-set=\(bounds)", "--inh-caps=-all", program] + arguments)
  }

  /// One wrong command line: how it ends, and what its message must name.
  struct Mistake: Sendable, CustomTestStringConvertible {
    var arguments: [String]
    var status: Int
    var words: [String]

    init(_ status: Int, _ arguments: [String], says words: String...) {
      (self.arguments, self.status, self.words) = (arguments, status, words)
    }

    var testDescription: String { arguments.joined(separator: " ") }
  }

  private static let mistakes = [
    Mistake(64, ["frobnicate"], says: "frobnicate", "--help"),
    Mistake(64, ["validate"], says: "<files>"),
    Mistake(64, ["validate", "--frobnicate", threeHop], says: "--frobnicate"),
    Mistake(64, ["validate", "/nowhere/t.yaml"], says: "/nowhere/t.yaml", "No such file", "name a readable"),
    Mistake(64, ["validate", "/"], says: "Is a directory"),
    Mistake(64, ["graph", "/nowhere/t.yaml"], says: "/nowhere/t.yaml", "No such file"),
    Mistake(64, ["graph", threeHop, "--format", "gif"], says: "gif", "mermaid"),
    Mistake(64, ["lab", "up"], says: "<file>"),
    Mistake(64, ["lab", "up", "/nowhere/t.yaml"], says: "/nowhere/t.yaml", "No such file"),
    Mistake(64, ["lab", "down", "--all", nobody], says: "--all", nobody),
    Mistake(64, ["lab", "exec", "a"], says: "-- ip address"),
    Mistake(64, ["lab", "impair", nobody, "--link", "a--b"], says: "--delay", "--clear"),
    Mistake(64, ["lab", "impair", nobody, "--link", "a--b", "--delay", "5 parsecs"], says: "5 parsecs", "5ms"),
    Mistake(64, ["lab", "impair", nobody, "--link", "a--b", "--loss", "1", "--clear"], says: "--clear"),
    Mistake(1, ["lab", "impair", nobody, "--link", "a--b", "--loss", "1"], says: nobody),
    Mistake(1, ["lab", "status", nobody], says: nobody),
    Mistake(1, ["lab", "exec", nobody, "a", "--", "true"], says: nobody),
    Mistake(64, ["node", "run", threeHop], says: "--name"),
    Mistake(64, ["node", "run", threeHop, "--name", "edgy"], says: "edgy", "camera, edge, studio"),
    Mistake(64, ["node", "run", threeHop, "--name", "edge", "--relay-capacity", "0"], says: "1 to 1000000"),
    Mistake(64, ["node", "run", "/nowhere/t.yaml", "--name", "edge"], says: "/nowhere/t.yaml", "No such file"),
    Mistake(64, ["node", "remove", threeHop, "--name", "edgy"], says: "edgy", "camera, edge, studio"),
    Mistake(64, ["monitor", "/nowhere/t.yaml"], says: "/nowhere/t.yaml", "No such file"),
    Mistake(64, ["monitor", "--once", "--json"], says: "give one"),
    Mistake(64, ["monitor", "--sort", "colour"], says: "colour", "jitter"),
    Mistake(64, ["monitor", "--interval", "1ms"], says: "1ms", "250ms"),
    Mistake(64, ["monitor", "--once", "--count", "3"], says: "--count 3", "--jsonl"),
    Mistake(64, ["monitor", "--count", "0"], says: "--count 0"),
    Mistake(69, ["monitor", "--once", "--topology", nobody], says: "no node answers", "lab up"),
    Mistake(1, ["analyze", "/nowhere/a.pcap"], says: "/nowhere/a.pcap", "No such file", "pcapng"),
    Mistake(65, ["analyze", threeHop], says: threeHop, "pcapng"),
    Mistake(64, ["analyze", twoSources, "--filter", "nonsense and"], says: "nonsense and", "pcap-filter(7)"),
    Mistake(64, ["analyze", twoSources, "--clock-rate", "200=8000"], says: "200=8000"),
    Mistake(1, ["analyze", twoSources, "--filter", "udp[8] = 0"], says: "no stream of RTP", "no UDP datagram"),
    Mistake(1, ["analyze", twoSources, "--sdp", "/nowhere/a.sdp"], says: "/nowhere/a.sdp", "encoder"),
    Mistake(64, ["extension", "test", "a.srx", "--param", "a=1"], says: "--pcap"),
    Mistake(64, ["extension", "test", "a.srx", "--pcap", twoSources, "--param", "a"], says: "name=value"),
    Mistake(64, ["bench", "udp", "--ways", "nothing"], says: "nothing", "sandbox"),
    Mistake(64, ["bench", "udp", "--repetitions", "0"], says: "at least 1"),
    Mistake(64, ["bench", "cost", "--only", "upcal"], says: "upcal", "path, upcall, processor"),
    Mistake(64, ["bench", "cost", "--emulated", threeHop], says: threeHop, "Tests/VM/cost.sh"),
    Mistake(64, ["bench", "cost", "--only", "upcall", "--without-account"], says: "--only leaves out"),
  ]

  @Test(arguments: mistakes)
  func isAnsweredWithAMessage(_ mistake: Mistake) async throws {
    let outcome = try await run(mistake.arguments)
    #expect(outcome.status == "exited(\(mistake.status))")
    #expect(outcome.output == "")
    for word in mistake.words { #expect(outcome.errors.contains(word)) }
    // Words for people: no name of a type, no bare number of an error.
    for noise in ["errno ", "Optional(", "NSError", "Error(", "Fatal error"] {
      #expect(!outcome.errors.contains(noise))
    }
    #expect(
      !LabFiles.list(NodePaths.runtimeRoot).contains { $0.hasPrefix(Self.nobody) }, "it left something behind")
  }

  @Test(arguments: [
    ["validate"], ["graph"], ["lab", "up"], ["monitor", "--once"], ["node", "run", "--name", "edge"],
    ["node", "remove", "--name", "edge"],
  ])
  func tenMistakesGiveTenMessages(_ command: [String]) async throws {
    let texts = try String(
      contentsOf: Self.repository.appending(path: "Tests/TopologyTests/Fixtures/ten-mistakes.txt"),
      encoding: .utf8
    ).split(separator: "\n")
    try #require(texts.count == 10)
    let outcome = try await run(command + [Self.tenMistakes])
    #expect(outcome.status == "exited(64)")
    #expect(outcome.output == "")
    let lines = outcome.errors.split(separator: "\n")
    #expect(lines.count == 10)
    for (line, text) in zip(lines, texts) { #expect(line.hasSuffix("\(Self.tenMistakes):\(text)")) }
  }

  @Test func everyMistakeIsOneObjectInJSON() async throws {
    let outcome = try await run(["validate", "--json", Self.tenMistakes])
    #expect(outcome.status == "exited(64)")
    #expect(outcome.errors == "")
    let problems = try JSONDecoder().decode([Problem].self, from: Data(outcome.output.utf8))
    #expect(problems.count == 10)
  }

  /// Files that are no topology at all.
  @Test(arguments: [
    "", "\u{0}\u{1}\u{2}", "just words", "[1, 2, 3]", "version: 1\nname: [", "version: 1", "&a [*a]", "a: b: c",
    "version: 99\nname: t\nnodes: {a: 10.0.0.1}\nstreams: {}",
  ])
  func aFileThatIsNoTopologyIsRefused(_ text: String) async throws {
    let file = FileManager.default.temporaryDirectory.appending(path: "t-\(UUID().uuidString).yaml")
    try Data(text.utf8).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    for command in [
      ["validate"], ["graph"], ["lab", "up"], ["monitor", "--once"], ["node", "run", "--name", "a"],
    ] {
      let outcome = try await run(command + [file.path])
      #expect(outcome.status == "exited(64)", "\(command)")
      #expect(outcome.output == "", "\(command)")
      #expect(outcome.errors.contains(file.path) && outcome.errors.contains("error:"), "\(command)")
    }
  }

  @Test(.enabled(if: canDropPrivileges, "needs root and setpriv (Debian package util-linux)"))
  func missingPrivilegesAreNamed() async throws {
    let file = try topology("t-cap-\(getpid())", nodeB: "{address: 10.79.0.2, engine: sandbox}")
    defer { try? FileManager.default.removeItem(at: file) }
    for (command, word) in [
      (["lab", "up", file.path], "CAP_SYS_ADMIN"), (["node", "run", file.path, "--name", "b"], "CAP_BPF"),
      (["bench", "cost"], "CAP_NET_ADMIN"),
    ] {
      let outcome = try await run(command, without: "-all")
      #expect(outcome.status == "exited(77)", "\(command)")
      #expect(outcome.errors.contains(word), "\(command): \(outcome.errors)")
    }
    let fixture = try LabFixture(try Topology.load(path: file.path))
    #expect(fixture.leftovers() == [])
  }

  /// a -- b, and b's daemon may not have the scheduling that the file asks for.
  @Test(.enabled(if: canDropPrivileges, "needs root and setpriv (Debian package util-linux)"))
  func aLabWhoseDaemonCannotStartLeavesNothing() async throws {
    let file = try topology(
      "t-nice-\(getpid())", nodeB: "{address: 10.79.0.2, engine: process, scheduling: fifo}")
    defer { try? FileManager.default.removeItem(at: file) }
    let read = try Topology.load(path: file.path)
    let outcome = try await run(["lab", "up", file.path], without: "-sys_nice")
    #expect(outcome.status == "exited(1)")
    #expect(outcome.errors.contains("node b") && outcome.errors.contains("CAP_SYS_NICE"))
    #expect(try LabFixture(read).leftovers() == [])
  }

  /// Guests with the module try the rest: Tests/VM/guest/upcall-engine.sh.
  @Test(
    .enabled(if: canDropPrivileges, "needs root and setpriv (Debian package util-linux)"),
    .enabled(if: access("/dev/streamrouter", F_OK) != 0, "the kernel module is loaded"))
  func engineUpcallIsRefusedWithoutTheModule() async throws {
    let file = try topology("t-upcall-\(getpid())", nodeB: "{address: 10.79.0.2, engine: upcall}")
    defer { try? FileManager.default.removeItem(at: file) }
    let read = try Topology.load(path: file.path)
    let outcome = try await run(["lab", "up", file.path])
    #expect(outcome.status == "exited(1)")
    #expect(
      outcome.errors.contains(
        "node b refuses: engine upcall cannot run here: kernel module streamrouter is not loaded"))
    #expect(outcome.errors.contains("modprobe streamrouter upcall=1"), "\(outcome)")
    _ = try await run(["lab", "down", file.path])
    #expect(try LabFixture(read).leftovers() == [])
  }

  /// On loopback addresses, where no privileges are needed: somebody listens on the relay's port.
  @Test func aPortThatIsTakenIsNamedAndNothingIsLeft() async throws {
    let holder = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    defer { close(holder) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(5004).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f4f_0002).bigEndian
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(holder, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try #require(bound == 0, "bind: errno \(errno)")
    let file = try topology(
      "t-port-\(getpid())", nodeA: "127.79.0.1", nodeB: "{address: 127.79.0.2, engine: process}")
    defer { try? FileManager.default.removeItem(at: file) }
    let read = try Topology.load(path: file.path)
    let outcome = try await run(["lab", "up", file.path])
    #expect(outcome.status == "exited(1)")
    #expect(outcome.errors.contains("127.79.0.2:5004") && outcome.errors.contains("in use"))
    #expect(try LabFixture(read).leftovers() == [])
  }

  /// A stream from a to b, in a file of its own.
  private func topology(_ name: String, nodeA: String = "10.79.0.1", nodeB: String) throws -> URL {
    let file = FileManager.default.temporaryDirectory.appending(path: "\(name).yaml")
    let text = """
      version: 1
      name: \(name)
      nodes:
        a: \(nodeA)
        b: \(nodeB)
      links: [a -- b]
      streams:
        one: {protocol: udp, from: "a:5004", to: "b:6000"}

      """
    try Data(text.utf8).write(to: file)
    return file
  }
}
