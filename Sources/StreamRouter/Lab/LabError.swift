/// Why a lab could not do what was asked. The description says what failed, on what, and what the user can do.
public enum LabError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The process lacks capabilities (capabilities(7)); `operation` is what needs them.
  case needsPrivileges(operation: String, missing: [String])
  /// A program that the lab runs is not installed.
  case missingTool(tool: String, package: String)
  /// A program that the lab ran failed; `output` is what it said.
  case commandFailed(command: String, status: String, output: String)
  /// A system call failed.
  case failed(operation: String, subject: String, reason: String)
  /// The topology has a node of the name that the lab keeps for addresses outside the topology.
  case reservedNode(name: String)
  /// Two peers of a node shorten to one device name.
  case deviceNameTaken(node: String, device: String)
  /// A daemon ended or did not open its control socket; `log` is the end of what it said.
  case daemonNotReady(node: String, reason: String, log: String)
  /// The lab runs from another file of the same topology name.
  case runsFromOtherFile(topology: String, file: String, asked: String)
  /// What runs cannot become what the file says without making the network anew.
  case networkChanged(topology: String, file: String)
  /// A running lab has a controller and is brought up without, or the other way round.
  case otherControl(topology: String, hasController: Bool)
  /// The daemons of a running lab answer for metrics elsewhere, or nowhere.
  case metricsChanged(topology: String, running: UInt16?, asked: UInt16)
  /// No lab of this name runs.
  case notRunning(topology: String, running: [String])
  /// The name of the lab was left out and that does not tell which one.
  case whichLab(running: [String])
  case unknownNode(node: String, topology: String, known: [String])
  case unknownLink(link: String, topology: String, known: [String])
  /// An option of `lab impair` makes no sense.
  case badImpairment(reason: String)
  /// The kernel has no queueing discipline for what was asked: another case than a failure.
  case unsupported(what: String, reason: String, remedy: String)
  /// Another `lab up` or `lab down` of the same topology is at work.
  case busy(topology: String, lock: String)
  /// The lab is on other machines, and this works in namespaces of this one only.
  case onHosts(topology: String)
  /// A lab of this name runs on this machine.
  case runsHere(topology: String)
  /// The file in which the lab notes what it made cannot be read.
  case unreadableState(path: String, topology: String, reason: String)

  public var description: String {
    switch self {
    case .needsPrivileges(let operation, let missing):
      return
        "\(operation) needs root, or \(missing.joined(separator: " and ")); topologies/loopback.yaml works without: streamrouter lab up topologies/loopback.yaml"
    case .missingTool(let tool, let package):
      return "the program '\(tool)' is not installed; install the Debian package \(package)"
    case .commandFailed(let command, let status, let output):
      return "'\(command)' failed (\(status))" + (output.isEmpty ? "" : ":\n\(output)")
    case .failed(let operation, let subject, let reason):
      return "\(operation) \(subject) failed: \(reason)"
    case .reservedNode(let name):
      return
        "the lab keeps the node name '\(name)' for sinks and sources outside the topology; give that node another name"
    case .deviceNameTaken(let node, let device):
      return
        "two peers of node \(node) would both be reached over device \(device); rename one of them so that the first letters differ"
    case .daemonNotReady(let node, let reason, let log):
      return "the daemon of node \(node) \(reason)"
        + (log.isEmpty ? "; its log is empty" : "; the end of its log:\n\(log)")
    case .runsFromOtherFile(let topology, let file, let asked):
      return
        "lab \(topology) runs from \(file), not from \(asked); run 'streamrouter lab down \(topology)' first"
    case .networkChanged(let topology, let file):
      return
        "nodes, links or addresses of lab \(topology) changed in \(file), and a running lab follows changed streams only; run 'streamrouter lab down \(topology)' first"
    case .otherControl(let topology, let hasController):
      return
        "lab \(topology) runs with\(hasController ? "" : "out") a controller; \(hasController ? "leave --files out" : "say --files"), or run 'streamrouter lab down \(topology)' first"
    case .metricsChanged(let topology, let running, let asked):
      return
        "lab \(topology) runs \(running.map { "with metrics from port \($0) up" } ?? "without metrics"), and sockets are opened as a daemon starts; for port \(asked) run 'streamrouter lab down \(topology)' first"
    case .notRunning(let topology, let running):
      return "no lab '\(topology)' runs; " + Self.say(running)
    case .whichLab(let running):
      return running.isEmpty
        ? "no lab runs; start one with 'streamrouter lab up FILE'"
        : "several labs run (\(running.joined(separator: ", "))); say which"
    case .unknownNode(let node, let topology, let known):
      return "lab \(topology) has no node '\(node)'; it has \(known.joined(separator: ", "))"
    case .unknownLink(let link, let topology, let known):
      return "lab \(topology) has no link '\(link)'; "
        + (known.isEmpty ? "it has none" : "it has \(known.joined(separator: ", "))")
    case .badImpairment(let reason):
      return reason
    case .unsupported(let what, let reason, let remedy):
      return "\(what) is not possible here: \(reason); \(remedy)"
    case .busy(let topology, let lock):
      return
        "another 'lab up' or 'lab down' of \(topology) is still at work (it holds \(lock)); try again when it has ended"
    case .onHosts(let topology):
      return
        "lab \(topology) is on other machines ('streamrouter lab status \(topology)' names them): give --hosts to bring it up, and 'streamrouter lab down \(topology)' before you bring it up here"
    case .runsHere(let topology):
      return
        "lab \(topology) runs on this machine; run 'streamrouter lab down \(topology)' before you bring it up on others"
    case .unreadableState(let path, let topology, let reason):
      return
        "\(path), the note of what lab \(topology) made, cannot be read (\(reason)); run 'streamrouter lab down \(topology)'"
    }
  }

  private static func say(_ running: [String]) -> String {
    running.isEmpty
      ? "start one with 'streamrouter lab up FILE'" : "running: \(running.joined(separator: ", "))"
  }
}
