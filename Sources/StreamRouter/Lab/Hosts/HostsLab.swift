import Foundation
import SystemPackage
import Topology

/// A lab whose nodes are machines that ssh reaches: puts this program on each, makes them an installation, and deploys.
/// From there on it is what `node init`, `node join`, `controller run`, `node run` and `deploy` make by hand.
///
/// Holds no state of its own: what was put where is in a note here (``HostsNote``) and in a mark on each machine
/// (``HostScripts``). Each step finds out what is there already, so that one that failed is gone on from.
public struct HostsLab: Sendable {
  /// What `up` found and did.
  public struct Outcome: Hashable, Sendable {
    public var hosts: Int
    /// Nodes whose machine got the program, which joined, of which a daemon was started, in the order of the topology.
    public var installed: [String]
    public var joined: [String]
    public var started: [String]
    /// Nodes that are no longer in the file, and whose machines were given back.
    public var removed: [String]
    /// nil: what is deployed is what the file says.
    public var deployed: DeployDocument?

    public var isUnchanged: Bool {
      (installed + joined + started + removed).isEmpty && deployed == nil
    }
  }

  /// How long nodes may take to connect once their daemons run.
  static let connectTimeout: Duration = .seconds(15)

  public let topology: String
  let progress: @Sendable (String) -> Void

  /// - Parameters:
  ///   - topology: The topology's name.
  ///   - progress: Told what is being done, in a few words.
  public init(topology: String, progress: @escaping @Sendable (String) -> Void = { _ in }) {
    self.topology = topology
    self.progress = progress
  }

  /// Brings the lab up, or makes one that runs follow its changed file. Twice is harmless.
  ///
  /// - Parameters:
  ///   - topology: What `file` says.
  ///   - file: The topology file, which is deployed.
  ///   - hosts: Where its nodes are.
  ///   - sshConfiguration: A file in place of the user's own configuration of ssh.
  /// - Throws: ``HostsError``, ``LabError``, ``DeployFailure``, ``ControlError``. Where it is thrown by the check, nothing
  ///   was put anywhere.
  public func up(
    _ topology: Topology, file: FilePath, hosts: Hosts, sshConfiguration: FilePath? = nil
  ) async throws -> Outcome {
    precondition(topology.name == self.topology, "a lab is asked for another lab's topology")
    if try LabState.load(topology: topology.name) != nil {
      throw LabError.runsHere(topology: topology.name)
    }
    let lock = try await LabLock.take(topology: topology.name)
    defer { _ = lock }
    let former = try HostsNote.load(topology.name)
    let file = LabFiles.absolute(file).string
    if let former, former.file != file {
      throw LabError.runsFromOtherFile(topology: topology.name, file: former.file, asked: file)
    }
    let program = try await HostProgram.own()
    let places = Places(topology, hosts)
    let (wanted, looks) = try await check(topology, hosts, places, program, former, sshConfiguration)

    var note = wanted
    note.file = file
    let gone = (former?.hosts ?? []).filter { topology.node($0.node) == nil }
    note.hosts += gone
    note.tunnel = former?.tunnel
    try note.save()

    let members = wanted.hosts
    let installed = try await install(program, on: members, looks, wanted, places)
    var done = Outcome(
      hosts: members.count, installed: installed, joined: [], started: [], removed: [], deployed: nil)
    try await start(members, looks, wanted, places, &done)
    done.deployed = try await deploy(file, members)
    done.removed = try await giveBack(gone, note)
    return done
  }

  var goOn: String {
    "what was done stays: 'streamrouter lab up' goes on from there, 'streamrouter lab down \(topology)' takes it away"
  }

  /// Where the controller listens, and where others find it.
  struct Places: Hashable, Sendable {
    /// For all nodes but that of its own machine.
    var address: String
    /// For the node of its own machine.
    var own: String
    var listen: String
    /// Where who has a token joins: where it listens, and where others find that.
    var join: String
    var joinAddress: String

    /// An address that the file of hosts names may be that of a router in front of the machine, so then the controller
    /// listens on all of its own. Otherwise it is the first one of its node in the topology, and nobody comes in by another.
    init(_ topology: Topology, _ hosts: Hosts) {
      func text(_ address: IPAddress, _ port: Int) -> String {
        address.family == .ipv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
      }
      let first = topology.node(hosts.controller)?.addresses.first
      guard let named = hosts.address else {
        guard let first else { preconditionFailure("a node without an address was let through") }
        let port = Hosts.controllerPort
        address = text(first, port)
        (own, listen, joinAddress, join) = (address, address, text(first, port + 1), text(first, port + 1))
        return
      }
      let colon = named.lastIndex(of: ":") ?? named.endIndex
      let port = Int(named[named.index(after: colon)...]) ?? Hosts.controllerPort
      let isIPv6 = named.hasPrefix("[")
      address = named
      own = isIPv6 ? "[::1]:\(port)" : "127.0.0.1:\(port)"
      listen = isIPv6 ? "[::]:\(port)" : "0.0.0.0:\(port)"
      join = isIPv6 ? "[::]:\(port + 1)" : "0.0.0.0:\(port + 1)"
      joinAddress = "\(named[..<colon]):\(port + 1)"
    }
  }
}

