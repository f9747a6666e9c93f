import Foundation
import Testing

@testable import StreamRouter

/// The files of packaging/ agree with the code, and with systemd's own tools where those are here.
@Suite struct PackagingTests {
  private static let packaging = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appending(path: "packaging")
  private static let hasAnalyze = FileManager.default.isExecutableFile(atPath: "/usr/bin/systemd-analyze")

  private func text(_ path: String) throws -> String {
    try String(contentsOf: Self.packaging.appending(path: path), encoding: .utf8)
  }

  /// The unit's settings in their order, each with the lines above it that are comments.
  private func settings(_ unit: String = "node") throws -> [(key: String, value: String, comment: [Substring])]
  {
    var comment: [Substring] = []
    var found: [(String, String, [Substring])] = []
    for line in try text("systemd/streamrouter-\(unit).service").split(
      separator: "\n", omittingEmptySubsequences: false)
    {
      if line.hasPrefix("#") {
        comment.append(line)
      } else if let equals = line.firstIndex(of: "=") {
        found.append((String(line[..<equals]), String(line[line.index(after: equals)...]), comment))
        comment = []
      } else {
        comment = []
      }
    }
    return found.map { (key: $0.0, value: $0.1, comment: $0.2) }
  }

  private static let units = ["node", "member", "controller"]

