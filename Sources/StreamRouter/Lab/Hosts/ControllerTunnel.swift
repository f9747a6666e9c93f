import SystemPackage

#if canImport(Glibc)
  import Glibc
#endif

/// The way to the controller of a lab on other machines: a unix socket here that ssh carries to the one there, so that
/// every command that asks a controller of this machine works on such a lab too.
enum ControllerTunnel {
  /// How long ssh may take to be there.
  private static let patience: Duration = .seconds(15)

  /// Opens it where it is not open.
  ///
  /// - Returns: The socket of this machine.
  /// - Throws: ``HostsError``.
  static func open(_ topology: String) async throws -> FilePath {
    guard var note = try HostsNote.load(topology), let host = note.controllerHost else {
      throw LabError.notRunning(topology: topology, running: Lab.running())
    }
    let socket = HostsNote.tunnel(topology)
    let remedy = "streams go on; when it can be reached again, so can its controller"
    if host.elevates {
      // Each time: a controller that was started again has a new socket.
      _ = try await RemoteShell.all([host], remedy: remedy) {
        try await RemoteShell.run("reach the controller", on: $0, HostScripts.admit)
      }
    }
    if note.tunnel?.isRunning == true, LabSocket.accepts(socket) { return socket }
    await close(note)
    let log = HostsNote.tunnelLog(topology)
    unlink(log.string)
    let process = try LabProcess.startDetached(
      host.command(forwarding: socket.string, to: HostScripts.controllerSocket), log: log,
      mark: Lab.mark(topology: topology))
    note.tunnel = process
    try note.save()
    let end = ContinuousClock.now + patience
    while !LabSocket.accepts(socket) {
      guard process.isRunning, ContinuousClock.now < end else {
        await close(note)
        let said = RemoteShell.harmless(LabFiles.read(log) ?? "")
        let (kind, reason) = RemoteShell.explainSSH(said, host)
        throw HostsError(
          [RemoteFailure(host, "reach the controller", kind, reason).failure], remedy: remedy)
      }
      try await Task.sleep(for: .milliseconds(10))
    }
    return socket
  }

  static func close(_ note: HostsNote) async {
    if let tunnel = note.tunnel { await LabProcess.end([tunnel], patience: .seconds(2)) }
    unlink(HostsNote.tunnel(note.topology).string)
  }
}

extension Lab {
  /// The socket of the controller that a topology's lab has, here or on other machines; nil where it has none.
  ///
  /// - Throws: ``HostsError`` where it is on another machine that cannot be reached.
  public static func controllerSocketIfAny(_ topology: String) async throws -> FilePath? {
    if HostsNote.exists(topology) { return try await ControllerTunnel.open(topology) }
    return try? controllerSocket(topology)
  }

  /// As ``controllerSocketIfAny(_:)``, of a lab that must have one.
  public static func reachableControllerSocket(_ topology: String) async throws -> FilePath {
    if HostsNote.exists(topology) { return try await ControllerTunnel.open(topology) }
    return try controllerSocket(topology)
  }

  /// Whether a lab of this name is on other machines.
  public static func isOnHosts(_ topology: String) -> Bool { HostsNote.exists(topology) }
}