// MARK: - Check

extension HostsLab {
  /// Looks at every machine, and changes nothing.
  ///
  /// - Returns: What is to be noted, and what was found.
  /// - Throws: ``HostsError`` with every machine that cannot be used.
  private func check(
    _ topology: Topology, _ hosts: Hosts, _ places: Places, _ program: HostProgram, _ former: HostsNote?,
    _ configuration: FilePath?
  ) async throws -> (HostsNote, [String: HostLook]) {
    progress("looking at \(hosts.hosts.count) machines")
    let remedy = "nothing was changed on any machine"
    let libraries = program.libraries.map { "\($0.key)=\($0.value)" }.sorted()
    let asked = hosts.hosts.map {
      RemoteHost(node: $0.node, destination: $0.destination, configuration: configuration?.string)
    }
    let looks = try await RemoteShell.all(asked, remedy: remedy) { host in
      var look = HostLook(
        try await RemoteShell.run("check", on: host, HostScripts.look, libraries, asRoot: false))
      guard let node = topology.node(host.node) else {
        preconditionFailure("a host of no node was let through")
      }
      if let (kind, reason) = try await look.obstacle(host, node, program) {
        throw RemoteFailure(host, "check", kind, reason)
      }
      var host = host
      host.elevates = look["rights"] == "sudo"
      look.add(HostLook(try await RemoteShell.run("check", on: host, HostScripts.inspect)))
      return look
    }
    let members = asked.map { host in
      var host = host
      host.elevates = looks[host.node]?["rights"] == "sudo"
      return host
    }
    let marked = looks[hosts.controller].flatMap { $0["lab"] == topology.name ? $0["installation"] : nil }
    let installation = former?.installation ?? marked ?? UUID().uuidString.lowercased()
    let failures = members.compactMap { host -> HostsError.Failure? in
      guard let look = looks[host.node] else { return nil }
      var reason = look.claimObstacle(
        host, topology: topology.name, installation: installation, address: places.address, program: program)
      if let was = former?.hosts.first(where: { $0.node == host.node }), was.destination != host.destination,
        look["lab"] == nil
      {
        reason =
          reason ?? "the node was on \(was.destination), and this is another machine: take the lab down first"
      }
      return reason.map { RemoteFailure(host, "check", .unsuited, $0).failure }
    }
    guard failures.isEmpty else { throw HostsError(failures, remedy: remedy) }
    if let former, former.controller != hosts.controller {
      throw LabError.failed(
        operation: "moving the controller of", subject: "lab \(topology.name)",
        reason:
          "it is on \(former.controller), and the hosts say \(hosts.controller); 'streamrouter lab down \(topology.name)' first"
      )
    }
    let note = HostsNote(
      topology: topology.name, file: "", installation: installation, hosts: members,
      controller: hosts.controller)
    return (note, looks)
  }
}

// MARK: - Steps

extension HostsLab {
  /// - Returns: The nodes whose machine got the program.
  private func install(
    _ program: HostProgram, on members: [RemoteHost], _ looks: [String: HostLook], _ note: HostsNote,
    _ places: Places
  ) async throws -> [String] {
    let other = members.filter { looks[$0.node]?["digest"] != program.digest }
    if !other.isEmpty { progress("installing on \(other.map(\.node).joined(separator: ", "))") }
    let lab = topology
    _ = try await RemoteShell.all(members, remedy: goOn) { host in
      if looks[host.node]?["lab"] == nil {
        _ = try await RemoteShell.run(
          "install", on: host, HostScripts.claim, [lab, note.installation, host.node, places.address])
      }
      guard looks[host.node]?["digest"] != program.digest else { return }
      _ = try await RemoteShell.run(
        "install", on: host, HostScripts.install, [program.digest], input: .file(program.path))
    }
    return other.map(\.node)
  }

