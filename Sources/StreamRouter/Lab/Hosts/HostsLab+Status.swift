import SystemPackage
import Topology

extension HostsLab {
  /// What runs on the lab's machines now.
  ///
  /// - Throws: ``LabError`` where there is no such lab. A machine that cannot be reached is part of the status.
  public func status() async throws -> LabStatus {
    guard let note = try HostsNote.load(topology) else {
      throw LabError.notRunning(topology: topology, running: Lab.running())
    }
    let lab = topology
    let answers = try await RemoteShell.each(note.hosts) {
      HostLook(try await RemoteShell.run("status", on: $0, HostScripts.inspect))
    }
    let nodes = answers.map { answer in
      var node = LabStatus.NodeStatus(
        node: answer.host.node, pid: nil, state: .unreachable, ready: false,
        host: answer.host.destination.description)
      switch answer.result {
      case .failure(let error): node.problem = error.failure.reason
      case .success(let look):
        guard look["lab"] == lab else {
          node.state = .absent
          break
        }
        node.pid = look["node-pid"].flatMap { Int32($0) }
        node.state = node.pid != nil ? .running : .dead
        node.ready = node.pid != nil && look["ready"] != nil
        if answer.host.node == note.controller, look["controller-pid"] == nil {
          node.problem = "the controller does not run: 'streamrouter lab up' starts it"
          node.ready = false
        }
      }
      return node
    }
    return LabStatus(topology: topology, file: note.file, mode: "hosts", nodes: nodes, impairments: [])
  }

  /// The command line that runs `command` on a node's machine, as the user that ssh logs in as.
  public func command(_ command: [String], on node: String, terminal: Bool) throws -> [String] {
    guard let note = try HostsNote.load(topology) else {
      throw LabError.notRunning(topology: topology, running: Lab.running())
    }
    guard let host = note.hosts.first(where: { $0.node == node }) else {
      throw LabError.unknownNode(node: node, topology: topology, known: note.hosts.map(\.node))
    }
    return host.command(executing: command, onTerminal: terminal)
  }
}
