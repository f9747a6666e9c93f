import ArgumentParser
import Foundation
import StreamRouter
import SystemPackage
import Topology

/// `streamrouter lab`: all nodes of a topology as network namespaces on this machine.
struct LabCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lab",
    abstract:
      "All nodes of a topology on this machine, each in a network namespace of its own, or on machines by ssh.",
    discussion: """
      Examples:
        streamrouter lab up topologies/three-hop.yaml
        streamrouter lab exec studio -- ip address
        streamrouter lab impair --link camera--edge --loss 10
        streamrouter lab down topologies/three-hop.yaml
        streamrouter lab up my.yaml --hosts my.hosts.yaml

      Root, or CAP_NET_ADMIN and CAP_SYS_ADMIN, is needed unless all addresses are loopback addresses, as in \
      topologies/loopback.yaml. A lab is named by its topology file or by the topology's name; neither is needed \
      where exactly one lab runs.
      """,
    subcommands: [
      LabUpCommand.self, LabDownCommand.self, LabStatusCommand.self, LabExecCommand.self, LabImpairCommand.self,
      LabImpairHereCommand.self, LabListCommand.self,
    ])
}

/// `streamrouter lab up`.
struct LabUpCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "up",
    abstract: "Make the namespaces and links and start a daemon in each.",
    discussion: """
      Again on a lab that runs, it starts dead daemons and makes the others read a changed file again.

      With --hosts the nodes are machines that your ssh reaches, as root or as a user with sudo without a password. The \
      program is copied to each, one gets a controller, all join it, and the file is deployed; 'lab down' takes all of \
      it away. A file of hosts:
        controller: camera                 # whose machine has the controller; by default the first node's
        address: 10.0.0.1                  # where nodes reach it; by default that node's first address
        hosts:
          camera: root@10.0.0.1
          studio: ssh://ada@studio.example.org:2222

      Exit status: 0 done, 1 it failed, 64 a file is not valid, 69 a machine cannot be reached, 77 no permission.
      """)

  @Argument(help: "The topology file.", completion: .file(extensions: ["yaml", "yml"])) var file: String
  @Option(
    help: ArgumentHelp(
      "The first node's daemon answers /metrics on this port of 127.0.0.1, the others on those above.",
      discussion:
        "/run/streamrouter/TOPOLOGY.prometheus.json lists them for Prometheus. Left out, there are none.",
      valueName: "port"))
  var metrics: UInt16?
  @Flag(
    help: ArgumentHelp(
      "The daemons read the file themselves, with no controller.",
      discussion:
        "By default a controller deploys it on them, as on machines: 'streamrouter plan' and 'deploy' speak to it."
    ))
  var files = false
  @OptionGroup(title: "On other machines") var hosts: HostsOptions

  func validate() throws {
    if metrics == 0 { throw ValidationError("--metrics takes a port from 1 to 65535") }
    guard hosts.hosts != nil else { return try hosts.demandHosts() }
    if files {
      throw ValidationError("--files is for nodes on this machine; those on others have a controller")
    }
    if metrics != nil {
      throw ValidationError("--metrics is for nodes on this machine; leave it out with --hosts")
    }
  }

  func run() async throws {
    if hosts.hosts != nil { return try await runOnHosts() }
    try await LabExit.translate {
      let topology = try Topology.loadWithExtensions(path: file)
      let lab = Lab(
        topology: topology.name, control: files ? .file : .controller, progress: LabExit.afterOneSecond())
      let outcome = try await lab.up(topology, file: .init(file), metrics: metrics)
      print(Self.summary(outcome, topology: topology, file: file))
      if let metrics, case .started = outcome {
        print(
          "metrics: http://127.0.0.1:\(metrics)/metrics and the ports above; for Prometheus: \(lab.metricsTargets)"
        )
      }
    }
  }

  private func runOnHosts() async throws {
    try await ControlExit.translate {
      let topology = try Topology.loadWithExtensions(path: file)
      guard let wanted = try hosts.load(for: topology) else { return }
      let lab = HostsLab(topology: topology.name, progress: LabExit.afterOneSecond())
      let outcome = try await lab.up(
        topology, file: .init(file), hosts: wanted, sshConfiguration: hosts.configuration)
      print(Self.summary(outcome, topology: topology, file: file))
    }
  }

  static func summary(_ outcome: HostsLab.Outcome, topology: Topology, file: String) -> String {
    if outcome.isUnchanged {
      return "lab \(topology.name) runs already on \(outcome.hosts) machines and \(file) has not changed"
    }
    let steps = [
      ("installed on", outcome.installed), ("joined:", outcome.joined), ("started:", outcome.started),
      ("removed from", outcome.removed),
    ].compactMap { $1.isEmpty ? nil : "  \($0) \($1.joined(separator: ", "))" }
    let deployed = outcome.deployed.map { document in
      "  revision \(document.revision): \(document.changes) changes on \(document.nodes) nodes"
    }
    return
      (["lab \(topology.name) is up on \(outcome.hosts) machines: \(topology.summary)"] + steps
      + [deployed].compactMap(\.self) + [
        """
        next:
          streamrouter monitor \(file)
          streamrouter status --lab \(topology.name)
          streamrouter lab status \(topology.name)
          streamrouter lab down \(topology.name)
        """
      ]).joined(separator: "\n")
  }

  static func summary(_ outcome: Lab.Outcome, topology: Topology, file: String) -> String {
    switch outcome {
    case .unchanged:
      return "lab \(topology.name) runs already and \(file) has not changed"
    case .updated(let restarted, let reloaded):
      let parts =
        (restarted.isEmpty ? [] : ["restarted the daemon of \(restarted.joined(separator: ", "))"])
        + (reloaded.isEmpty ? [] : ["made \(reloaded.joined(separator: ", ")) read \(file) again"])
      return "lab \(topology.name): " + parts.joined(separator: "; ")
    case .deployed(let done, let restarted):
      let before =
        restarted.isEmpty ? "" : "restarted the daemon of \(restarted.joined(separator: ", ")); "
      return "lab \(topology.name): \(before)deployed \(file)\n\(done.text)"
    case .started:
      let node = topology.nodes.last?.name ?? "NODE"
      return """
        lab \(topology.name) is up: \(topology.summary)
        next:
          streamrouter monitor \(file)
          streamrouter lab exec \(topology.name) \(node) -- COMMAND
          streamrouter lab status \(topology.name)
          streamrouter lab down \(topology.name)
        """
    }
  }
}

