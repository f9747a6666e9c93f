import Foundation
import SystemPackage
import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// What was found on a machine: lines of a word and what belongs to it.
struct HostLook: Sendable {
  private var lines: [String: [String]] = [:]

  init(_ text: String) {
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: " ", maxSplits: 1)
      guard let key = parts.first else { continue }
      lines[String(key), default: []].append(parts.count == 2 ? String(parts[1]) : "")
    }
  }

  subscript(key: String) -> String? { lines[key]?.last.flatMap { $0.isEmpty ? nil : $0 } }
  func all(_ key: String) -> [String] { lines[key] ?? [] }

  mutating func add(_ other: HostLook) { lines.merge(other.lines) { $0 + $1 } }

  /// 6.1 and later: the datapath reads CLOCK_TAI.
  private static let leastKernel = (major: 6, minor: 1)

  /// Why no node can run there, or none that the user could put there; nil where it can.
  func obstacle(
    _ host: RemoteHost, _ node: Node, _ program: HostProgram
  ) async throws -> (HostsError.Kind, String)? {
    guard self["system"] == "Linux" else {
      return (.unsuited, "it runs \(self["system"] ?? "an unknown system"), and a node needs Linux")
    }
    guard self["machine"] == program.machine else {
      return (
        .unsuited,
        "its processor is \(self["machine"] ?? "unknown"), and this program is for \(program.machine): give 'lab up' from a machine of that kind"
      )
    }
    if self["rights"] == "none" {
      let user = self["user"] ?? "USER"
      return (
        .permission,
        "\(user) is not root there and may not run everything by sudo without a password: write root@HOST, or put '\(user) ALL=(root) NOPASSWD: ALL' into a file of /etc/sudoers.d there"
      )
    }
    let tools = all("no-tool")
    if !tools.isEmpty {
      return (
        .unsuited, "it has no \(tools.joined(separator: ", ")): install coreutils, sed and util-linux there"
      )
    }
    let missing = all("no-library")
    if !missing.isEmpty { return (.unsuited, try await program.advice(missing: missing)) }
    if node.engine == .sandbox { return sandboxObstacle.map { (.unsuited, $0) } }
    return nil
  }

  /// Why engine sandbox cannot run there; with engine auto the node then runs engine process.
  private var sandboxObstacle: String? {
    let kernel = self["kernel"] ?? ""
    let numbers = kernel.split(whereSeparator: { $0 == "." || $0 == "-" }).prefix(2).compactMap { Int($0) }
    if numbers.count == 2, (numbers[0], numbers[1]) < (Self.leastKernel.major, Self.leastKernel.minor) {
      return
        "its kernel is \(kernel), and engine sandbox needs \(Self.leastKernel.major).\(Self.leastKernel.minor): write 'engine: process', or boot a later one"
    }
    return self["bpf"] == nil
      ? "it has no BPF file system, which engine sandbox needs: 'mount -t bpf bpf /sys/fs/bpf' there, or write 'engine: process'"
      : nil
  }

  /// Why a machine that is fit must not be used for this lab; nil where it may.
  ///
  /// - Parameter address: Where nodes reach the controller.
  func claimObstacle(
    _ host: RemoteHost, topology: String, installation: String, address: String, program: HostProgram
  ) -> String? {
    guard let lab = self["lab"] else {
      if !all("state").isEmpty {
        return
          "it is a node of an installation already (/var/lib/streamrouter), and a machine is one node: 'streamrouter node leave' there takes it out"
      }
      if let digest = self["digest"], digest != program.digest {
        return
          "it has another \(HostScripts.program), which no lab put there: remove that one first, as by 'make uninstall'"
      }
      return nil
    }
    if lab != topology {
      return "it belongs to lab \(lab): 'streamrouter lab down \(lab)' first, from where it was made"
    }
    if let node = self["node"], node != host.node {
      return
        "it is node \(node) of lab \(lab), not \(host.node): take the lab down with the former file of hosts first"
    }
    if let other = self["installation"], other != installation {
      return
        "it belongs to another lab of the name \(lab), or its controller was lost: 'streamrouter lab down FILE --hosts HOSTS' takes it out"
    }
    if let other = self["controller"], other != address {
      return
        "its controller is at \(other), not at \(address): take the lab down with the former file of hosts first"
    }
    if let digest = self["digest"], digest != program.digest, !all("program").contains(digest) {
      return "\(HostScripts.program) was replaced there by something else than this lab: remove it there first"
    }
    return nil
  }
}

/// This very program, as it is put on other machines.
struct HostProgram: Sendable {
  var path: FilePath
  /// SHA-256, as `sha256sum` writes it.
  var digest: String
  /// What `uname -m` says.
  var machine: String
  /// The shared libraries that it needs, with the file of each on this machine.
  var libraries: [String: String]

  static func own() async throws -> HostProgram {
    let path = try LabFiles.ownProgram()
    let sum = try await LabShell.run("sha256sum", ["--", path.string])
    guard let digest = sum.split(separator: " ").first else {
      throw LabError.failed(operation: "reading", subject: path.string, reason: "sha256sum said nothing")
    }
    return HostProgram(
      path: path, digest: String(digest), machine: try await word(of: LabShell.run("uname", ["-m"])),
      libraries: Self.libraries(try await LabShell.run("ldd", [path.string])))
  }

  private static func word(of text: String) -> String { text.filter { !$0.isWhitespace } }

  /// What `ldd` prints: `libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x7f...)`.
  static func libraries(_ text: String) -> [String: String] {
    var libraries: [String: String] = [:]
    for line in text.split(separator: "\n") {
      let parts = line.split(whereSeparator: \.isWhitespace)
      if parts.count >= 3, parts[1] == "=>", parts[2].hasPrefix("/") {
        libraries[String(parts[0])] = String(parts[2])
      }
    }
    return libraries
  }

  /// What to do about libraries that another machine has not.
  func advice(missing: [String]) async throws -> String {
    let swift = missing.filter {
      $0.hasPrefix("libswift") || $0.contains("Foundation") || $0 == "libdispatch.so"
    }
    guard swift.isEmpty else {
      return
        "this program needs Swift's libraries (\(swift.sorted().prefix(2).joined(separator: ", "))...), which are not there: build it with 'swift build -c release --static-swift-stdlib' and give 'lab up' by that one"
    }
    // The packages of this machine are those of the other one where both are Debian or its like.
    var packages: Set<String> = []
    for library in missing {
      let found = try? await LabShell.attempt("dpkg-query", ["--search", "*/\(library)"])
      for line in (found?.output ?? "").split(separator: "\n") {
        if let package = line.split(separator: ":").first { packages.insert(String(package)) }
      }
    }
    let remedy =
      packages.isEmpty
      ? "install what holds them there" : "'apt-get install \(packages.sorted().joined(separator: " "))' there"
    return "it has no \(missing.sorted().joined(separator: ", ")): \(remedy)"
  }
}
