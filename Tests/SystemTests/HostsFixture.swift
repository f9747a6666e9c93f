import Foundation
import SystemPackage
import Testing
import Topology

@testable import StreamRouter

/// Three machines and the one of an operator, for one test: network namespaces on one bridge, each machine with a real sshd
/// of its own host key, its own /etc, /var, /usr/local, /run and BPF file system, so that nothing but the kernel is shared.
///
///     operator 10.79.0.254 ---.--- camera 10.79.0.1
///                             |--- edge   10.79.0.2
///                             '--- studio 10.79.0.3
struct HostsFixture {
  static let nodes = ["camera", "edge", "studio"]

  let name: String
  let folder: URL
  private let mark: String

  var topologyFile: URL { folder.appending(path: "topology.yaml") }
  var hostsFile: URL { folder.appending(path: "hosts.yaml") }
  var sshConfiguration: URL { folder.appending(path: "ssh_config") }

  /// Why machines cannot be made here; nil where they can.
  static var obstacle: String? {
    if let obstacle = LabFixture.obstacle { return obstacle }
    for program in ["/usr/sbin/sshd", "/usr/bin/ssh", "/usr/bin/ssh-keygen"]
    where !LabFiles.exists(.init(program)) {
      return "there is no \(program); scripts/setup.sh test installs openssh-server and openssh-client"
    }
    // The machines begin with what this one has, and nothing of the system's is removed for a test.
    for path in ["/etc/streamrouter/lab", "/var/lib/streamrouter", HostScripts.program]
    where LabFiles.exists(.init(path)) {
      return "this machine has \(path), so it is no fresh machine's"
    }
    return nil
  }

