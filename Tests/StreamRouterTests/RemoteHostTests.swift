import Foundation
import Testing
import Topology

@testable import StreamRouter

/// How a command line for another machine is made, and what is made of the answers.
@Suite struct RemoteHostTests {
  private static func host(elevates: Bool = false) -> RemoteHost {
    RemoteHost(
      node: "camera", destination: SSHDestination("root@10.0.0.1")!, configuration: "/etc/ssh of mine",
      elevates: elevates)
  }

  @Test(
    "a shell reads a quoted word as what it was",
    arguments: [
      "", "plain", "two words", "it's", "''", "a'b'c", "$HOME `id` $(id) \\ \" !", "line\nline", "*", "é 電",
    ])
  func quoting(word: String) async throws {
    let said = try await LabShell.run("sh", ["-c", "printf %s \(RemoteHost.quote(word))"])
    #expect(said == word)
  }

  @Test("script and arguments arrive as they are, through the shell that ssh starts there")
  func arguments() async throws {
    let words = ["one", "it's two", "$(three)", ""]
    let command = Self.host().command(
      running: #"for word; do printf '<%s>' "$word"; done"#, words, asRoot: true)
    // ssh hands its last argument to a shell there, as it is.
    let said = try await LabShell.run("sh", ["-c", try #require(command.last)])
    #expect(said == "<one><it's two><$(three)><>")
  }

  @Test("no password is asked for, no key is taken on trust, the destination is no option")
  func options() throws {
    let command = Self.host().command(running: "true", [], asRoot: true)
    #expect(command.prefix(3) == ["ssh", "-F", "/etc/ssh of mine"])
    #expect(command.contains("BatchMode=yes"))
    #expect(!command.contains { $0.contains("StrictHostKeyChecking") || $0.contains("KnownHosts") })
    #expect(command.suffix(3).prefix(2) == ["--", "root@10.0.0.1"])
  }

  @Test("sudo is said where it is needed, and for root's work only")
  func elevation() {
    func last(_ host: RemoteHost, asRoot: Bool) -> String {
      host.command(running: "true", [], asRoot: asRoot).last ?? ""
    }
    #expect(last(Self.host(elevates: true), asRoot: true).hasPrefix("exec sudo -n -- 'sh' '-c'"))
    #expect(last(Self.host(elevates: true), asRoot: false).hasPrefix("exec 'sh' '-c'"))
    #expect(last(Self.host(), asRoot: true).hasPrefix("exec 'sh' '-c'"))
  }

  @Test(
    "what ssh says is told with what to do",
    arguments: [
      ("Host key verification failed.", HostsError.Kind.unreachable, "compare the fingerprint"),
      (
        "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.", .unreachable,
        "another one"
      ),
      ("root@10.0.0.1: Permission denied (publickey).", .permission, "ssh-copy-id"),
      ("ssh: connect to host 10.0.0.1 port 22: No route to host", .unreachable, "No route to host"),
      ("", .unreachable, "said nothing"),
    ])
  func explanations(said: String, kind: HostsError.Kind, part: String) {
    let explained = RemoteShell.explainSSH(said, Self.host())
    #expect(explained.0 == kind)
    #expect(explained.1.contains(part), "\(explained.1)")
  }

  @Test("another machine cannot steer the terminal of who reads its words")
  func harmless() { #expect(RemoteShell.harmless("a\u{1b}[2Jb\r\nc") == "a[2Jb\nc") }

  @Test("libraries are read from what ldd prints")
  func libraries() {
    let text = """
      \tlinux-vdso.so.1 (0x00007fee6aa69000)
      \tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007fee662d3000)
      \tlibgone.so => not found
      \t/lib64/ld-linux-x86-64.so.2 (0x00007fee6aa6b000)
      """
    #expect(HostProgram.libraries(text) == ["libz.so.1": "/lib/x86_64-linux-gnu/libz.so.1"])
  }

  private static let program = HostProgram(path: "/p", digest: "d1", machine: "x86_64", libraries: [:])

  @Test(
    "a machine that is somebody else's is left alone",
    arguments: [
      ("state joined", "node of an installation already"), ("digest d2", "which no lab put there"),
      ("lab other", "belongs to lab other"), ("lab studio\nnode edge", "it is node edge"),
      ("lab studio\nnode camera\ninstallation j", "another lab of the name"),
      (
        "lab studio\nnode camera\ninstallation i\ncontroller 10.0.0.9:7117",
        "its controller is at 10.0.0.9:7117"
      ),
      (
        "lab studio\nnode camera\ninstallation i\ncontroller 10.0.0.1:7117\nprogram d2\ndigest d3",
        "replaced there by something else"
      ),
    ])
  func claims(found: String, part: String) {
    let reason = HostLook(found).claimObstacle(
      Self.host(), topology: "studio", installation: "i", address: "10.0.0.1:7117", program: Self.program)
    #expect(reason?.contains(part) == true, "\(reason ?? "nil")")
  }

  @Test(
    "a machine of this lab, or of nobody, is taken",
    arguments: [
      "", "digest ", "digest d1",
      "lab studio\nnode camera\ninstallation i\ncontroller 10.0.0.1:7117\nprogram d2\ndigest d2\nstate joined",
    ])
  func free(found: String) {
    let reason = HostLook(found).claimObstacle(
      Self.host(), topology: "studio", installation: "i", address: "10.0.0.1:7117", program: Self.program)
    #expect(reason == nil)
  }

  @Test(
    "what a machine lacks is said before anything is put there",
    arguments: [
      ("system FreeBSD", "needs Linux"), ("system Linux\nmachine aarch64", "for x86_64"),
      ("system Linux\nmachine x86_64\nrights none\nuser ada", "ada ALL=(root) NOPASSWD: ALL"),
      ("system Linux\nmachine x86_64\nrights root\nno-tool setsid", "it has no setsid"),
      ("system Linux\nmachine x86_64\nrights root\nno-library libswiftCore.so", "--static-swift-stdlib"),
      ("system Linux\nmachine x86_64\nrights root\nno-library libnowhere.so.9", "it has no libnowhere.so.9"),
      ("system Linux\nmachine x86_64\nrights root\nkernel 5.15.0-91-generic\nbpf yes", "needs 6.1"),
      ("system Linux\nmachine x86_64\nrights root\nkernel 6.12.1", "mount -t bpf"),
    ])
  func obstacles(found: String, part: String) async throws {
    let node = Node(name: "camera", addresses: [], engine: .sandbox)
    let obstacle = try await HostLook(found).obstacle(Self.host(), node, Self.program)
    #expect(obstacle?.1.contains(part) == true, "\(obstacle?.1 ?? "nil")")
  }

  @Test(
    "systemd takes the units without a word",
    .enabled(if: LabFiles.exists("/usr/bin/systemd-analyze"), "needs systemd-analyze"),
    arguments: ["node node run", "controller controller run --listen 10.0.0.1:7117 --join 10.0.0.1:7118"])
  func units(service: String) async throws {
    let text = try await LabShell.run(
      "sh", ["-c", HostScripts.services + "written \(service)", "sh", "studio", ""])
    #expect(text.contains("ExecStart=/usr/local/bin/streamrouter "))
    let folder = FileManager.default.temporaryDirectory.appending(path: "units-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    // It looks for the program, which is not installed here.
    let unit = folder.appending(path: "streamrouter-lab-test.service")
    try text.replacing("/usr/local/bin/streamrouter", with: try LabFiles.ownProgram().string).write(
      to: unit, atomically: true, encoding: .utf8)
    let outcome = try await LabShell.attempt("systemd-analyze", ["verify", "--man=no", unit.path])
    #expect(outcome.succeeded && outcome.errors.isEmpty, "\(outcome.errors)")
  }

  @Test("where the controller listens: at its node's address, or everywhere behind an address that was named")
  func places() throws {
    let topology = Topology(
      name: "t", nodes: [Node(name: "camera", addresses: [try #require(IPAddress("fd00::1"))])], links: [],
      streams: [])
    var hosts = try Hosts.load("camera=a", for: topology)
    let own = HostsLab.Places(topology, hosts)
    #expect([own.address, own.own, own.listen] == Array(repeating: "[fd00::1]:7117", count: 3))
    #expect([own.join, own.joinAddress] == ["[fd00::1]:7118", "[fd00::1]:7118"])
    hosts.address = "relay.example:7000"
    let named = HostsLab.Places(topology, hosts)
    #expect(
      [named.address, named.own, named.listen] == ["relay.example:7000", "127.0.0.1:7000", "0.0.0.0:7000"])
    #expect([named.join, named.joinAddress] == ["0.0.0.0:7001", "relay.example:7001"])
  }
}