/// Which machines have the nodes of a lab, and how ssh finds them.
struct HostsOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Machines for the nodes: a YAML file, or NODE=DESTINATION,... with destinations of ssh.",
      valueName: "hosts"), completion: .file(extensions: ["yaml", "yml"]))
  var hosts: String?
  @Option(
    help: ArgumentHelp("In place of your configuration of ssh, as with 'ssh -F'.", valueName: "file"),
    completion: .file())
  var sshConfig: String?

  /// - Throws: `ValidationError` where an option stands that goes with --hosts only.
  func demandHosts() throws {
    if sshConfig != nil { throw ValidationError("--ssh-config goes with --hosts") }
  }

  /// From the root: other commands give it to ssh from other folders.
  var configuration: FilePath? {
    sshConfig.map { FilePath(URL(fileURLWithPath: $0).path) }
  }

  /// nil where there is no --hosts.
  func load(for topology: Topology) throws -> Hosts? {
    try hosts.map { try Hosts.load($0, for: topology) }
  }
}

/// `streamrouter lab down`.
struct LabDownCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "down", abstract: "Remove all that 'lab up' made, after a crash too.",
    discussion: """
      Of a lab on other machines, what 'lab up' put on each is taken away, and nothing else. This machine knows which \
      they are until it is started again; --hosts says it then. Exit status 69: some could not be reached; the others \
      are done, and the next 'lab down' goes on with these.
      """)

  @Argument(help: "The topology file or the topology's name; not needed where exactly one lab runs.")
  var lab: String?
  @Flag(name: .long, help: "Every lab that was made from this machine.") var all = false
  @OptionGroup(title: "On other machines") var hosts: HostsOptions

  func validate() throws {
    if hosts.hosts != nil, lab == nil {
      throw ValidationError("name the topology file before --hosts: streamrouter lab down FILE --hosts HOSTS")
    }
    if all && lab != nil { throw ValidationError("--all takes every lab down; leave '\(lab ?? "")' out") }
  }

  func run() async throws {
    try await LabExit.translate {
      if all {
        let running = Lab.running()
        if running.isEmpty { print("no lab runs") }
        for topology in running {
          if Lab.isOnHosts(topology) {
            try await takeFromHosts(LabReference(topology))
            continue
          }
          try await take(Lab(topology: topology, progress: LabExit.afterOneSecond()), nil)
        }
        return
      }
      let reference = try LabReference(lab)
      if hosts.hosts != nil || Lab.isOnHosts(reference.name) {
        return try await takeFromHosts(reference)
      }
      try hosts.demandHosts()
      try await take(
        Lab(topology: reference.name, progress: LabExit.afterOneSecond()), reference.topology)
    }
  }

  private func takeFromHosts(_ reference: LabReference) async throws {
    guard let topology = try reference.topology ?? (hosts.hosts == nil ? nil : Lab.topology(of: reference.name))
    else { return try await takeFromHosts(reference.name, nil) }
    try await takeFromHosts(reference.name, hosts.load(for: topology))
  }

  private func takeFromHosts(_ name: String, _ wanted: Hosts?) async throws {
    let lab = HostsLab(topology: name, progress: LabExit.afterOneSecond())
    let removal = try await lab.down(hosts: wanted, sshConfiguration: hosts.configuration)
    print(removal.found ? "lab \(name) is down" : "lab \(name) was not up")
    for line in removal.left { Report.note(line) }
  }

  private func take(_ lab: Lab, _ topology: Topology?) async throws {
    let found = try await lab.down(topology)
    print(found ? "lab \(lab.topology) is down" : "lab \(lab.topology) was not up")
  }
}