  /// - Parameter name: Short: it is the beginning of names of namespaces and of the lab.
  init(_ name: String) throws {
    self.name = "h-\(name)-\(getpid())"
    folder = FileManager.default.temporaryDirectory.appending(path: self.name)
    mark = "STREAMROUTER_TEST_HOSTS=\(self.name)"
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  /// Runs a test's body with the machines up, and takes them down whatever comes of it.
  func use(_ body: () async throws -> Void) async throws {
    do {
      try await make()
      try await body()
    } catch {
      await remove()
      throw error
    }
    await remove()
  }

  // MARK: Machines

  private func make() async throws {
    try writeTopology()
    try await LabShell.batch(["netns add \(namespace("operator"))"])
    try await LabShell.batch(
      ["link set lo up", "link add br0 type bridge", "address add 10.79.0.254/24 dev br0", "link set br0 up"],
      in: namespace("operator"))
    try await keygen("client")
    var known: [String] = []
    for (index, node) in Self.nodes.enumerated() {
      try await LabShell.batch([
        "netns add \(namespace(node))",
        "link add eth0 netns \(namespace(node)) type veth peer name to-\(node) netns \(namespace("operator"))",
      ])
      try await LabShell.batch(
        ["link set to-\(node) master br0", "link set to-\(node) up"], in: namespace("operator"))
      try await LabShell.batch(
        [
          "link set lo gso_max_segs 1 up", "link set eth0 gso_max_segs 1 up",
          "address add \(address(node))/24 dev eth0",
        ], in: namespace(node))
      try await keygen("host-\(node)")
      let key = try String(contentsOf: folder.appending(path: "host-\(node).pub"), encoding: .utf8)
      known.append("10.79.0.\(index + 1) \(key)")
      try startDaemon(node)
    }
    try known.joined().write(to: folder.appending(path: "known_hosts"), atomically: true, encoding: .utf8)
    try writeConfiguration()
    try writeHosts(Dictionary(uniqueKeysWithValues: Self.nodes.map { ($0, "root@\(address($0))") }))
    for node in Self.nodes {
      try await until("the sshd of \(node) answers") {
        try await ssh(node, "true").succeeded
      }
    }
  }

  private func keygen(_ name: String) async throws {
    try await LabShell.run(
      "ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder.appending(path: name).path])
  }

  /// The machine's own files: what it changes of the system's is its own, and gone with its sshd.
  private func startDaemon(_ node: String) throws {
    let script = #"""
      set -e
      base=$1 node=$2 address=$3
      mkdir -p "$base/$node"
      mount -t tmpfs tmpfs "$base/$node"
      for place in etc var usr/local; do
        mkdir -p "$base/$node/$place/upper" "$base/$node/$place/work"
        mount -t overlay overlay -o "lowerdir=/$place,upperdir=$base/$node/$place/upper,workdir=$base/$node/$place/work" "/$place"
      done
      mount -t tmpfs tmpfs /run
      mount -t bpf bpf /sys/fs/bpf
      mkdir -p /run/sshd
      # One who may log in and is nobody there.
      echo 'guest:x:4242:4242::/:/bin/sh' >>/etc/passwd
      echo 'guest:*:19000:0:99999:7:::' >>/etc/shadow
      chmod 711 "$base"
      cp "$base/client.pub" /run/authorized
      cp "$base/host-$node" /run/host.key
      # What the machine has while it runs, for comparison.
      (cd / && find etc/streamrouter etc/systemd/system var/lib var/log usr/local/bin run sys/fs/bpf | sort) >/run/before
      exec /usr/sbin/sshd -D -e -f /dev/null -o ListenAddress="$address" -o HostKey=/run/host.key \
        -o AuthorizedKeysFile=/run/authorized -o UsePAM=no -o StrictModes=no -o PidFile=none \
        -o PasswordAuthentication=no -o PermitRootLogin=prohibit-password
      """#
    _ = try LabProcess.startDetached(
      [
        "nsenter", "--net=/run/netns/\(namespace(node))", "unshare", "--mount", "--propagation", "private",
        "sh", "-c",
        script, "sh", folder.path, node, address(node),
      ], log: .init(folder.appending(path: "sshd-\(node).log").path), mark: mark)
  }

  private func remove() async {
    if let note = try? HostsNote.load(name) { await ControllerTunnel.close(note) }
    for node in ["operator"] + Self.nodes where LabFiles.exists(LabPrivileges.namespaceFile(namespace(node))) {
      let inside = (try? await LabShell.attempt("ip", ["netns", "pids", namespace(node)]))?.output ?? ""
      await LabProcess.end(
        inside.split(whereSeparator: \.isWhitespace).compactMap { Int32($0) }.compactMap {
          LabProcess(running: $0)
        },
        patience: .seconds(2))
      _ = try? await LabShell.attempt("ip", ["netns", "delete", namespace(node)])
    }
    await LabProcess.end(LabProcess.all(marked: mark), patience: .seconds(2))
    try? HostsNote.remove(name)
    unlink(NodePaths.runtimeRoot.appending(name + ".lock").string)
    try? FileManager.default.removeItem(at: folder)
  }

  func namespace(_ node: String) -> String { "\(name)-\(node)" }
  func address(_ node: String) -> String { "10.79.0.\((Self.nodes.firstIndex(of: node) ?? 253) + 1)" }

  // MARK: Files

  /// - Parameter nodes: In a chain, the stream from the first to `sinks`.
  func writeTopology(_ nodes: [String] = Self.nodes, sinks: [String] = ["studio:5004"]) throws {
    let to = sinks.map { "\"\($0)\"" }.joined(separator: ", ")
    let links = zip(nodes, nodes.dropFirst()).map { "\($0) -- \($1)" }.joined(separator: ", ")
    let nodes = nodes.map { "  \($0): {address: \(address($0)), engine: auto}" }
    let text = """
      version: 1
      name: \(name)
      nodes:
      \(nodes.joined(separator: "\n"))
      links: [\(links)]
      streams:
        video: {protocol: rtp, from: "camera:5004", to: [\(to)]}

      """
    try text.write(to: topologyFile, atomically: true, encoding: .utf8)
  }

  func writeHosts(_ destinations: [String: String]) throws {
    let lines = Self.nodes.compactMap { node in destinations[node].map { "  \(node): \($0)" } }
    try (["hosts:"] + lines + [""]).joined(separator: "\n").write(
      to: hostsFile, atomically: true, encoding: .utf8)
  }

  func writeConfiguration(knownHosts: String = "known_hosts") throws {
    try """
    Host *
      IdentityFile \(folder.path)/client
      IdentitiesOnly yes
      UserKnownHostsFile \(folder.path)/\(knownHosts)
      GlobalKnownHostsFile /dev/null

    """.write(to: sshConfiguration, atomically: true, encoding: .utf8)
  }

  // MARK: Commands

  /// `streamrouter` as the operator says it, on the operator's machine.
  func command(_ arguments: String...) async throws -> LabShell.Outcome {
    try await LabShell.attempt(
      "nsenter", ["--net=/run/netns/\(namespace("operator"))", try LabFiles.ownProgram().string] + arguments)
  }

  func up() async throws -> LabShell.Outcome {
    try await command(
      "lab", "up", topologyFile.path, "--hosts", hostsFile.path, "--ssh-config", sshConfiguration.path)
  }

  func down() async throws -> LabShell.Outcome { try await command("lab", "down", name) }

  /// A command of root on a machine, past all that is tested.
  func ssh(_ node: String, _ command: String, user: String = "root") async throws -> LabShell.Outcome {
    try await LabShell.attempt(
      "nsenter",
      [
        "--net=/run/netns/\(namespace("operator"))", "ssh", "-F", sshConfiguration.path, "-o", "BatchMode=yes",
        "-o",
        "ConnectTimeout=5", "\(user)@\(address(node))", command,
      ])
  }

  /// Nothing is on a machine that was not there before, nothing is gone, and no daemon runs.
  func expectClean(_ node: String) async throws {
    let difference = try await ssh(
      node,
      "cd / && find etc/streamrouter etc/systemd/system var/lib var/log usr/local/bin run sys/fs/bpf 2>/dev/null | sort | diff /run/before - | grep '^[<>]' | grep -v -e 'run/before$' -e 'run/pretend' -e 'run/systemctl$' -e 'run/systemd'; ps -eo netns,comm --no-headers | awk -v n=$(readlink /proc/self/ns/net | tr -dc 0-9) '$1 == n && $2 == \"streamrouter\"'"
    ).output
    #expect(difference == "", "\(node)")
  }

  /// Gives a machine a service manager that does what the words of `systemctl` ask, so that the other way of running
  /// daemons is tried: what is said to systemd, not systemd. None is ever booted by a test, as it takes the machine for its own.
  func pretendSystemd(_ node: String) async throws {
    let script = #"""
      #!/bin/sh
      verb=$1
      for unit; do :; done
      file=/etc/systemd/system/$unit wants=/etc/systemd/system/multi-user.target.wants/$unit pid=/run/pretend-$unit
      alive() { [ -s "$pid" ] && kill -0 "$(cat "$pid")" 2>/dev/null; }
      end() {
          alive || return 0
          kill "$(cat "$pid")"
          while alive; do sleep 0.05; done
          rm -f "$pid"
      }
      echo "$*" >>/run/pretend-said
      case $verb in
      is-active) alive ;;
      is-enabled) [ -e "$wants" ] ;;
      enable) [ -e "$file" ] && ln -s "$file" "$wants" ;;
      disable) rm -f "$wants" ;;
      show) cat "$pid" ;;
      daemon-reload) : ;;
      stop) end ;;
      restart)
          end
          settings=$(sed -n 's/^Environment=//p' "$file")
          setsid sh -c 'echo $$ >"$1"; shift; exec "$@"' sh "$pid" env $settings $(sed -n 's/^ExecStart=//p' "$file") \
              </dev/null >"/run/pretend-$unit.log" 2>&1 &
          ;;
      *) exit 1 ;;
      esac
      """#
    let file = folder.appending(path: "systemctl")
    try script.write(to: file, atomically: true, encoding: .utf8)
    let made = try await ssh(
      node,
      "mkdir -p /run/systemd/system && cp \(file.path) /run/systemctl && chmod 755 /run/systemctl && mount --bind /run/systemctl /usr/bin/systemctl"
    )
    try #require(made.succeeded, "\(made.errors)")
  }

  func until(_ what: String, _ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(15)
    while ContinuousClock.now < end {
      if try await condition() { return }
      try await Task.sleep(for: .milliseconds(50))
    }
    let logs = Self.nodes.map { LabFiles.read(.init(folder.appending(path: "sshd-\($0).log").path)) ?? "" }
    Issue.record("not within 15 s: \(what)\n\(logs.joined())")
    throw CancellationError()
  }
}
