import SystemPackage
import Topology

extension HostsLab {
  /// What `down` found.
  public struct Removal: Hashable, Sendable {
    /// Whether there was anything to remove.
    public var found: Bool
    /// What stays on machines, and why.
    public var left: [String]
  }

  /// Ends the lab's daemons and relays, and takes away all that `up` put on its machines, and nothing else.
  ///
  /// - Parameters:
  ///   - hosts: Where its nodes are, for when this machine does not know; nil: as noted here.
  ///   - sshConfiguration: A file in place of the user's own configuration of ssh, or of the noted one.
  /// - Throws: ``HostsError`` with the machines that still have something; the others are done, and these are noted.
  public func down(hosts: Hosts? = nil, sshConfiguration: FilePath? = nil) async throws -> Removal {
    guard hosts != nil || HostsNote.exists(topology) else {
      throw LabError.notRunning(topology: topology, running: Lab.running())
    }
    let lock = try await LabLock.take(topology: topology)
    let note = try HostsNote.load(topology)
    if let note { await ControllerTunnel.close(note) }
    let named = (hosts?.hosts ?? []).map {
      RemoteHost(node: $0.node, destination: $0.destination, configuration: sshConfiguration?.string)
    }
    let noted = (note?.hosts ?? []).map { host in
      var host = host
      if let sshConfiguration { host.configuration = sshConfiguration.string }
      return host
    }
    // Where both name a node, what the user says now is what counts.
    let all = named + noted.filter { host in !named.contains { $0.node == host.node } }
    // The controller last: until then nobody loses it who is not ended.
    let controller = note?.controller ?? hosts?.controller
    progress("removing from \(all.count) machines")
    var answers = try await remove(all.filter { $0.node != controller })
    answers += try await remove(all.filter { $0.node == controller })

    var removal = Removal(found: false, left: [])
    var failures: [HostsError.Failure] = []
    for answer in answers {
      switch answer.result {
      case .failure(let error): failures.append(error.failure)
      case .success(let said):
        if said.all("nothing").isEmpty { removal.found = true }
        removal.left += said.all("left").map { "\(answer.host): left \($0)" }
      }
    }
    guard failures.isEmpty else {
      if var note {
        let still = Set(failures.map(\.node))
        note.hosts = all.filter { still.contains($0.node) }
        note.tunnel = nil
        try note.save()
      }
      throw HostsError(
        failures,
        remedy:
          "\(all.count - failures.count) of \(all.count) machines are clean; 'streamrouter lab down' again goes on with the others"
      )
    }
    try HostsNote.remove(topology)
    lock.removeFile()
    return removal
  }

  private func remove(_ hosts: [RemoteHost]) async throws -> [RemoteShell.Answer<HostLook>] {
    let lab = topology
    return try await RemoteShell.each(hosts) { host in
      var host = host
      let look = HostLook(try await RemoteShell.run("remove", on: host, HostScripts.look, asRoot: false))
      guard look["rights"] != "none" else {
        throw RemoteFailure(
          host, "remove", .permission,
          "\(look["user"] ?? "the user") is not root there, and sudo asks for a password")
      }
      host.elevates = look["rights"] == "sudo"
      return HostLook(try await RemoteShell.run("remove", on: host, HostScripts.remove, [lab]))
    }
  }
}
