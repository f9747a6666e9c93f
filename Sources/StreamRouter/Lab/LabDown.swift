import SystemPackage
import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// How a lab is taken down.
extension Lab {
  /// Removes all that `up` made: daemons and every other process in the namespaces, namespaces, pinned maps,
  /// sockets, logs and the note. Works after a crash at any moment, on a note that cannot be read, and twice.
  ///
  /// - Parameter topology: What the file says, where there is one: finds the namespaces where the note is lost.
  /// - Returns: Whether there was anything to remove.
  @discardableResult
  public func down(_ topology: Topology? = nil) async throws -> Bool {
    let extra = try topology.map { try LabNetwork($0).namespaces.map(\.name) } ?? []
    let there = namespaces(extra: extra)
    if !there.isEmpty {
      try LabPrivileges.demand(operation: "lab \(self.topology): removing network namespaces")
    }
    let lock = try await LabLock.take(topology: self.topology)
    let found = try await removeAll(extraNamespaces: extra)
    lock.removeFile()
    return found
  }

  /// Takes down everything of this name; the lock is held by the caller.
  @discardableResult
  func removeAll(extraNamespaces: [String]) async throws -> Bool {
    let state = try? LabState.load(topology: topology)
    let namespaces = namespaces(extra: extraNamespaces)
    let daemons =
      Array((state?.daemons ?? [:]).values) + [state?.controller].compactMap(\.self)
      + LabProcess.all(marked: Self.mark(topology: topology))
    let running = Set(daemons).filter(\.isRunning)
    let folder = NodePaths.runtimeDirectory(topology: topology)
    let found = !running.isEmpty || !namespaces.isEmpty || LabFiles.exists(folder)

    if !running.isEmpty { progress("ending \(running.count) daemons") }
    await LabProcess.end(Array(running), patience: Self.stopTimeout)
    for namespace in namespaces { try await remove(namespace) }
    if LabFiles.exists(NodePaths.pinDirectory(topology: topology)) { SoftirqThreads.putBack() }
    try LabFiles.removeTree(NodePaths.pinDirectory(topology: topology))
    rmdir(NodePaths.pinDirectory(topology: topology).removingLastComponent().string)
    try LabFiles.removeTree(metricsTargets)
    // The note goes last: until here a crash leaves it to the next `down`.
    try LabFiles.removeTree(folder)
    return found
  }

  private func remove(_ namespace: String) async throws {
    progress("removing namespace \(namespace)")
    let listing = try await LabShell.attempt("ip", ["netns", "pids", namespace])
    let inside = listing.output.split(whereSeparator: \.isWhitespace).compactMap { Int32($0) }
      .filter { $0 != getpid() }.compactMap { LabProcess(running: $0) }
    await LabProcess.end(inside, patience: Self.stopTimeout)
    let outcome = try await LabShell.attempt("ip", ["netns", "delete", namespace])
    if !outcome.succeeded, LabFiles.exists(LabPrivileges.namespaceFile(namespace)) {
      throw LabError.commandFailed(
        command: "ip netns delete \(namespace)", status: outcome.status, output: outcome.errors)
    }
  }

  /// The namespaces of this lab that exist: those in its note and those that the topology file asks for. With
  /// neither, those whose name begins as this lab's do, except the ones that another lab's note names: lab `a`
  /// must not take `a-b`'s.
  private func namespaces(extra: [String]) -> [String] {
    var known = Set(extra)
    if let state = try? LabState.load(topology: topology) {
      known.formUnion(state.namespaces.values)
    } else if extra.isEmpty {
      let prefix = LabNames.namespacePrefix(topology: topology)
      known.formUnion(LabPrivileges.namespaces().filter { $0.hasPrefix(prefix) })
      for other in LabState.topologies() where other != topology {
        if let state = try? LabState.load(topology: other) { known.subtract(state.namespaces.values) }
      }
    }
    return known.filter { LabFiles.exists(LabPrivileges.namespaceFile($0)) }.sorted()
  }
}