  private func start(
    _ members: [RemoteHost], _ looks: [String: HostLook], _ note: HostsNote, _ places: Places,
    _ done: inout Outcome
  ) async throws {
    let lab = topology
    let installed = done.installed
    let restart: @Sendable (RemoteHost) -> String = { installed.contains($0.node) ? "restart" : "" }
    guard let first = note.controllerHost else { preconditionFailure("a lab without a controller") }
    progress("starting the controller on \(first.node)")
    let said = try await RemoteShell.all([first], remedy: goOn) { host in
      HostLook(
        try await RemoteShell.run(
          "start the controller", on: host, HostScripts.controller,
          [lab, restart(host), host.node, places.own, places.listen, places.join]))
    }
    var joined: Set<String> = said[first.node]?.all("joined").isEmpty == false ? [first.node] : []
    var started: Set<String> = said[first.node]?["started"] != nil ? [first.node] : []

    let strangers = members.filter { $0.node != first.node && looks[$0.node]?.all("state").isEmpty != false }
    if !strangers.isEmpty { progress("joining \(strangers.map(\.node).joined(separator: ", "))") }
    // One after the other: they come from one machine, which writes each down. A token goes from its standard output to the
    // standard input of the other machine, and lies nowhere.
    var tokens: [String: String] = [:]
    for host in strangers {
      tokens[host.node] =
        try await RemoteShell.all([first], remedy: goOn) {
          try await RemoteShell.run("make a token for \(host.node)", on: $0, HostScripts.token, [host.node])
        }[first.node]
    }
    let secrets = tokens
    _ = try await RemoteShell.all(strangers, remedy: goOn) { host in
      try await RemoteShell.run(
        "join", on: host, HostScripts.join, [host.node, places.joinAddress, places.address],
        input: .text(secrets[host.node] ?? ""))
    }
    joined.formUnion(strangers.map(\.node))

    progress("starting \(members.count) nodes")
    let nodes = try await RemoteShell.all(members, remedy: goOn) { host in
      HostLook(try await RemoteShell.run("start the node", on: host, HostScripts.node, [lab, restart(host)]))
    }
    started.formUnion(nodes.filter { $0.value["started"] != nil }.keys)
    done.joined = members.map(\.node).filter { joined.contains($0) }
    done.started = members.map(\.node).filter { started.contains($0) }
  }

  /// Has the controller deploy the file, once all nodes are connected.
  ///
  /// - Returns: nil where the file is in force.
  private func deploy(_ file: String, _ members: [RemoteHost]) async throws -> DeployDocument? {
    let client = ControllerClient(socket: try await ControllerTunnel.open(topology))
    try await waitUntilConnected(members, client)
    let wanted = ControllerClient.Wanted.file(try ControllerClient.File(path: file))
    guard try await client.plan(wanted).hasChanges else { return nil }
    progress("deploying \(file)")
    return try await client.deploy(wanted, .init(), progress: progress)
  }

  private func waitUntilConnected(_ members: [RemoteHost], _ client: ControllerClient) async throws {
    progress("waiting for \(members.count) nodes to connect")
    let end = ContinuousClock.now + Self.connectTimeout
    while true {
      let connected = Set(try await client.status().nodes.filter { $0.state == "connected" }.map(\.node))
      let missing = members.filter { !connected.contains($0.node) }
      if missing.isEmpty { return }
      guard ContinuousClock.now < end else {
        _ = try await RemoteShell.all(missing, remedy: goOn) { host -> Void in
          let log = try await RemoteShell.run("connect", on: host, HostScripts.log, ["node"])
          throw RemoteFailure(
            host, "connect", .failed,
            "the node does not reach its controller within \(Self.connectTimeout.components.seconds) s; the end of its log:\n"
              + RemoteShell.harmless(log))
        }
        return
      }
      try await Task.sleep(for: .milliseconds(100))
    }
  }

  /// Takes away what is on machines whose nodes are no longer in the file.
  private func giveBack(_ gone: [RemoteHost], _ note: HostsNote) async throws -> [String] {
    guard !gone.isEmpty, let first = note.controllerHost else { return [] }
    progress("removing from \(gone.map(\.node).joined(separator: ", "))")
    let lab = topology
    _ = try await RemoteShell.all(gone, remedy: goOn) {
      try await RemoteShell.run("remove", on: $0, HostScripts.remove, [lab])
    }
    for host in gone {
      _ = try await RemoteShell.all([first], remedy: goOn) {
        try await RemoteShell.run("revoke \(host.node)", on: $0, HostScripts.revoke, [host.node])
      }
    }
    // Opening the tunnel noted it meanwhile.
    if var now = try HostsNote.load(topology) {
      now.hosts.removeAll { host in gone.contains { $0.node == host.node } }
      try now.save()
    }
    return gone.map(\.node)
  }
}