  @Test(
    "the unit has the capabilities that the code names, no others, and says what each is for",
    arguments: ["node", "member"])
  func capabilities(unit: String) throws {
    let settings = try settings(unit)
    let wanted = Set(Capability.node.map(\.rawValue))
    for key in ["AmbientCapabilities", "CapabilityBoundingSet"] {
      let found = settings.filter { $0.key == key }
      #expect(
        found.count == 1 && Set(found[0].value.split(separator: " ").map(String.init)) == wanted, "\(key)")
    }
    let reasons = try #require(settings.first { $0.key == "AmbientCapabilities" }).comment.joined(
      separator: "\n")
    for name in wanted { #expect(reasons.contains(name)) }
  }

  @Test("the controller has no capability at all, and nothing but the network")
  func controllerRights() throws {
    let settings = try settings("controller")
    for key in ["AmbientCapabilities", "CapabilityBoundingSet"] {
      #expect(settings.filter { $0.key == key }.map(\.value) == [""], "\(key)")
    }
    #expect(
      settings.first { $0.key == "RestrictAddressFamilies" }?.value == "AF_INET AF_INET6 AF_UNIX")
  }

  @Test("a node that joined is hardened as one that reads a file, and starts once it has joined")
  func member() throws {
    func rights(_ unit: String) throws -> [String] {
      let own = ["Type", "ExecStart", "ExecReload", "Environment", "EnvironmentFile"]
      return try settings(unit).drop { $0.key != "Type" }.filter { !own.contains($0.key) }.map {
        "\($0.key)=\($0.value)"
      }
    }
    #expect(try rights("member") == rights("node"))
    let state = StatePaths("/var/lib/streamrouter")
    let member = try settings("member")
    #expect(member.first { $0.key == "ConditionPathExists" }?.value == state.controllerNote.string)
    #expect(member.first { $0.key == "Conflicts" }?.value == "streamrouter-node.service")
    let condition = try settings("controller").first { $0.key == "ConditionPathExists" }?.value
    #expect(condition == state.authority.appending("authority.json").string)
  }

  @Test("each line that hardens the unit says why", arguments: units)
  func comments(unit: String) throws {
    let service = try settings(unit).drop { $0.key != "Type" }.prefix { $0.key != "WantedBy" }
    #expect(service.count > 40)
    for setting in service {
      #expect(!setting.comment.isEmpty, "\(setting.key)=\(setting.value) has no comment")
    }
    for key in ["ProtectSystem", "NoNewPrivileges", "SystemCallFilter", "RestrictNamespaces", "User"] {
      #expect(service.contains { $0.key == key }, "\(key)")
    }
  }

  @Test("unit, user and folders bear one name, and the settings of lo are those that the engine asks for")
  func names() throws {
    let settings = try settings()
    let user = try #require(settings.first { $0.key == "User" }).value
    #expect(try text("sysusers.d/streamrouter.conf").contains("\nu \(user) "))
    #expect(
      try text("tmpfiles.d/streamrouter.conf").contains("\nd \(NodePaths.pinRoot) 0700 \(user) \(user)\n"))
    #expect(settings.contains { $0.key == "ReadWritePaths" && $0.value == "-\(NodePaths.pinRoot)" })
    let sysctl = try text("sysctl.d/90-streamrouter.conf")
    for family in ["ipv4", "ipv6"] { #expect(sysctl.contains("net.\(family).conf.lo.forwarding = 1\n")) }
    // What the unit and its example have variables for.
    let start = try #require(settings.first { $0.key == "ExecStart" }).value
    for name in ["TOPOLOGY", "NODE", "OPTIONS"] {
      #expect(start.contains("STREAMROUTER_" + name), "\(name)")
      #expect(try text("systemd/node.env").contains("\n#STREAMROUTER_\(name)="), "\(name)")
    }
  }

  /// The unit with a program that is here, and without the man page, which is installed elsewhere.
  private func withUnit<T>(_ name: String, _ body: (_ path: String) async throws -> T) async throws -> T {
    let folder = FileManager.default.temporaryDirectory.appending(path: "t-unit-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let unit = folder.appending(path: "streamrouter-\(name).service")
    let changed = try text("systemd/streamrouter-\(name).service").split(
      separator: "\n", omittingEmptySubsequences: false
    )
    .filter { !$0.hasPrefix("Documentation=") }
    .map { $0.replacing("ExecStart=/usr/bin/streamrouter", with: "ExecStart=/bin/true") }
    try changed.joined(separator: "\n").write(to: unit, atomically: true, encoding: .utf8)
    return try await body(unit.path)
  }

  @Test(
    "systemd takes the unit without a word", .enabled(if: hasAnalyze, "needs systemd-analyze"),
    arguments: units)
  func verify(name: String) async throws {
    try await withUnit(name) { unit in
      let outcome = try await LabShell.attempt("systemd-analyze", ["verify", "--man=no", unit])
      #expect(outcome.succeeded && outcome.errors.isEmpty, "\(outcome.errors)")
    }
  }

  /// 0 is locked up, 10 is open. What it still counts is the network, the capabilities, and what the unit says why.
  @Test(
    "systemd counts no more exposure than was reached", .enabled(if: hasAnalyze, "needs systemd-analyze"),
    arguments: [("node", 21), ("member", 21), ("controller", 11)])
  func exposure(name: String, limit: Int) async throws {
    try await withUnit(name) { unit in
      let outcome = try await LabShell.attempt(
        "systemd-analyze", ["security", "--offline=true", "--threshold=\(limit)", "--no-pager", unit])
      #expect(outcome.succeeded, "\(outcome.output.split(separator: "\n").last ?? "")")
    }
  }

  @Test("an installation keeps what is configured, names its own program, and goes without a trace")
  func installation() async throws {
    let root = FileManager.default.temporaryDirectory.appending(path: "t-install-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: root) }
    let script = Self.packaging.deletingLastPathComponent().appending(path: "scripts/install.sh").path
    func install(_ options: String...) async throws {
      try await LabShell.run(
        "env", ["SR_PROGRAM=/bin/true", script] + options + [root.path, "/usr/local", "/etc"])
    }
    func files() throws -> [String] {
      try FileManager.default.subpathsOfDirectory(atPath: root.path).filter { path in
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: root.path + "/" + path, isDirectory: &isFolder)
          && !isFolder.boolValue
      }
    }
    try await install()
    let installed = try files()
    for path in [
      "usr/local/bin/streamrouter", "usr/local/share/man/man1/streamrouter.1",
      "usr/local/share/bash-completion/completions/streamrouter", "usr/local/lib/sysusers.d/streamrouter.conf",
      "usr/local/share/doc/streamrouter/examples/topologies/three-hop.yaml",
      "usr/local/share/streamrouter/grafana/streamrouter.json", "etc/streamrouter/node.env",
      "usr/local/share/streamrouter/systemd/module.conf",
      "usr/local/lib/systemd/system/streamrouter-member.service",
      "usr/local/lib/systemd/system/streamrouter-controller.service",
    ] {
      #expect(installed.contains(path), "\(path)")
    }
    let unit = try String(
      contentsOf: root.appending(path: "usr/local/lib/systemd/system/streamrouter-node.service"),
      encoding: .utf8)
    #expect(unit.contains("\nExecStart=/usr/local/bin/streamrouter node run "))

    let settings = root.appending(path: "etc/streamrouter/node.env")
    try Data("STREAMROUTER_NODE=edge\n".utf8).write(to: settings)
    try await install()
    #expect(try String(contentsOf: settings, encoding: .utf8) == "STREAMROUTER_NODE=edge\n")
    try await install("--remove")
    #expect(try files() == ["etc/streamrouter/node.env"])
  }
}