/// `streamrouter lab status`.
struct LabStatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract:
      "What runs in a lab. Exit status 1 unless every daemon is ready, 69 where a machine does not answer.")

  @Argument(help: "The topology file or the topology's name; not needed where exactly one lab runs.")
  var lab: String?
  @Flag(name: .long, help: "One JSON document.") var json = false

  func run() async throws {
    let isUp = try await LabExit.translate {
      let status = try await Self.status(LabReference(lab).name)
      if json {
        try LabExit.printJSON(status)
      } else {
        print(Self.table(status))
      }
      if status.isUnreachable { throw ExitCode(EX_UNAVAILABLE) }
      return status.isUp
    }
    if !isUp { throw ExitCode.failure }
  }

  static func status(_ lab: String) async throws -> LabStatus {
    Lab.isOnHosts(lab)
      ? try await HostsLab(topology: lab).status() : try await Lab(topology: lab).status()
  }

  static func table(_ status: LabStatus) -> String {
    let hasMetrics = status.nodes.contains { $0.metrics != nil }
    let isOnHosts = status.nodes.contains { $0.host != nil }
    let rows =
      [["node", isOnHosts ? "host" : "namespace", "pid", "daemon", "ready"] + (hasMetrics ? ["metrics"] : [])]
      + status.nodes.map { node in
        [
          node.node, node.host ?? node.namespace ?? "-", node.pid.map { String($0) } ?? "-",
          node.state.rawValue,
          node.ready ? "yes" : "no",
        ] + (hasMetrics ? [node.metrics ?? "-"] : [])
      }
    return
      (["lab \(status.topology), from \(status.file)"] + (status.controller.map { [controller($0)] } ?? [])
      + AlignedColumns.lines(rows)
      + status.nodes.compactMap { node in node.problem.map { "\(node.node): \($0)" } }
      + status.impairments.map { "impaired: \($0.text)" }).joined(separator: "\n")
  }
}

extension LabStatusCommand {
  private static func controller(_ controller: LabStatus.Controller) -> String {
    guard controller.state == .running, let pid = controller.pid else {
      return "controller: \(controller.state.rawValue); 'streamrouter lab up' starts it again"
    }
    switch controller.revision {
    case nil: return "controller: runs (pid \(pid)) and does not answer"
    case 0: return "controller: runs (pid \(pid)), nothing is deployed"
    case let revision?: return "controller: runs (pid \(pid)), revision \(revision) is in force"
    }
  }
}

/// `streamrouter lab list`.
struct LabListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "The labs that were made from this machine, each with its state and its file.")

  @Flag(name: .long, help: "One JSON document.") var json = false

  func run() async throws {
    try await LabExit.translate {
      var labs: [LabStatus] = []
      for topology in Lab.running() {
        do {
          labs.append(try await LabStatusCommand.status(topology))
        } catch {
          Report.note("\(error)")
        }
      }
      if json { return try LabExit.printJSON(labs) }
      for lab in labs {
        let ready = lab.nodes.count { $0.ready }
        print("\(lab.topology)  \(ready) of \(lab.nodes.count) nodes ready  \(lab.file)")
      }
      if labs.isEmpty { Report.note("no lab runs; start one with 'streamrouter lab up FILE'") }
    }
  }
}

/// `streamrouter lab exec`.
struct LabExecCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "exec", abstract: "Run a command as a process of a node.",
    usage: "streamrouter lab exec [LAB] NODE -- COMMAND [ARGUMENT ...]",
    discussion: """
      Standard streams, terminal, signals and exit status are the command's own. NODE may be 'outside', the place
      of sinks and sources that the topology names by address. Of a lab on other machines, it runs on the node's, as the \
      user that ssh logs in as.
      """)

  @Argument(help: "The topology file or name, left out where exactly one lab runs; or the node.")
  var labOrNode: String
  @Argument(help: "The node, where the lab stands before it.") var node: String?
  @Argument(parsing: .postTerminator, help: "The command, after --.") var command: [String] = []

  func validate() throws {
    guard !command.isEmpty else {
      throw ValidationError(
        "write -- and the command after the node: streamrouter lab exec studio -- ip address")
    }
  }

  func run() async throws {
    try await LabExit.translate {
      let reference = try LabReference(node == nil ? nil : labOrNode)
      if Lab.isOnHosts(reference.name) {
        try LabExec.become(
          HostsLab(topology: reference.name).command(
            command, on: node ?? labOrNode, terminal: isatty(STDIN_FILENO) == 1))
      }
      let lab = Lab(topology: reference.name)
      try LabExec.become(try await lab.command(command, on: node ?? labOrNode))
    }
  }
}
