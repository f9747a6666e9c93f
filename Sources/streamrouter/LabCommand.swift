import ArgumentParser
import Foundation
import StreamRouter
import Topology

/// `streamrouter lab`: all nodes of a topology as network namespaces on this machine.
struct LabCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lab",
    abstract: "All nodes of a topology on this machine, each in a network namespace of its own.",
    discussion: """
      Examples:
        streamrouter lab up topologies/three-hop.yaml
        streamrouter lab exec studio -- ip address
        streamrouter lab impair --link camera--edge --loss 10
        streamrouter lab down topologies/three-hop.yaml

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

  func validate() throws {
    if metrics == 0 { throw ValidationError("--metrics takes a port from 1 to 65535") }
  }

  func run() async throws {
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

/// `streamrouter lab down`.
struct LabDownCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "down", abstract: "Remove all that 'lab up' made, after a crash too.")

  @Argument(help: "The topology file or the topology's name; not needed where exactly one lab runs.")
  var lab: String?
  @Flag(name: .long, help: "Every lab on this machine.") var all = false

  func validate() throws {
    if all && lab != nil { throw ValidationError("--all takes every lab down; leave '\(lab ?? "")' out") }
  }

  func run() async throws {
    try await LabExit.translate {
      if all {
        let running = Lab.running()
        if running.isEmpty { print("no lab runs") }
        for topology in running {
          try await take(Lab(topology: topology, progress: LabExit.afterOneSecond()), nil)
        }
        return
      }
      let reference = try LabReference(lab)
      try await take(
        Lab(topology: reference.name, progress: LabExit.afterOneSecond()), reference.topology)
    }
  }

  private func take(_ lab: Lab, _ topology: Topology?) async throws {
    let found = try await lab.down(topology)
    print(found ? "lab \(lab.topology) is down" : "lab \(lab.topology) was not up")
  }
}

/// `streamrouter lab status`.
struct LabStatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "What runs in a lab. Exit status 1 unless every daemon is ready.")

  @Argument(help: "The topology file or the topology's name; not needed where exactly one lab runs.")
  var lab: String?
  @Flag(name: .long, help: "One JSON document.") var json = false

  func run() async throws {
    let isUp = try await LabExit.translate {
      let status = try await Lab(topology: LabReference(lab).name).status()
      if json {
        try LabExit.printJSON(status)
      } else {
        print(Self.table(status))
      }
      return status.isUp
    }
    if !isUp { throw ExitCode.failure }
  }

  static func table(_ status: LabStatus) -> String {
    let hasMetrics = status.nodes.contains { $0.metrics != nil }
    let rows =
      [["node", "namespace", "pid", "daemon", "ready"] + (hasMetrics ? ["metrics"] : [])]
      + status.nodes.map { node in
        [
          node.node, node.namespace ?? "-", node.pid.map { String($0) } ?? "-", node.state.rawValue,
          node.ready ? "yes" : "no",
        ] + (hasMetrics ? [node.metrics ?? "-"] : [])
      }
    return
      (["lab \(status.topology), from \(status.file)"] + (status.controller.map { [controller($0)] } ?? [])
      + AlignedColumns.lines(rows)
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
    commandName: "list", abstract: "The labs on this machine, each with its state and its file.")

  @Flag(name: .long, help: "One JSON document.") var json = false

  func run() async throws {
    try await LabExit.translate {
      var labs: [LabStatus] = []
      for topology in Lab.running() {
        do {
          labs.append(try await Lab(topology: topology).status())
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
      of sinks and sources that the topology names by address.
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
      let lab = Lab(topology: reference.name)
      try LabExec.become(try await lab.command(command, on: node ?? labOrNode))
    }
  }
}
